"""The prototype in ../shared/reference gives the same numbers; skipped where it is not there."""

import numpy as np
import pytest

from srgan.lowdose import estimate_photons, projection_noise
from srgan.lowdose.projection_noise import Scanner
from srgan.lowdose.projector import filter_response, filtered, projector, variance_map
from tests.helpers import dose_phantoms, real_slices

SIZE, PIXEL_MM = 256, 1.4
CUTOFF = 2 * PIXEL_MM * 0.74  # the prototype counts in units of Nyquist


@pytest.fixture(scope="module")
def reference():
    return real_slices.oracle("low_dose")


@pytest.fixture(scope="module")
def thorax():
    return dose_phantoms.thorax(SIZE, PIXEL_MM)


def test_line_integrals_are_those_of_the_prototype(reference, thorax):
    theirs = reference.gridder(SIZE)
    lines = reference.line_integrals(thorax, PIXEL_MM, theirs)
    lines = lines + reference.bowtie(theirs, PIXEL_MM, strength=0.25)
    ours = projection_noise.attenuation(thorax, PIXEL_MM, Scanner())
    np.testing.assert_allclose(ours, lines, atol=1e-4)


def test_filtered_backprojection_is_that_of_the_prototype(reference, thorax):
    theirs, ours = reference.gridder(SIZE), projector(SIZE, 360)
    lines = reference.line_integrals(thorax, PIXEL_MM, theirs)
    wanted = theirs.fbp(lines, "hann", CUTOFF)
    np.testing.assert_allclose(
        filtered(ours, lines[None], CUTOFF / 2)[0], wanted, atol=1e-4 * wanted.max()
    )


def test_variance_is_that_of_the_prototype(reference, thorax):
    theirs, ours = reference.gridder(SIZE), projector(SIZE, 360)
    variance = np.exp(reference.line_integrals(thorax, PIXEL_MM, theirs))
    wanted = reference.variance_map(theirs, variance, theirs.ramp * theirs.window("hann", CUTOFF))
    found = variance_map(ours, variance[None], filter_response(ours, CUTOFF / 2))
    np.testing.assert_allclose(found[0], wanted, rtol=1e-3)


def test_matched_photons_are_those_of_the_prototype_within_its_noise(reference):
    """The prototype estimates from sampled noise where we have a closed form."""
    rng, theirs = np.random.default_rng(0), reference.gridder(512)
    hu = dose_phantoms.with_anatomy(dose_phantoms.thorax(), rng)
    scan = dose_phantoms.counted(hu, 0.7, 3e5, Scanner(), rng)[0]
    lines = reference.line_integrals(scan, 0.7, theirs)
    bowtie = reference.bowtie(theirs, 0.7, strength=0.25)
    samples = [
        reference.match_n0(scan, lines, 0.7, theirs, 10, rng, "hann", 2 * 0.7 * 0.74, bowtie)
        for _ in range(8)
    ]
    photons, sd_hu = np.mean(samples, 0)
    found = estimate_photons.estimate(scan, dose_phantoms.SPACING, Scanner())
    assert found.photons == pytest.approx(photons, rel=0.03)
    assert found.sd_hu == pytest.approx(sd_hu, rel=0.015)
