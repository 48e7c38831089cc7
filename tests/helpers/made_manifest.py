"""A manifest of a small training, and what a test gets of its checkpoint."""

from dataclasses import replace

from srgan.training.checkpoint_models import Trained, hashed
from srgan.training.manifest import BestModel, Manifest, SeenData
from srgan.training.plan import Plan

SALT = "salt"
MANIFEST = Manifest(
    settings={"generator": "fast", "scale": 2},
    degradation={"noise": "image"},
    vgg_weights="random",
    vgg_sha256=None,
    precision="float32",
    data=SeenData(SALT, frozenset({"a"}), 1, {"train": 1, "validation": 0, "test": 0}, False),
    plan=Plan(3, 3),
    step=3,
    best={"srresnet": BestModel(3, 20.0, 20.0, 0.8, 0.9)},
)


def manifest(**changes) -> Manifest:
    return replace(MANIFEST, **changes)


def trained(*seen: str, **changes) -> Trained:
    """A checkpoint without networks whose training has seen these patients, series or pixels."""
    hashes = frozenset(hashed(SALT, name) for name in seen)
    return Trained(manifest(data=replace(MANIFEST.data, seen=hashes), **changes), {}, {})
