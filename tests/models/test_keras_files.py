"""Layers and generators come back from Keras' own files."""

import keras
import numpy as np
import pytest

from srgan.models import generator
from srgan.models.layers import AlignedBicubic, FusedBatchNorm, SubPixel
from srgan.models.vgg import ToVgg

LOW = np.random.default_rng(0).uniform(-1, 1, (2, 8, 12, 1)).astype(np.float32)


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
