"""Edges and vessels that were blurred by a known Gaussian, against theory."""

import numpy as np
import pytest
from scipy import ndimage

from srgan.masks import body_mask, lung_mask
from srgan.metrics.edges_and_vessels import (
    edge_rise_mm,
    find_edges,
    find_vessels,
    vessel_width_mm,
)
from tests.helpers.dose_phantoms import painted
from tests.helpers.real_slices import needs_ct, slices_of

PIXEL_MM = 0.7
RISE_OF_A_GAUSSIAN = 1.6832  # 20 to 80 % of an edge, in SDs
WIDTH_OF_A_GAUSSIAN = 2.3548


def lung_in_body(blur_px: float) -> np.ndarray:
    parts = [(40, 70, 70), (-850, 40, 40)]
    return ndimage.gaussian_filter(painted(256, PIXEL_MM, parts).astype(float), blur_px)


BODY = painted(256, PIXEL_MM, [(0, 70, 70)]) > -500


@pytest.mark.parametrize("blur_px", [0.8, 1.2, 2.0])
def test_the_rise_of_a_gaussian_edge_is_theorys(blur_px):
    reference = lung_in_body(blur_px)
    edges = find_edges(reference, BODY, pixel_mm=PIXEL_MM)
    pixel_too = np.hypot(blur_px, np.sqrt(1 / 12))
    wanted = RISE_OF_A_GAUSSIAN * pixel_too * PIXEL_MM
    assert edge_rise_mm(reference, edges) == pytest.approx(wanted, rel=0.03)
    distance = np.hypot(*(edges.centre_px - 127.5)) * PIXEL_MM
    np.testing.assert_allclose(distance, 40, atol=0.15)


def test_noise_moves_neither_the_edges_nor_their_rise():
    rng = np.random.default_rng(1)
    clean = lung_in_body(1.2)
    noisy = clean + rng.normal(0, 40, clean.shape)
    edges = find_edges(noisy, BODY, pixel_mm=PIXEL_MM)
    wanted = edge_rise_mm(clean, edges)
    assert edge_rise_mm(noisy, edges) == pytest.approx(wanted, rel=0.03)
    again = find_edges(clean, BODY, pixel_mm=PIXEL_MM)
    assert edge_rise_mm(clean, again) == pytest.approx(wanted, rel=0.03)


def check_under_blur(measure, reference, lines, of_a_gaussian: float, bound: float) -> None:
    """A known blur adds to the slice's own rise or width in squares."""
    own = measure(reference, lines)
    for blur_px in (1.0, 2.0):
        wanted = np.hypot(own, of_a_gaussian * blur_px * lines.pixel_mm)
        blurred = ndimage.gaussian_filter(reference, blur_px)
        assert measure(blurred, lines) == pytest.approx(wanted, rel=bound)


@needs_ct
def test_the_width_of_real_vessels_under_blur_and_noise_is_theorys():
    """Of the validation patient: every slice that shows enough of them."""
    measured = 0
    for hu, spacing_mm in slices_of("LIDC-IDRI-0003"):
        reference = np.clip(hu, -1024, 3071).astype(float)
        vessels = find_vessels(reference, lung_mask(reference), pixel_mm=spacing_mm[0])
        if vessels is None:
            continue
        measured += 1
        check_under_blur(vessel_width_mm, reference, vessels, WIDTH_OF_A_GAUSSIAN, 0.06)
        noisy = reference + np.random.default_rng(0).normal(0, 60, reference.shape)
        own = vessel_width_mm(reference, vessels)
        assert vessel_width_mm(noisy, vessels) == pytest.approx(own, rel=0.06)
    assert measured >= 5


@needs_ct
@pytest.mark.parametrize("patient", ["LIDC-IDRI-0002", "Lung_Dx-A0002"])
def test_the_rise_of_real_edges_under_blur_and_noise_is_theorys(patient):
    hu, spacing_mm = slices_of(patient)[2]
    reference = np.clip(hu, -1024, 3071).astype(float)
    edges = find_edges(reference, body_mask(reference), pixel_mm=spacing_mm[0])
    check_under_blur(edge_rise_mm, reference, edges, RISE_OF_A_GAUSSIAN, 0.05)
    noisy = reference + np.random.default_rng(0).normal(0, 60, reference.shape)
    assert edge_rise_mm(noisy, edges) == pytest.approx(edge_rise_mm(reference, edges), rel=0.04)


def test_edge_rise_of_an_output_is_read_at_the_edges_of_the_normal_dose():
    reference = lung_in_body(1.0)
    edges = find_edges(reference, BODY, pixel_mm=PIXEL_MM)
    jagged = np.where(reference > -405, 40.0, -850.0)  # sharper than the normal dose
    shifted = np.roll(reference, 1, axis=1)  # an edge out of place is no sharper for it
    own = edge_rise_mm(reference, edges)
    assert edge_rise_mm(jagged, edges) < 0.6 * own
    assert own < edge_rise_mm(shifted, edges) < 1.3 * own


def test_find_edges_leaves_out_the_rim_of_the_body_and_needs_100_places():
    water = painted(256, PIXEL_MM, [(0, 70, 70)])
    assert find_edges(water, BODY, pixel_mm=PIXEL_MM) is None
    small = painted(64, PIXEL_MM, [(40, 21, 21), (-850, 8, 8)])  # 72 px of edge
    assert find_edges(small, body_mask(small), pixel_mm=PIXEL_MM) is None


def test_edge_rise_is_none_for_a_flat_image_and_refuses_nan():
    edges = find_edges(lung_in_body(1.0), BODY, pixel_mm=PIXEL_MM)
    assert edge_rise_mm(np.zeros((256, 256)), edges) is None
    with pytest.raises(ValueError, match="NaN"):
        edge_rise_mm(np.full((256, 256), np.nan), edges)


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
    vessels = find_vessels(reference, LUNG, pixel_mm=PIXEL_MM)
    wanted = WIDTH_OF_A_GAUSSIAN * np.hypot(sd_px, blur_px) * PIXEL_MM
    blurred = ndimage.gaussian_filter(reference, blur_px)
    assert vessel_width_mm(blurred, vessels) == pytest.approx(wanted, rel=0.03)
    radius = np.hypot(*(vessels.centre_px - 99.7))
    assert np.abs(radius[:, None] - [20, 45, 70]).min(1).max() < 0.2
    towards = (vessels.centre_px - 99.7) / radius
    assert np.abs((towards * vessels.direction).sum(0)).min() > 0.99


def test_noise_moves_neither_the_vessels_nor_their_width():
    clean = vessels_in_lung(1.3)
    noisy = clean + np.random.default_rng(2).normal(0, 60, clean.shape)
    vessels = find_vessels(noisy, LUNG, pixel_mm=PIXEL_MM)
    wanted = WIDTH_OF_A_GAUSSIAN * 1.3 * PIXEL_MM
    assert vessel_width_mm(clean, vessels) == pytest.approx(wanted, rel=0.04)
    assert vessel_width_mm(noisy, vessels) == pytest.approx(wanted, rel=0.06)


def test_find_vessels_takes_neither_noise_nor_edges_nor_wide_vessels():
    noise = np.random.default_rng(3).normal(-850, 60, LUNG.shape)
    assert find_vessels(noise, LUNG, pixel_mm=PIXEL_MM) is None
    edge = np.where(np.indices(LUNG.shape)[0] > 100, -850.0, -200.0)
    assert find_vessels(edge, LUNG, pixel_mm=PIXEL_MM) is None
    assert find_vessels(vessels_in_lung(4), LUNG, pixel_mm=PIXEL_MM) is None
    assert find_vessels(vessels_in_lung(1.3), ~LUNG, pixel_mm=PIXEL_MM) is None


def test_vessel_width_is_none_where_the_output_lost_its_vessels():
    vessels = find_vessels(vessels_in_lung(1.3), LUNG, pixel_mm=PIXEL_MM)
    assert vessel_width_mm(np.full(LUNG.shape, -850.0), vessels) is None
    assert vessel_width_mm(vessels_in_lung(1.3, -100), vessels) is None  # darker than lung
    with pytest.raises(ValueError, match="NaN"):
        vessel_width_mm(np.full(LUNG.shape, np.nan), vessels)
