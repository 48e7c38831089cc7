"""Weights that ship, in a folder of a test: untrained networks, which start near bicubic."""

from pathlib import Path

from srgan.models import generator
from srgan.training import checkpoint_models
from srgan.training.manifest import MODELS, SeenData
from tests.helpers.made_manifest import SALT, manifest

NOISE = {"noise": "projection", "dose": "0.05:0.5"}


def write(folder: Path, *seen: str, scales=(4, 1)) -> None:
    """SRResNet and SRGAN of these scales, whose training saw these patients ("patient:A")."""
    hashes = frozenset(checkpoint_models.hashed(SALT, name) for name in seen)
    for scale in scales:
        place = folder / f"scale{scale}"
        place.mkdir(parents=True)
        data = SeenData(SALT, hashes, 3, {"train": 7, "validation": 2, "test": 4}, False)
        about = manifest(settings={"generator": "fast", "scale": scale, **NOISE}, data=data)
        for seed, name in enumerate(MODELS):
            model = generator.build("fast", scale, seed=seed)
            checkpoint_models.save_model(place, name, model, about)
