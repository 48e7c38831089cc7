"""The level of projection noise, against scans that are counted photon by photon."""

import numpy as np
import pytest

from srgan.lowdose import projection_noise
from srgan.lowdose.projection_noise import Scanner
from srgan.lowdose.projector import filtered, projector
from srgan.metrics import noise_power
from tests.helpers import dose_phantoms
from tests.helpers.dose_phantoms import SPACING, counted, ellipse, realisations, sd_over, spread

PLAIN = Scanner(bowtie=0.0)  # as the reference values were measured
NO_ELECTRONICS = Scanner(bowtie=0.0, electronic_noise=0.0)
WATER = 448  # pixels of 0.70 mm that hold 30 cm


def centre(size: int = WATER, pixel_mm: float = 0.7, radius: float = 20.0) -> np.ndarray:
    return ellipse(size, pixel_mm, radius, radius) == 1


@pytest.fixture(scope="module")
def water_by_dose():
    """SD in the centre of 30 cm water at 1e6 photons and less, counted and inserted."""
    doses, rng = (1.0, 0.5, 0.2, 0.1, 0.05), np.random.default_rng(0)
    water, mask = dose_phantoms.water(WATER), centre()
    depth = projection_noise.attenuation(water, 0.7, NO_ELECTRONICS)
    direct, inserted = [], []
    for _ in range(20):
        scans = counted(water, 0.7, 1e6, NO_ELECTRONICS, rng, doses, depth)
        fields = projection_noise.noise_fields(scans[0], SPACING, 1e6, NO_ELECTRONICS, 0.05, rng)
        direct.append(scans[:, mask])
        inserted.append([projection_noise.insert(scans[0], fields, dose)[mask] for dose in doses])
    made = {"counted": direct, "inserted": inserted}
    return np.array(doses), {k: np.sqrt(spread(np.array(v)).mean(-1)) for k, v in made.items()}


@pytest.mark.slow
@pytest.mark.parametrize("how", ["counted", "inserted"])
def test_noise_sd_times_the_root_of_the_photons_is_constant(water_by_dose, how):
    doses, found = water_by_dose
    constant = found[how] * np.sqrt(doses)
    assert constant.max() / constant.min() - 1 < 0.03


@pytest.fixture(scope="module", params=[1.5e6, 3e5], ids=["1.5e6 photons", "3e5 photons"])
def thorax_scans(request):
    """Forty scans of the thorax at full dose and at DOSES, counted; and the same doses inserted.

    {region: (counted (40, 1 + doses, pixels), inserted (40, doses, pixels))}. Line integrals for
    the insertion are read from the noisy full dose, as in use.
    """
    photons, rng = request.param, np.random.default_rng(int(request.param))
    thorax, regions = dose_phantoms.thorax(), dose_phantoms.regions()
    depth = projection_noise.attenuation(thorax, 0.7, PLAIN)
    found = {name: ([], []) for name in regions}
    for _ in range(40):
        scans = counted(thorax, 0.7, photons, PLAIN, rng, (1.0, *DOSES), depth)
        fields = projection_noise.noise_fields(scans[0], SPACING, photons, PLAIN, min(DOSES), rng)
        low = np.array([projection_noise.insert(scans[0], fields, dose) for dose in DOSES])
        for name, mask in regions.items():
            found[name][0].append(scans[:, mask])
            found[name][1].append(low[:, mask])
    return {name: tuple(map(np.array, both)) for name, both in found.items()}


DOSES = (0.5, 0.25, 0.1)


@pytest.mark.slow
@pytest.mark.parametrize("region", dose_phantoms.regions(64, 5.6))
def test_inserted_noise_is_within_3_percent_of_counting_in_each_region(thorax_scans, region):
    direct, inserted = thorax_scans[region]
    for k in range(len(DOSES)):
        known, ours = direct[:, 1 + k], inserted[:, k]
        assert abs(np.sqrt(spread(ours).mean() / spread(known).mean()) - 1) < 0.03
        for scans in (known, ours):  # the standard error, from one realisation to the next
            each = ((scans - scans.mean(0)) ** 2).mean(1)
            assert each.std(ddof=1) / each.mean() / 2 / np.sqrt(len(each)) < 0.01


@pytest.mark.slow
@pytest.mark.parametrize("region", dose_phantoms.regions(64, 5.6))
def test_insert_moves_no_mean_by_half_a_hu(thorax_scans, region):
    direct, inserted = thorax_scans[region]
    assert abs((inserted[:, DOSES.index(0.25)] - direct[:, 0]).mean()) <= 0.5


@pytest.mark.parametrize(
    ("photons", "dose", "expected", "tolerance"),
    [(1e6, 0.32, 1.05, 0.01), (2e5, 0.05, 2.05, 0.03 * 2.05)],
)
def test_unit_variance_has_the_electronic_over_quantum_noise_of_theory(
    photons, dose, expected, tolerance
):
    """1008 and 31.5 photons in the central rays: sqrt(1 + 100 / N) in closed form."""
    quantum, electronic = projection_noise.unit_variance(dose_phantoms.water(WATER), SPACING, PLAIN)
    counts = photons * dose
    share = 100 * electronic[centre()].mean() / counts / quantum[centre()].mean()
    assert abs(np.sqrt(1 + share) - expected) < tolerance


@pytest.mark.slow
@pytest.mark.parametrize(
    ("photons", "dose", "expected", "tolerance"),
    [(1e6, 0.32, 1.05, 0.01), (2e5, 0.05, 2.05, 0.03 * 2.05)],
)
def test_inserted_electronic_noise_is_that_of_the_closed_form(photons, dose, expected, tolerance):
    """Counted full dose and insertion; the same photons are counted with electronics and without.

    Counting at the low dose itself says the same at 1008 photons (the first); at 31.5 photons of
    SD 11.5 the logarithm of a count is no longer linear, and counting has 2.6 for 2.05.
    """
    water, mask = dose_phantoms.water(WATER), centre()
    depth = projection_noise.attenuation(water, 0.7, PLAIN)
    found = {scanner: ([], []) for scanner in (PLAIN, NO_ELECTRONICS)}
    for scanner, (inserted, direct) in found.items():
        for seed in range(24):
            rng = np.random.default_rng(seed)
            full, low = counted(water, 0.7, photons, scanner, rng, (1.0, dose), depth)
            rng = np.random.default_rng(1000 + seed)
            inserted.append(projection_noise.low_dose(full, SPACING, dose, photons, scanner, rng))
            direct.append(low)
    ratios = [
        sd_over(np.array(a), mask) / sd_over(np.array(b), mask)
        for a, b in zip(*found.values(), strict=True)
    ]
    assert abs(ratios[0] - expected) < tolerance
    if dose == 0.32:
        assert abs(ratios[1] - expected) < tolerance


def test_noise_sd_depends_neither_on_the_views_nor_on_the_pixel_size():
    def sd_in_centre(pixel_mm=0.7, views=360):
        water, scanner = dose_phantoms.water(512, pixel_mm), Scanner(views=views)
        made = projection_noise.noise_sd_hu(water, (pixel_mm, pixel_mm), 3e5, scanner, 0.25)
        return made[centre(512, pixel_mm)].mean()

    by_views = [sd_in_centre(views=views) for views in (90, 360, 720)]
    by_pixels = [sd_in_centre(pixel_mm) for pixel_mm in (0.6, 0.7, 0.8, 0.95)]
    for found in (by_views, by_pixels):
        assert max(found) / min(found) - 1 < 0.04


def test_noise_sd_hu_is_the_sd_of_realisations_within_3_percent():
    thorax, spacing = dose_phantoms.thorax(192, 1.87), (1.87, 1.87)
    fields = realisations(thorax, 1e6, Scanner(), 0.25, range(48), 1.87)
    made = np.array([projection_noise.insert(np.zeros_like(thorax), f, 0.25) for f in fields])
    closed = projection_noise.noise_sd_hu(thorax, spacing, 1e6, Scanner(), 0.25)
    for mask in dose_phantoms.regions(192, 1.87).values():
        assert abs(np.sqrt((made[:, mask] ** 2).mean() / (closed[mask] ** 2).mean()) - 1) < 0.03


def one_reading_noise(hu, pixel_mm, photons, scanner, dose, lowest_dose, rng) -> np.ndarray:
    """What `insert` adds, made at this dose from one number a reading."""
    geometry = projector(len(hu), scanner.views)
    start, sigma = scanner.readings(photons, pixel_mm)
    counts = start * np.exp(-projection_noise.attenuation(hu, pixel_mm, scanner))
    counts = np.maximum(counts, max(3, sigma) / lowest_dose)
    variance = (1 - dose) / dose / counts + (1 - dose**2) / dose**2 * (sigma / counts) ** 2
    readings = np.sqrt(variance) * rng.standard_normal(counts.shape)
    images = filtered(geometry, readings[None], scanner.filter_cutoff * pixel_mm)
    return images[0] * scanner.hu_per_line(pixel_mm)


@pytest.mark.parametrize("dose", [0.5, 0.2, 0.05])
def test_noise_fields_scaled_to_a_dose_are_the_noise_made_at_that_dose(dose):
    """At 1e4 photons the floor of dose 0.05 holds the rays behind heart and spine."""
    pixel_mm, lowest = 1.4, 0.05
    thorax, regions = dose_phantoms.thorax(256, pixel_mm), dose_phantoms.regions(256, pixel_mm)
    fields = realisations(thorax, 1e4, PLAIN, lowest, range(24), pixel_mm)
    assert 0.001 < fields[0].at_floor < 0.5
    scaled = np.array([projection_noise.insert(np.zeros_like(thorax), f, dose) for f in fields])
    rng = np.random.default_rng(99)
    made = [one_reading_noise(thorax, pixel_mm, 1e4, PLAIN, dose, lowest, rng) for _ in range(24)]
    made = np.array(made)
    for name in ("heart", "lung", "air"):
        assert abs(sd_over(scaled, regions[name]) / sd_over(made, regions[name]) - 1) < 0.03
    body = ellipse(256, pixel_mm, 165, 110) == 1
    powers = [
        noise_power.nps(images, pixel_mm=pixel_mm, box=32, mask=body).power
        for images in (scaled, made)
    ]
    assert np.abs(powers[0] / powers[1] - 1).max() < 0.1
