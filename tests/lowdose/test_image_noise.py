"""Image noise against its formula; levels are in test_levels.py."""

import numpy as np
import pytest

from srgan.hounsfield import HU_SPAN, hu_to_fraction
from srgan.lowdose.degradation import Degradation, degrade
from srgan.lowdose.image_noise import ImageNoise, add_noise
from srgan.lowdose.levels import Levels


def fixed(noise_sigma):
    return Degradation(ImageNoise(Levels((1700.0,)), Levels((noise_sigma,))), 4)


@pytest.mark.parametrize("sigma", [0.0, 0.005])
@pytest.mark.parametrize("hu", [-850.0, -100.0, 40.0, 700.0])
def test_the_sd_of_image_noise_equals_theory(hu, sigma):
    """SD = 4095 sqrt(x / lambda + sigma^2), and a quarter of it after the area mean."""
    rng = np.random.default_rng(0)
    flat = np.full((1, 512, 512), hu, np.float32)
    expected = HU_SPAN * np.sqrt(hu_to_fraction(hu) / 1700 + sigma**2)
    noisy = add_noise(flat, 1700.0, sigma, rng)
    assert abs(noisy.std() / expected - 1) < 0.01
    assert abs(noisy.mean() - hu) < 0.5
    small = degrade(flat, fixed(sigma), rng)
    assert small.shape == (1, 128, 128)
    assert abs(small.std() / (expected / 4) - 1) < 0.03


def test_degrade_clips_before_the_area_mean():
    """Air at -1024 HU: clipped noise has a mean above it, as in a scanner's file."""
    air = np.full((1, 256, 256), -1024.0, np.float32)
    low = degrade(air, fixed(0.005), np.random.default_rng(0))
    assert low.min() >= -1024
    assert 7.0 < low.mean() + 1024 < 9.5  # 4095 * 0.005 / sqrt(2 pi) = 8.17


def test_image_noise_keeps_the_range_of_the_scanner_and_clips_metal():
    noisy = add_noise(np.full((8, 8), 9000, np.int16), 1700.0, 0.005, np.random.default_rng(0))
    assert noisy.max() <= 3071.0
