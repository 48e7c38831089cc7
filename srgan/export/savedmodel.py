"""A network as a TensorFlow SavedModel, which needs no code of this program."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from srgan.export.hu_network import HuNetwork
from srgan.models.file_errors import as_os_errors
from srgan.system.files import named_in_utf8


def write(folder: Path, network) -> None:
    """Into a folder that is there. network: of models.generator. Raises OSError."""
    module = HuNetwork(network)
    with as_os_errors(), named_in_utf8(folder) as named:
        tf.saved_model.save(module, str(named), signatures={"serving_default": module.named})


def load(folder: Path) -> Callable[[np.ndarray], np.ndarray]:
    """A function of (batch, rows, columns) float32 HU. Raises OSError."""
    with as_os_errors(), named_in_utf8(folder) as named:
        loaded = tf.saved_model.load(str(named))
    return lambda hu: loaded(tf.constant(hu)).numpy()
