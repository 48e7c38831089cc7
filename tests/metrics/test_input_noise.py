"""The noise of an input is the noise that was put in, whatever the anatomy around it."""

import numpy as np
import pytest

from srgan.metrics import input_noise
from srgan.metrics.slice_output import scanner_noise
from srgan.phantom import chest
from srgan.resampling import area_mean


@pytest.fixture(scope="module")
def made() -> np.ndarray:
    """A chest with about 10 HU of noise, (512, 512) HU."""
    return chest.chest(seed=0, patient=1, slices=1)[0][0].astype(np.float32)


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_white_noise_is_measured_on_every_grid(made, scale):
    low = area_mean(made, scale)
    own_hu = input_noise.sd_hu(low, scale)
    assert own_hu < 12
    for sd_hu in (10, 25, 60):
        noisy = low + np.random.default_rng(sd_hu).normal(0, sd_hu, low.shape)
        expected = np.hypot(own_hu, sd_hu)
        assert input_noise.sd_hu(noisy, scale) == pytest.approx(expected, rel=0.1)


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_the_noise_of_ct_is_measured_to_an_eighth(made, scale):
    """Its SD after the area mean is known from the noise itself."""
    noise = 2 * scanner_noise(made.shape, 0.7, 20.0, np.random.default_rng(1))
    low, noise = area_mean(made + noise, scale), area_mean(noise, scale)
    own_hu = input_noise.sd_hu(area_mean(made, scale), scale)
    expected = np.hypot(own_hu, noise.std())
    assert input_noise.sd_hu(low, scale) == pytest.approx(expected, rel=0.125)


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_without_soft_tissue_nothing_is_measured(scale):
    rng = np.random.default_rng(0)
    for hu in (-1000, -850, 700):
        assert input_noise.sd_hu(rng.normal(hu, 20, (128, 128)), scale) is None
    assert input_noise.sd_hu(np.full((16, 16), 40), scale) is None


def test_summary_leaves_out_what_was_not_measured():
    found = input_noise.summary([9.0, None, 12.0, 10.0])
    assert found == {"median_hu": 10.0, "low_hu": 9.0, "high_hu": 12.0, "slices": 3}
    assert input_noise.summary([None]) is None
