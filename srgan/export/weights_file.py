"""The weights of a network as a NumPy file, each array under the name of its layer."""

from pathlib import Path

import numpy as np

from srgan.training import checkpoint_models

FILE = "weights.npz"


def write(folder: Path, network) -> None:
    """weights.npz, in a folder that is there. network: of models.generator. Raises OSError."""
    arrays = {weight.path: weight.numpy() for weight in network.weights}
    (folder / FILE).write_bytes(checkpoint_models.npz(arrays))


def load(folder: Path, form: str, scale: int):
    """A new generator with these weights. Raises OSError."""
    from srgan.models import generator

    network = generator.build(form, scale)
    with np.load(folder / FILE, allow_pickle=False) as weights:
        network.set_weights([weights[weight.path] for weight in network.weights])
    return network
