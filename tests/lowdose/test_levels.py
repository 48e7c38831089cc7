"""Noise levels: sampling, and the degradations that follow from ranges and lists."""

import numpy as np
import pytest

from srgan.lowdose.degradation import Degradation
from srgan.lowdose.image_noise import ImageNoise
from srgan.lowdose.levels import Levels

RANGE = Levels((500.0, 5000.0), True)
LIST = Levels((500.0, 5000.0))


def test_a_range_is_sampled_log_uniformly():
    values = RANGE.sample(20000, np.random.default_rng(0))
    assert values.shape == (20000, 1, 1)
    assert values.min() >= 500
    assert values.max() <= 5000
    assert abs(np.log(values).mean() - np.log(np.sqrt(500 * 5000))) < 0.02


def test_a_list_is_sampled_value_by_value():
    assert set(LIST.sample(1000, np.random.default_rng(0)).ravel()) == {500.0, 5000.0}


def test_a_single_level_takes_no_random_number():
    rng, untouched = np.random.default_rng(0), np.random.default_rng(0)
    assert (Levels((3.0,)).sample(4, rng) == 3).all()
    assert rng.bit_generator.state == untouched.bit_generator.state


@pytest.mark.parametrize("levels", [RANGE, LIST])
def test_only_refuses_a_range_and_a_list(levels):
    assert Levels((0.25,)).only == 0.25
    with pytest.raises(ValueError, match="not one level"):
        _ = levels.only


def test_middle_of_a_degradation_is_geometric():
    noise = Degradation(ImageNoise(RANGE, Levels((0.002, 0.01), True)), 4).middle().noise
    assert noise.noise_lambda.values == (pytest.approx(1581.1388),)
    assert noise.noise_sigma.values == (pytest.approx(0.00447214),)


def test_each_of_a_degradation_splits_lists_and_keeps_ranges():
    noise = ImageNoise(Levels((500.0, 1700.0)), Levels((0.002, 0.01), True))
    each = [degradation.noise for degradation in Degradation(noise, 4).each()]
    assert [str(noise.noise_lambda) for noise in each] == ["500", "1700"]
    assert {str(noise.noise_sigma) for noise in each} == {"0.002:0.01"}


def test_sample_of_a_degradation_has_single_levels_from_its_ranges():
    degradation = Degradation(ImageNoise(RANGE, Levels((0.005,))), 4)
    noise = degradation.sample(np.random.default_rng(0)).noise
    assert 500 < noise.noise_lambda.only < 5000
    assert noise.noise_sigma == Levels((0.005,))
