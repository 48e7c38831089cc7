"""Photon estimates: of a slice, along a series, and for a given noise."""

import numpy as np
import pytest
from scipy import ndimage

from srgan.lowdose import estimate_photons, projection_noise
from srgan.lowdose.estimate_photons import (
    DEFAULT_PHOTONS,
    Estimate,
    along_series,
    estimate,
    of_water,
)
from srgan.lowdose.projection_noise import Scanner
from tests.helpers import dose_phantoms
from tests.helpers.dose_phantoms import SPACING, counted, ellipse


@pytest.fixture(scope="module")
def chest():
    """The thorax with 12 HU of smooth anatomy, and its attenuation."""
    hu = dose_phantoms.with_anatomy(dose_phantoms.thorax(), np.random.default_rng(0))
    return hu, projection_noise.attenuation(hu, 0.7, Scanner())


def full_dose_noise(hu, photons, scanner, mask, realisations=8, pixel_mm=0.7) -> float:
    """SD in a mask of the modelled noise at full dose."""
    made = []
    for seed in range(realisations):
        rng = np.random.default_rng(seed)
        fields = projection_noise.noise_fields(hu, (pixel_mm, pixel_mm), photons, scanner, 1, rng)
        made.append((fields.quantum + fields.electronic)[mask])
    return float(np.sqrt(np.mean(np.square(made))))


@pytest.mark.parametrize("sigma", [0.0, 10.0])
@pytest.mark.parametrize("photons", [2e6, 1e6, 3e5, 1e5, 3e4])
def test_estimate_finds_5_to_40_hu_within_10_percent_and_photons_within_15(chest, photons, sigma):
    """Slices counted photon by photon; their noise is known from the difference of two."""
    (hu, depth), scanner = chest, Scanner(electronic_noise=sigma)
    rng = np.random.default_rng(1)
    one, other = (counted(hu, 0.7, photons, scanner, rng, depth=depth)[0] for _ in range(2))
    known = (one - other)[estimate_photons.flat_soft_tissue(one)].std() / np.sqrt(2)
    assert 4.5 < known < 50
    found = estimate(one, SPACING, scanner)
    assert abs(found.sd_hu / known - 1) < 0.10
    assert abs(found.photons / photons - 1) < 0.15


def test_estimate_does_not_take_fine_anatomy_beside_flat_tissue_for_noise(chest):
    """Vessels at both sides, 30 HU: without the choice of the flatter half 0.64 of the photons."""
    hu, rng = chest[0], np.random.default_rng(4)
    vessels = ndimage.gaussian_filter(rng.standard_normal(hu.shape), 2)
    sides = (ellipse(512, 0.7, 60, 115, -110) + ellipse(512, 0.7, 60, 115, 110)) * (hu > -200)
    scan = counted(hu + 30 / vessels.std() * vessels * sides, 0.7, 1e6, Scanner(), rng)[0]
    assert abs(estimate(scan, SPACING, Scanner()).photons / 1e6 - 1) < 0.15


def test_estimate_depends_neither_on_dtype_nor_on_padding(chest):
    hu, depth = chest
    scan = counted(hu, 0.7, 3e5, Scanner(), np.random.default_rng(2), depth=depth)[0]
    found = estimate(scan, SPACING, Scanner())
    whole = estimate(np.rint(scan).astype(np.int16), SPACING, Scanner())
    assert whole.photons == pytest.approx(found.photons, rel=0.01)
    padded = scan.copy()
    padded[:, :10] = -3000  # 7 mm of air
    assert estimate(padded, SPACING, Scanner()).photons == pytest.approx(found.photons, rel=0.01)


def test_estimate_with_noise_hu_gives_photons_with_that_noise_in_soft_tissue(chest):
    hu, _ = chest
    for wanted, scanner in ((15.0, Scanner()), (40.0, Scanner(electronic_noise=30.0))):
        found = estimate(hu, SPACING, scanner, noise_hu=wanted)
        assert found.sd_hu == pytest.approx(wanted, rel=1e-4)
        mask = estimate_photons.flat_soft_tissue(hu)
        assert full_dose_noise(hu, found.photons, scanner, mask) == pytest.approx(wanted, rel=0.03)


@pytest.mark.parametrize("pixel_mm", [0.7, 0.95])
def test_of_water_gives_photons_with_that_noise_in_its_centre(pixel_mm):
    photons = of_water(20.0, Scanner(), pixel_mm)
    water, centre = dose_phantoms.water(512, pixel_mm), ellipse(512, pixel_mm, 20, 20) == 1
    found = full_dose_noise(water, photons, Scanner(), centre, 12, pixel_mm)
    assert found == pytest.approx(20.0, rel=0.03)


def test_estimate_is_none_without_flat_soft_tissue_or_without_noise():
    nothing = Estimate(None, None)
    lung = dose_phantoms.painted(128, 2.8, [(-850, 150, 110)])
    small = dose_phantoms.painted(128, 2.8, [(40, 40, 40)])
    for hu in (lung, small, np.full((128, 128), -3000, np.int16), np.full((128, 128), 3071.0)):
        assert estimate(hu, (2.8, 2.8), Scanner()) == nothing
        assert estimate(hu, (2.8, 2.8), Scanner(), noise_hu=20.0) == nothing
    assert estimate(np.full((128, 128), 40.0), (2.8, 2.8), Scanner()) == nothing


def test_along_series_outvotes_one_wrong_estimate():
    photons = [1e5 * 1.01**i for i in range(20)]
    photons[7] = 4e5
    found = along_series([Estimate(p, 10.0) for p in photons])
    for i in range(4, 16):
        assert found[i] == pytest.approx(1e5 * 1.01**i, rel=0.02)


def test_along_series_ignores_slices_over_15_mm_away():
    estimates = [Estimate(p, 10.0) for p in (1e5, 2e5, 3e5, 4e5, 5e5)]
    assert along_series(estimates, z_mm=[0, 20, 40, 60, 80]) == [1e5, 2e5, 3e5, 4e5, 5e5]
    assert along_series(estimates, z_mm=[0, 10, 20, 30, 40]) == [1.5e5, 2e5, 3e5, 4e5, 4.5e5]
    assert along_series(estimates) == [3e5] * 5


def test_along_series_fills_gaps_by_neighbours_then_series_then_default():
    none = Estimate(None, None)
    known = Estimate(2e5, 10.0), Estimate(4e5, 10.0)
    assert along_series([known[0], none, known[1]]) == [3e5] * 3
    assert along_series([*known, none], z_mm=[0, 5, 100]) == [3e5] * 3
    assert along_series([none] * 3) == [DEFAULT_PHOTONS] * 3
    assert along_series([none] * 3, default=5e4) == [5e4] * 3
    assert along_series([]) == []


def test_along_series_clips_to_plausible_photons():
    assert along_series([Estimate(10.0, 900.0)] * 3) == [1e4] * 3
    assert along_series([Estimate(1e12, 0.01)] * 3) == [1e7] * 3
