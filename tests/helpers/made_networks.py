"""Small generators whose weights and batch statistics are none that they start with."""

import dataclasses
import functools

import numpy as np

from srgan import settings
from srgan.models import generator
from srgan.settings import degradation_of, make
from srgan.training import checkpoint_models
from tests.helpers.made_manifest import manifest

SMALL = {"blocks": 1, "maps": 8}
BUILD = {name: form.build for name, form in generator.FORMS.items()}


def make_small(monkeypatch) -> None:
    """The program builds such small generators too."""
    for name, form in generator.FORMS.items():
        small = dataclasses.replace(form, build=functools.partial(BUILD[name], **SMALL))
        monkeypatch.setitem(generator.FORMS, name, small)


def network(form: str = "fast", scale: int = 2, seed: int = 1):
    """With the parts and names of a real one, one block and 8 maps."""
    model = BUILD[form](scale, generator.initial_weights(seed), **SMALL)
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        value = weight.numpy() * (0.2 if weight.path == "out/kernel" else 1)  # or tanh saturates
        change = 0.02 * rng.uniform(-1, 1, value.shape)
        weight.assign(value * rng.uniform(0.8, 1.2, value.shape) + change)
    return model


def save(folder, name: str = "srgan", form: str = "fast", scale: int = 2, **changes) -> None:
    """A checkpoint with such a model. changes: of its manifest."""
    made = make({"generator": form, "scale": scale})
    said = manifest(
        settings=settings.record(made), degradation=degradation_of(made).as_json(), **changes
    )
    folder.mkdir(exist_ok=True)
    checkpoint_models.save_model(folder, name, network(form, scale), said)
