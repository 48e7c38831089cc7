from functools import partial

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


def turns_and_flips(image):
    """The eight, each with the function that turns it back."""
    for k in range(4):
        yield np.rot90(image, k), partial(np.rot90, k=-k)
        yield np.flip(np.rot90(image, k), 0), lambda x, k=k: np.rot90(np.flip(x, 0), -k)


def lopsided(image):
    """Twice the size; a pixel depends on its right and its lower neighbour in unequal parts."""
    image = np.pad(image, 1, mode="edge")
    mixed = image[1:-1, 1:-1] - 0.5 * image[1:-1, 2:] + 0.25 * image[2:, 1:-1] ** 2
    return mixed.repeat(2, 0).repeat(2, 1)


@pytest.mark.parametrize("shape", [(8, 8), (5, 12)])
def test_self_ensemble_is_the_plain_mean_over_flips_and_turns(shape):
    image = np.random.default_rng(2).normal(0, 1, shape)
    back = [turn_back(lopsided(turned)) for turned, turn_back in turns_and_flips(image)]
    assert len({each.tobytes() for each in back}) == 8
    ensembled = baselines.self_ensemble(lopsided)
    np.testing.assert_allclose(ensembled(image), np.mean(back, 0), rtol=1e-12, atol=1e-12)
    for turned, turn_back in turns_and_flips(image):
        np.testing.assert_allclose(turn_back(ensembled(turned)), ensembled(image), atol=1e-12)
        assert np.abs(turn_back(lopsided(turned)) - ensembled(image)).max() > 0.01


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_self_ensemble_leaves_a_symmetric_method_alone(scale):
    image = np.random.default_rng(3).normal(0, 100, (9, 6)).astype(np.float32)
    for method in baselines.classical(scale).values():
        np.testing.assert_allclose(baselines.self_ensemble(method)(image), method(image), atol=1e-3)


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_ensemble_of_a_network_is_the_mean_of_its_eight_outputs_in_tiles_too(scale):
    from srgan.models import generator

    model = generator.fast(scale, generator.initial_weights(4), blocks=1, maps=4)
    rng = np.random.default_rng(5)
    model.set_weights([rng.normal(0, 0.1, each.shape) for each in model.get_weights()])
    image = rng.uniform(300, 1500, (13, 22)).astype(np.float32)
    once = baselines.network(model)
    back = [turn_back(once(turned)) for turned, turn_back in turns_and_flips(image)]
    assert all(-1024 < each.min() < each.max() < 3071 for each in back)  # nothing was clipped
    assert max(np.abs(each - back[0]).max() for each in back) > 1
    for tile in ("auto", 8):
        output = baselines.network(model, tile, ensemble=True)(image)
        assert (output.dtype, output.shape) == (np.float32, (13 * scale, 22 * scale))
        np.testing.assert_allclose(output, np.mean(back, 0), atol=0.01)


def test_ensemble_is_clipped_once_at_its_end():
    """What one pass gives below -1024 HU weighs as it is."""
    import keras

    inputs = keras.Input((None, None, 1))
    tilt = keras.layers.Conv2D(1, 3, padding="same", use_bias=False)
    model = keras.Model(inputs, tilt(inputs))
    kernel = np.zeros((3, 3, 1, 1), np.float32)
    kernel[1, 1], kernel[1, 2], kernel[1, 0] = 1, 2, -2  # x plus a slope to the right
    tilt.set_weights([kernel])
    image = np.tile(np.linspace(-1000, 3000, 9, dtype=np.float32), (9, 1))
    middle = np.s_[2:-2, 2:-2]
    once = baselines.network(model)(image)
    assert np.abs(once - image)[middle].min() > 70
    ensembled = baselines.network(model, ensemble=True)(image)
    np.testing.assert_allclose(ensembled[middle], image[middle], atol=0.01)


def test_network_method_clips_and_refuses_values_that_are_not_finite():
    image = np.array([[-1024.0, 3071.0]], np.float32)
    output = baselines.network(enlarging(3.0))(image)
    assert (output.min(), output.max()) == (hounsfield.HU_MIN, hounsfield.HU_MAX)
    with pytest.raises(UserError, match="diverged"):
        baselines.network(enlarging(np.nan))(image)
