import math

import numpy as np
import pytest

from srgan.metrics.noise_power import (
    PER_MM,
    boxes_in,
    nps,
    power_distance,
    power_in_boxes,
    soft_tissue_boxes,
    texture_sd_hu,
)

SHAPE = (256, 256)
EVERYWHERE = soft_tissue_boxes(np.full(SHAPE, 40.0))


def white(sd_hu, seed=0):
    return np.random.default_rng(seed).normal(40, sd_hu, SHAPE)


@pytest.mark.parametrize("pixel_mm", [0.6, 0.98])
def test_power_in_boxes_has_the_same_frequencies_for_all_pixel_sizes(pixel_mm):
    """White noise of 10 HU: 100 HU^2 times the pixel's area, up to Nyquist."""
    found = power_in_boxes(white(10), EVERYWHERE, pixel_mm)
    known = {float(f): power for f, power in found.items() if power is not None}
    assert list(found) == list(PER_MM)
    assert max(known) == pytest.approx(0.5 / pixel_mm, abs=0.025)
    inner = [power for f, power in known.items() if f > 2 / (32 * pixel_mm)]  # less their plane
    assert np.mean(inner) == pytest.approx(100 * pixel_mm**2, rel=0.02)
    assert inner == pytest.approx([100 * pixel_mm**2] * len(inner), rel=0.15)


def test_power_distance_is_the_share_of_missing_or_added_power():
    normal = power_in_boxes(white(10), EVERYWHERE, 0.7)

    def to(image):
        return power_distance(power_in_boxes(image, EVERYWHERE, 0.7), normal)

    assert to(white(10)) == 0
    assert to(np.full(SHAPE, 40.0)) == 1
    assert to(white(5)) == pytest.approx(0.75)  # half the SD, a quarter of the power
    assert to(white(20)) == pytest.approx(3)
    assert to(white(10, seed=1)) < 0.05  # a repeat


def test_soft_tissue_boxes_lie_in_soft_tissue_only():
    hu = np.full(SHAPE, -850.0)
    hu[40:120, 60:150] = 40
    hu[100:110, 60:70] = 700
    for _, rows, columns in soft_tissue_boxes(hu + np.random.default_rng(0).normal(0, 20, SHAPE)):
        assert (hu[rows, columns] == 40).all()
    assert soft_tissue_boxes(hu)
    assert soft_tissue_boxes(np.full(SHAPE, -850.0)) == []


def test_without_a_box_there_is_neither_power_nor_distance():
    none = power_in_boxes(white(10), [], 0.7)
    assert set(none.values()) == {None}
    assert power_distance(none, none) is None


def test_nps_of_white_noise_is_flat_at_its_level_and_its_integral_is_the_variance():
    """10 HU at 0.7 mm: 100 HU^2 times 0.49 mm^2."""
    white = np.random.default_rng(3).normal(0, 10, (4, 512, 512))
    spectrum = nps(white + 40, pixel_mm=0.7)
    assert spectrum.power.mean() == pytest.approx(49.0, rel=0.01)
    assert np.abs(spectrum.power / 49.0 - 1).max() < 0.1
    assert spectrum.sd_hu == pytest.approx(10.0, rel=0.005)
    assert spectrum.frequency[[0, -1]] == pytest.approx([1 / (64 * 0.7), 0.5 / 0.7])
    assert math.isnan(spectrum.half)


def test_nps_of_filtered_noise_is_the_filter():
    """f^2 exp(-(f / f0)^2) has its peak at f0, half of it at 1.637 f0, mean 0.75 sqrt(pi) f0."""
    f0, rng = 0.2, np.random.default_rng(4)
    f = np.hypot(np.fft.fftfreq(512, 0.7)[:, None], np.fft.rfftfreq(512, 0.7))
    response = f / f0 * np.exp((1 - (f / f0) ** 2) / 2)
    noise = np.fft.irfft2(np.fft.rfft2(rng.normal(0, 10, (8, 512, 512))) * response)
    fine = nps(noise, pixel_mm=0.7, box=128)
    theory = 49.0 * (fine.frequency / f0) ** 2 * np.exp(1 - (fine.frequency / f0) ** 2)
    assert np.abs(fine.power - theory).max() < 0.04 * theory.max()  # the box leaks
    spectrum = nps(noise, pixel_mm=0.7)
    assert spectrum.peak == pytest.approx(f0, abs=0.01)
    assert spectrum.half == pytest.approx(1.637 * f0, abs=0.005)
    assert spectrum.mean == pytest.approx(0.75 * math.sqrt(math.pi) * f0, rel=0.02)
    assert spectrum.sd_hu == pytest.approx(noise.std(), rel=0.01)


def test_nps_without_the_plane_ignores_a_slope_and_keeps_the_noise():
    white = np.random.default_rng(6).normal(0, 10, (512, 512))
    slope = np.add.outer(0.8 * np.arange(512.0), -0.3 * np.arange(512.0))
    places = boxes_in(np.ones((512, 512), bool), box=32, step=16)
    alone, sloping = (
        nps(image, pixel_mm=0.7, box=32, places=places, plane=True)
        for image in (white, white + slope)
    )
    assert sloping.power == pytest.approx(alone.power)
    assert alone.power[4:].mean() == pytest.approx(49.0, rel=0.01)
    assert nps(slope, pixel_mm=0.7, box=32).power[0] > 20 * 49.0


def test_nps_uses_only_boxes_inside_the_mask():
    noise = np.random.default_rng(5).normal(0, 10, (200, 200))
    noise[:, 130:] = np.nan
    mask = ~np.isnan(noise)
    assert nps(noise, pixel_mm=0.7, mask=mask).sd_hu == pytest.approx(10.0, rel=0.05)
    for wrong in (None, np.zeros((200, 200), bool)):
        with pytest.raises(ValueError, match="64 x 64"):
            nps(noise, pixel_mm=0.7, mask=wrong)


def test_texture_sd_measures_the_noise_and_not_the_anatomy():
    rng = np.random.default_rng(2)
    rows, columns = np.indices((256, 256))
    anatomy = 100 * np.sin(rows / 40) * np.cos(columns / 50) - 850
    mask = np.zeros((256, 256), bool)
    mask[20:-20, 20:-20] = True
    # White noise less its Gaussian of SD s: variance 1 - 2 g(0)^2 + 1 / (4 pi s^2), g the kernel.
    kept = math.sqrt(1 - 2 / (2 * math.pi * 4) + 1 / (16 * math.pi))
    sd = texture_sd_hu(anatomy + rng.normal(0, 20, anatomy.shape), mask=mask)
    assert sd == pytest.approx(20 * kept, rel=0.02)
    assert texture_sd_hu(anatomy, mask=mask) < 1


def test_texture_sd_refuses_infinity_and_an_empty_mask():
    small = np.arange(400.0).reshape(10, 40)
    for image in (np.full((10, 40), math.inf), small):
        with pytest.raises(ValueError, match="mask"):
            texture_sd_hu(image, mask=np.zeros(small.shape, bool) | (image > 500))


@pytest.mark.parametrize("function", [nps, texture_sd_hu, boxes_in])
def test_noise_functions_take_pixel_size_mask_and_box_by_keyword_only(function):
    with pytest.raises(TypeError, match="positional"):
        function(white(10), 0.7)
