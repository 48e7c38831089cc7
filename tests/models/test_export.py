"""A generator outside of the program: as .keras and as SavedModel, as the model's README says."""

import os
import re
import subprocess
import sys

import keras
import numpy as np
import pytest

from srgan import settings
from srgan.models import generator
from srgan.models.layers import AlignedBicubic, FusedBatchNorm, SubPixel
from srgan.models.vgg import ToVgg
from srgan.settings import degradation_of, make
from srgan.training import checkpoint_models, model_card
from tests.conftest import ROOT
from tests.helpers.made_manifest import manifest

LOW = np.random.default_rng(0).uniform(-1, 1, (2, 8, 12, 1)).astype(np.float32)
ELSEWHERE = """
import sys
import numpy as np
low = np.load("low.npy")
import tensorflow as tf
saved = tf.saved_model.load("{name}_saved_model")
served = saved.serve(tf.constant(low)).numpy()
assert not any(module.split(".")[0] == "srgan" for module in sys.modules)
{code}
np.savez("outputs.npz", served=served, loaded=np.asarray(model(low)))
"""


@pytest.mark.parametrize(
    "layer", [SubPixel(4), AlignedBicubic(4), FusedBatchNorm(0.8, 0.1), ToVgg()], ids=str
)
def test_a_layer_is_registered_and_comes_back_with_its_settings(layer):
    saved = keras.saving.serialize_keras_object(layer)
    assert saved["registered_name"] == f"srgan>{type(layer).__name__}"
    again = keras.saving.deserialize_keras_object(saved)
    assert again.get_config() == layer.get_config()


def trained(form, scale):
    """A network whose weights and batch statistics are none that it starts with."""
    model, rng = generator.build(form, scale), np.random.default_rng(1)
    model.set_weights([w + 0.01 * rng.uniform(size=w.shape) for w in model.get_weights()])
    return model


@pytest.mark.parametrize(("form", "scale"), [("fast", 1), ("fast", 4), ("paper", 2)])
def test_a_generator_comes_back_from_a_keras_file(form, scale, tmp_path):
    model = trained(form, scale)
    model.save(tmp_path / "saved.keras")
    again = keras.saving.load_model(tmp_path / "saved.keras")
    assert np.array_equal(np.asarray(again(LOW)), np.asarray(model(LOW)))


@pytest.mark.slow
def test_the_readme_of_a_model_exports_and_loads_it_elsewhere(tmp_path, monkeypatch):
    name, made, model = "srgan", make({"scale": 2}), trained("fast", 2)
    noise = degradation_of(made).as_json()
    said = manifest(settings=settings.record(made), degradation=noise)
    (tmp_path / "checkpoint").mkdir()
    checkpoint_models.save_model(tmp_path / "checkpoint", name, model, said)
    _, export, load = re.findall(r"```python\n(.*?)```", model_card.text(name, said), re.S)
    monkeypatch.chdir(tmp_path)
    exec(export, {})
    np.save("low.npy", LOW)
    code = ELSEWHERE.format(name=name, code=load)
    subprocess.run(
        [sys.executable, "-c", code], check=True, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )
    outputs = np.load("outputs.npz")
    for how in ("served", "loaded"):
        assert np.abs(outputs[how] - np.asarray(model(LOW))).max() < 1e-5, how
