"""The difference of two slices: noise, a shift, other anatomy, another offset."""

import numpy as np
import pytest
from scipy import ndimage

from srgan.dataset.pair_pixels import difference, median
from tests.helpers.made_pairs import doses

NORMAL, LOW = (volume[2].astype(float) for volume in doses(0))
NOISE = LOW - NORMAL


def test_the_balance_tells_the_noisier_slice_and_is_the_ratio_of_the_formula():
    """Independent noise of variances v and w: (w - v) / (w + v), here with w = 4 v."""
    rng = np.random.default_rng(0)
    clean = ndimage.gaussian_filter(NORMAL, 2)
    one, two = (clean + sd * rng.normal(size=clean.shape) for sd in (20, 40))
    assert difference(one, two).balance == pytest.approx((4 - 1) / (4 + 1), abs=0.1)
    assert difference(two, one).balance == pytest.approx(-3 / 5, abs=0.1)
    again = clean + 20 * rng.normal(size=clean.shape)
    assert abs(difference(one, again).balance) < 0.1


def test_noise_of_a_dose_is_no_fault_and_its_sd_is_found():
    found = difference(NORMAL, LOW)
    assert found.fault == ""
    assert found.sd_hu == pytest.approx(60, rel=0.05)
    assert found.shift_px < 0.1
    assert found.correlation > 0.99


def test_a_smoothed_or_sharpened_copy_is_another_reconstruction():
    soft = ndimage.gaussian_filter(NORMAL, 0.7)
    for one, two in ((NORMAL, soft), (soft, NORMAL), (NORMAL, 2 * NORMAL - soft)):
        assert difference(one, two).fault.endswith("another reconstruction")


@pytest.mark.parametrize("shift_px", [0.5, 1, 2])
def test_a_shift_is_measured_beneath_the_noise(shift_px):
    found = difference(NORMAL, ndimage.shift(LOW, (0, shift_px), mode="nearest"))
    assert found.shift_px == pytest.approx(shift_px, rel=0.5)
    assert found.fault.startswith("the anatomy is")


def test_another_patient_an_offset_and_equal_pixels_are_faults():
    other = doses(5)[1][2]
    assert difference(NORMAL, other).fault.startswith("the anatomy is")
    assert difference(NORMAL, LOW + 30).fault.startswith("the HU differ by +")
    assert difference(NORMAL, NORMAL).fault.endswith("differ by 0 HU everywhere")


def test_slices_without_a_body_and_of_one_value_are_measured():
    air = np.full((64, 64), -1000.0)
    assert difference(air, air).fault.startswith("there is no noise")
    noisy = air + 5 * np.random.default_rng(0).normal(size=air.shape)
    assert difference(air, noisy).balance == pytest.approx(1, abs=0.05)


def test_few_edges_beneath_much_noise_are_no_shift():
    """A smooth body that fills the picture: where the noise allows no better than half a pixel."""
    rows, _ = np.mgrid[:64, :64]
    rng = np.random.default_rng(0)
    for _ in range(20):
        noise = ndimage.gaussian_filter(rng.normal(size=rows.shape), 0.7)
        found = difference(40.0 + 3 * rows, 40 + 3 * rows + 60 * noise / noise.std())
        assert found.shift_px <= 0.2 + found.shift_error_px


def test_the_median_is_of_each_value():
    found = [difference(NORMAL, NORMAL + k * NOISE) for k in (0.5, 1, 3)]
    assert median(found) == found[1]
