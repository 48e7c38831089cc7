"""Sharpness of what was blurred by a known Gaussian, against theory."""

import numpy as np
import pytest
from scipy import ndimage

from srgan.masks import body_mask, lung_mask
from srgan.metrics import sharpness
from srgan.phantom import chest
from tests.helpers.dose_phantoms import painted
from tests.metrics.test_faithful_slices import needs_ct, slices_of

PIXEL_MM = 0.7
RISE_OF_A_GAUSSIAN = 1.6832  # 20 to 80 % of an edge, in SDs
WIDTH_OF_A_GAUSSIAN = 2.3548


def disc(blur_px: float, size: int = 128, radius_px: float = 24.0) -> np.ndarray:
    """300 HU on soft tissue, off the middle by (0.3, -0.2) px."""
    y, x = 0.3 * PIXEL_MM, -0.2 * PIXEL_MM
    parts = [(40, 500, 500), (340, radius_px * PIXEL_MM, radius_px * PIXEL_MM, x, y)]
    return ndimage.gaussian_filter(painted(size, PIXEL_MM, parts).astype(float), blur_px)


def ttf50_of(images) -> float:
    middle = (images.shape[-1] - 1) / 2
    place = {"centre_px": (middle, middle), "radius_px": 24.0}
    return sharpness.ttf50(sharpness.ttf(images, pixel_mm=PIXEL_MM, **place))


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
def test_where_no_disc_is_seen_there_is_no_ttf(sd_hu):
    assert ttf50_of(np.random.default_rng(1).normal(0, sd_hu, (128, 128))) is None


def test_the_whole_curve_is_theorys():
    middle = {"centre_px": (62.0, 65.0), "radius_px": 24.0}  # to a few pixels is near enough
    found = sharpness.ttf(disc(1.0), pixel_mm=PIXEL_MM, **middle)
    f = found.frequency * PIXEL_MM
    assert f[[0, -1]] == pytest.approx([0, 0.5])
    wanted = np.exp(-2 * (np.pi * f) ** 2) * np.sinc(f)
    np.testing.assert_allclose(found.curve, wanted, atol=0.02)


def test_a_curve_that_stays_above_a_half_has_no_ttf50():
    found = sharpness.Ttf(np.arange(3.0), np.array([1.0, 0.8, 0.6]))
    assert sharpness.ttf50(found) is None


@pytest.mark.parametrize(
    "place",
    [
        {"centre_px": (63.5, 63.5), "radius_px": 11.0},
        {"centre_px": (30.0, 63.5), "radius_px": 24.0},
    ],
)
def test_a_disc_without_room_is_refused(place):
    with pytest.raises(ValueError, match="12 px"):
        sharpness.ttf(disc(1.0), pixel_mm=PIXEL_MM, **place)


def lung_in_body(blur_px: float) -> np.ndarray:
    parts = [(40, 70, 70), (-850, 40, 40)]
    return ndimage.gaussian_filter(painted(256, PIXEL_MM, parts).astype(float), blur_px)


BODY = painted(256, PIXEL_MM, [(0, 70, 70)]) > -500


@pytest.mark.parametrize("blur_px", [0.8, 1.2, 2.0])
def test_the_rise_of_a_gaussian_edge_is_theorys(blur_px):
    reference = lung_in_body(blur_px)
    edges = sharpness.edges_of(reference, BODY, pixel_mm=PIXEL_MM)
    pixel_too = np.hypot(blur_px, np.sqrt(1 / 12))
    wanted = RISE_OF_A_GAUSSIAN * pixel_too * PIXEL_MM
    assert sharpness.rise_mm(reference, edges) == pytest.approx(wanted, rel=0.03)
    distance = np.hypot(*(edges.place - 127.5)) * PIXEL_MM
    np.testing.assert_allclose(distance, 40, atol=0.15)


def test_noise_moves_neither_the_edges_nor_their_rise():
    rng = np.random.default_rng(1)
    clean = lung_in_body(1.2)
    noisy = clean + rng.normal(0, 40, clean.shape)
    edges = sharpness.edges_of(noisy, BODY, pixel_mm=PIXEL_MM)
    wanted = sharpness.rise_mm(clean, edges)
    assert sharpness.rise_mm(noisy, edges) == pytest.approx(wanted, rel=0.03)
    again = sharpness.edges_of(clean, BODY, pixel_mm=PIXEL_MM)
    assert sharpness.rise_mm(clean, again) == pytest.approx(wanted, rel=0.03)


def test_a_blur_adds_to_the_rise_of_a_chests_edges_in_squares():
    reference = np.clip(chest.chest(0, 1, 3)[0][1], -1024, 3071).astype(float)
    edges = sharpness.edges_of(reference, body_mask(reference), pixel_mm=PIXEL_MM)
    own = sharpness.rise_mm(reference, edges)
    for blur_px in (1.0, 2.0):
        wanted = np.hypot(own, RISE_OF_A_GAUSSIAN * blur_px * PIXEL_MM)
        blurred = ndimage.gaussian_filter(reference, blur_px)
        assert sharpness.rise_mm(blurred, edges) == pytest.approx(wanted, rel=0.03)


@needs_ct
def test_blurs_and_noise_of_real_vessels_are_read_as_theory_says():
    """Of the validation patient: every slice that shows enough of them."""
    measured = 0
    for hu, spacing_mm in slices_of("LIDC-IDRI-0003"):
        reference = np.clip(hu, -1024, 3071).astype(float)
        vessels = sharpness.vessels_of(reference, lung_mask(reference), pixel_mm=spacing_mm[0])
        if vessels is None:
            continue
        measured += 1
        own = sharpness.width_mm(reference, vessels)
        for blur_px in (1.0, 2.0):
            wanted = np.hypot(own, WIDTH_OF_A_GAUSSIAN * blur_px * spacing_mm[0])
            blurred = ndimage.gaussian_filter(reference, blur_px)
            assert sharpness.width_mm(blurred, vessels) == pytest.approx(wanted, rel=0.06)
        noisy = reference + np.random.default_rng(0).normal(0, 60, reference.shape)
        assert sharpness.width_mm(noisy, vessels) == pytest.approx(own, rel=0.06)
    assert measured >= 5


@needs_ct
@pytest.mark.parametrize("patient", ["LIDC-IDRI-0002", "Lung_Dx-A0002"])
def test_a_blur_and_noise_of_a_real_slice_are_read_as_theory_says(patient):
    hu, spacing_mm = slices_of(patient)[2]
    reference = np.clip(hu, -1024, 3071).astype(float)
    edges = sharpness.edges_of(reference, body_mask(reference), pixel_mm=spacing_mm[0])
    own = sharpness.rise_mm(reference, edges)
    for blur_px in (1.0, 2.0):
        wanted = np.hypot(own, RISE_OF_A_GAUSSIAN * blur_px * spacing_mm[0])
        blurred = ndimage.gaussian_filter(reference, blur_px)
        assert sharpness.rise_mm(blurred, edges) == pytest.approx(wanted, rel=0.05)
    noisy = reference + np.random.default_rng(0).normal(0, 60, reference.shape)
    assert sharpness.rise_mm(noisy, edges) == pytest.approx(own, rel=0.04)


def test_an_output_is_read_at_the_places_of_the_normal_dose():
    reference = lung_in_body(1.0)
    edges = sharpness.edges_of(reference, BODY, pixel_mm=PIXEL_MM)
    jagged = np.where(reference > -405, 40.0, -850.0)  # sharper than the normal dose
    shifted = np.roll(reference, 1, axis=1)  # an edge out of place is no sharper for it
    own = sharpness.rise_mm(reference, edges)
    assert sharpness.rise_mm(jagged, edges) < 0.6 * own
    assert own < sharpness.rise_mm(shifted, edges) < 1.3 * own


def test_the_bodys_rim_is_no_edge_and_few_edges_are_none():
    water = painted(256, PIXEL_MM, [(0, 70, 70)])
    assert sharpness.edges_of(water, BODY, pixel_mm=PIXEL_MM) is None
    small = painted(64, PIXEL_MM, [(40, 21, 21), (-850, 8, 8)])  # 72 px of edge
    assert sharpness.edges_of(small, body_mask(small), pixel_mm=PIXEL_MM) is None


def test_what_has_no_rise_or_is_no_number():
    edges = sharpness.edges_of(lung_in_body(1.0), BODY, pixel_mm=PIXEL_MM)
    assert sharpness.rise_mm(np.zeros((256, 256)), edges) is None
    with pytest.raises(ValueError, match="NaN"):
        sharpness.rise_mm(np.full((256, 256), np.nan), edges)


LUNG = np.ones((200, 200), bool)


def vessels_in_lung(sd_px: float, contrast_hu: float = 600.0) -> np.ndarray:
    """Three rings of a Gaussian profile."""
    distance = np.hypot(*(np.indices(LUNG.shape) - 99.7))
    rings = [np.exp(-(((distance - radius) / sd_px) ** 2) / 2) for radius in (20, 45, 70)]
    return -850 + contrast_hu * sum(rings)


@pytest.mark.parametrize("blur_px", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("sd_px", [1.0, 1.5])
def test_the_width_of_a_gaussian_vessel_is_theorys(sd_px, blur_px):
    reference = vessels_in_lung(sd_px)
    vessels = sharpness.vessels_of(reference, LUNG, pixel_mm=PIXEL_MM)
    wanted = WIDTH_OF_A_GAUSSIAN * np.hypot(sd_px, blur_px) * PIXEL_MM
    blurred = ndimage.gaussian_filter(reference, blur_px)
    assert sharpness.width_mm(blurred, vessels) == pytest.approx(wanted, rel=0.03)
    radius = np.hypot(*(vessels.place - 99.7))
    assert np.abs(radius[:, None] - [20, 45, 70]).min(1).max() < 0.2
    towards = (vessels.place - 99.7) / radius
    assert np.abs((towards * vessels.across).sum(0)).min() > 0.99


def test_noise_moves_neither_the_vessels_nor_their_width():
    clean = vessels_in_lung(1.3)
    noisy = clean + np.random.default_rng(2).normal(0, 60, clean.shape)
    vessels = sharpness.vessels_of(noisy, LUNG, pixel_mm=PIXEL_MM)
    wanted = WIDTH_OF_A_GAUSSIAN * 1.3 * PIXEL_MM
    assert sharpness.width_mm(clean, vessels) == pytest.approx(wanted, rel=0.04)
    assert sharpness.width_mm(noisy, vessels) == pytest.approx(wanted, rel=0.06)


def test_noise_edges_and_wide_vessels_are_no_vessels():
    noise = np.random.default_rng(3).normal(-850, 60, LUNG.shape)
    assert sharpness.vessels_of(noise, LUNG, pixel_mm=PIXEL_MM) is None
    edge = np.where(np.indices(LUNG.shape)[0] > 100, -850.0, -200.0)
    assert sharpness.vessels_of(edge, LUNG, pixel_mm=PIXEL_MM) is None
    assert sharpness.vessels_of(vessels_in_lung(4), LUNG, pixel_mm=PIXEL_MM) is None
    assert sharpness.vessels_of(vessels_in_lung(1.3), ~LUNG, pixel_mm=PIXEL_MM) is None


def test_an_output_that_lost_its_vessels_has_no_width():
    vessels = sharpness.vessels_of(vessels_in_lung(1.3), LUNG, pixel_mm=PIXEL_MM)
    assert sharpness.width_mm(np.full(LUNG.shape, -850.0), vessels) is None
    assert sharpness.width_mm(vessels_in_lung(1.3, -100), vessels) is None  # darker than lung
    with pytest.raises(ValueError, match="NaN"):
        sharpness.width_mm(np.full(LUNG.shape, np.nan), vessels)
