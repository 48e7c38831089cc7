"""The TTF of discs that were blurred by a known Gaussian, against theory."""

import numpy as np
import pytest
from scipy import ndimage

from srgan.metrics import ttf
from tests.helpers.dose_phantoms import painted

PIXEL_MM = 0.7


def disc(blur_px: float, size: int = 128, radius_px: float = 24.0) -> np.ndarray:
    """300 HU on soft tissue, off the middle by (0.3, -0.2) px."""
    y, x = 0.3 * PIXEL_MM, -0.2 * PIXEL_MM
    parts = [(40, 500, 500), (340, radius_px * PIXEL_MM, radius_px * PIXEL_MM, x, y)]
    return ndimage.gaussian_filter(painted(size, PIXEL_MM, parts).astype(float), blur_px)


def ttf50_of(images) -> float:
    middle = (images.shape[-1] - 1) / 2
    place = {"centre_px": (middle, middle), "radius_px": 24.0}
    return ttf.ttf50(ttf.disc_ttf(images, pixel_mm=PIXEL_MM, **place))


def theory(blur_px: float) -> float:
    """1/mm at which a Gaussian and the pixels' own area leave a half."""
    f = np.linspace(0, 1, 100_001)
    left = np.exp(-2 * (np.pi * blur_px * f) ** 2) * np.sinc(f)
    return f[np.argmax(left < 0.5)] / PIXEL_MM


@pytest.mark.parametrize("blur_px", [0.7, 1.0, 1.5, 2.0, 2.5, 3.0])
def test_ttf50_of_a_gaussian_blur_is_theorys(blur_px):
    assert ttf50_of(disc(blur_px)) == pytest.approx(theory(blur_px), rel=0.015)


@pytest.mark.parametrize("sd_hu", [10.0, 20.0, 40.0])
@pytest.mark.parametrize("blur_px", [1.0, 2.0])
def test_ttf50_of_ten_noisy_slices_is_theorys(blur_px, sd_hu):
    noise = np.random.default_rng(5).normal(0, sd_hu, (10, 128, 128))
    assert ttf50_of(disc(blur_px) + noise) == pytest.approx(theory(blur_px), rel=0.03)


@pytest.mark.parametrize("sd_hu", [0.0, 1.0])
def test_ttf50_is_none_where_no_disc_is_found(sd_hu):
    assert ttf50_of(np.random.default_rng(1).normal(0, sd_hu, (128, 128))) is None


def test_the_whole_ttf_of_a_gaussian_blur_is_theorys():
    middle = {"centre_px": (62.0, 65.0), "radius_px": 24.0}  # to a few pixels is near enough
    found = ttf.disc_ttf(disc(1.0), pixel_mm=PIXEL_MM, **middle)
    f = found.frequency * PIXEL_MM
    assert f[[0, -1]] == pytest.approx([0, 0.5])
    wanted = np.exp(-2 * (np.pi * f) ** 2) * np.sinc(f)
    np.testing.assert_allclose(found.curve, wanted, atol=0.02)


def test_ttf50_is_none_where_the_curve_stays_above_a_half():
    found = ttf.Ttf(np.arange(3.0), np.array([1.0, 0.8, 0.6]))
    assert ttf.ttf50(found) is None


@pytest.mark.parametrize(
    "place",
    [
        {"centre_px": (63.5, 63.5), "radius_px": 11.0},
        {"centre_px": (30.0, 63.5), "radius_px": 24.0},
    ],
)
def test_disc_ttf_refuses_a_disc_without_room(place):
    with pytest.raises(ValueError, match="12 px"):
        ttf.disc_ttf(disc(1.0), pixel_mm=PIXEL_MM, **place)
