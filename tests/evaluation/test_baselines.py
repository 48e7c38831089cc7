import numpy as np
import pytest

from srgan import hounsfield, resampling
from srgan.evaluation import baselines
from srgan.system.errors import UserError


def enlarging(multiply=1.0):
    """A generator that repeats its input, in half precision at its end."""
    import keras

    inputs = keras.Input((None, None, 1))
    x = keras.layers.UpSampling2D(4)(inputs)
    return keras.Model(inputs, keras.layers.Rescaling(multiply, dtype="float16")(x))


def test_classical_methods_are_those_of_resampling():
    image = np.random.default_rng(0).normal(0, 100, (8, 12)).astype(np.float32)
    for name, method in baselines.classical(2).items():
        expected = getattr(resampling, name)(image, 2)
        assert expected.shape == (16, 24)
        np.testing.assert_array_equal(method(image), expected)


def test_at_scale_1_there_is_one_classical_method_the_input():
    image = np.random.default_rng(0).normal(0, 100, (8, 12)).astype(np.float32)
    ((name, method),) = baselines.classical(1).items()
    assert name == "input"
    np.testing.assert_array_equal(method(image), image)
    np.testing.assert_array_equal(resampling.bicubic(image, 1), image)


@pytest.mark.parametrize(
    ("methods", "name"),
    [(["nearest", "bicubic"], "bicubic"), (["input"], "input"), (["bicubic", "input"], "bicubic"),
     (["mine"], "bicubic")],
)  # fmt: skip
def test_a_method_of_the_user_called_input_is_not_taken_for_bicubic(methods, name):
    assert baselines.input_of(methods) == name


def test_network_method_takes_and_gives_hu_of_any_size():
    method = baselines.network(enlarging())
    for shape in ((16, 16), (8, 20)):
        image = np.random.default_rng(1).uniform(-1024, 3071, shape).astype(np.float32)
        output = method(image)
        assert output.dtype == np.float32
        assert np.abs(output - resampling.nearest(image, 4)).max() < 2  # half precision


def test_network_method_clips_and_refuses_values_that_are_not_finite():
    image = np.array([[-1024.0, 3071.0]], np.float32)
    output = baselines.network(enlarging(3.0))(image)
    assert (output.min(), output.max()) == (hounsfield.HU_MIN, hounsfield.HU_MAX)
    with pytest.raises(UserError, match="diverged"):
        baselines.network(enlarging(np.nan))(image)
