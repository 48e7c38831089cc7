import numpy as np
import pytest

from srgan.hounsfield import HU_SPAN, hu_to_fraction
from srgan.lowdose.degradation import Degradation, degrade
from srgan.lowdose.image_noise import ImageNoise, draw, low_dose
from srgan.lowdose.levels import Levels


def fixed(noise_lambda=1700.0, noise_sigma=0.005, scale=4):
    return Degradation(ImageNoise(Levels((noise_lambda,)), Levels((noise_sigma,))), scale)


@pytest.mark.parametrize("hu", [-850.0, -100.0, 40.0, 700.0])
def test_noise_in_hu_equals_theory(hu):
    """SD = 4095 sqrt(x / lambda + sigma^2), and a quarter of it after the area mean."""
    rng = np.random.default_rng(0)
    flat = np.full((1, 512, 512), hu, np.float32)
    expected = HU_SPAN * np.sqrt(hu_to_fraction(hu) / 1700 + 0.005**2)
    noisy = low_dose(flat, 1700.0, 0.005, rng)
    assert abs(noisy.std() / expected - 1) < 0.01
    assert abs(noisy.mean() - hu) < 0.5
    small = degrade(flat, fixed(), rng)
    assert small.shape == (1, 128, 128)
    assert abs(small.std() / (expected / 4) - 1) < 0.03


def test_clipping_comes_before_the_area_mean():
    """Air at -1024 HU: clipped noise has a mean above it, as a scanner's file has."""
    air = np.full((1, 256, 256), -1024.0, np.float32)
    low = degrade(air, fixed(), np.random.default_rng(0))
    assert low.min() >= -1024
    assert 7.0 < low.mean() + 1024 < 9.5  # 4095 * 0.005 / sqrt(2 pi) = 8.17


def test_scanner_range_is_kept_and_metal_clipped():
    noisy = low_dose(np.full((8, 8), 9000, np.int16), 1700.0, 0.005, np.random.default_rng(0))
    assert noisy.max() <= 3071.0


def test_levels_are_log_uniform_within_their_range():
    drawn = draw(Levels((500.0, 5000.0), True), 20000, np.random.default_rng(0)).ravel()
    assert drawn.min() >= 500
    assert drawn.max() <= 5000
    assert abs(np.log(drawn).mean() - np.log(np.sqrt(500 * 5000))) < 0.02
    listed = draw(Levels((500.0, 5000.0)), 1000, np.random.default_rng(0))
    assert set(listed.ravel()) == {500.0, 5000.0}


def test_middle_is_geometric():
    ranges = Degradation(ImageNoise(Levels((500.0, 5000.0), True), Levels((0.002, 0.01), True)), 4)
    middle = ranges.middle().noise
    assert middle.noise_lambda.values == (pytest.approx(1581.1388),)
    assert middle.noise_sigma.values == (pytest.approx(0.00447214),)


def test_zero_sigma_is_photons_alone():
    flat = np.full((1, 256, 256), 0.0, np.float32)
    noisy = degrade(flat, fixed(noise_sigma=0.0, scale=1), np.random.default_rng(0))
    assert abs(noisy.std() / (HU_SPAN * np.sqrt(hu_to_fraction(0.0) / 1700)) - 1) < 0.01


def test_listed_levels_are_tabulated_and_a_range_stays_one():
    noise = ImageNoise(Levels((500.0, 1700.0)), Levels((0.002, 0.01), True))
    made = noise.each()
    assert [str(each.noise_lambda) for each in made] == ["500", "1700"]
    assert {str(each.noise_sigma) for each in made} == {"0.002:0.01"}
