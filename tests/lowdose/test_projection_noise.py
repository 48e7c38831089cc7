"""Low dose in the projections: how much noise, where, of what texture, and from which numbers."""

import numpy as np
import pytest
from scipy import ndimage

from srgan import cli, settings
from srgan.lowdose import image_noise, projection_noise
from srgan.lowdose.projection_noise import Fields, Scanner
from srgan.lowdose.projector import filtered, hann, projector
from srgan.metrics import noise_power
from srgan.resampling import area_mean
from srgan.system.errors import UserError
from tests.helpers import dose_phantoms
from tests.helpers.dose_phantoms import SPACING, counted, ellipse, spread

PLAIN = Scanner(bowtie=0.0)  # as the reference figures are measured
NO_ELECTRONICS = Scanner(bowtie=0.0, electronic_noise=0.0)
WATER = 448  # pixels of 0.70 mm that hold 30 cm
NO_DOSE = pytest.mark.parametrize("dose", [0, -0.1, 1.2, float("nan")])


def sd(images: np.ndarray, mask: np.ndarray) -> float:
    """SD over realisations, the first axis, in a region."""
    return float(np.sqrt(spread(images[:, mask]).mean()))


def centre(size: int = WATER, pixel_mm: float = 0.7, radius: float = 20.0) -> np.ndarray:
    return ellipse(size, pixel_mm, radius, radius) == 1


def noise(hu, photons, scanner, lowest_dose, seeds, pixel_mm=0.7) -> list[Fields]:
    spacing = pixel_mm, pixel_mm
    return [
        projection_noise.noise_fields(
            hu, spacing, photons, scanner, lowest_dose, np.random.default_rng(seed)
        )
        for seed in seeds
    ]


# How much noise, against scans counted photon by photon


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
def test_noise_times_the_root_of_the_photons_is_constant_from_1e6_to_5e4(water_by_dose, how):
    doses, found = water_by_dose
    constant = found[how] * np.sqrt(doses)
    assert constant.max() / constant.min() - 1 < 0.03


@pytest.mark.slow
@pytest.mark.parametrize("how", ["counted", "inserted"])
def test_log_noise_falls_by_half_the_log_dose(water_by_dose, how):
    doses, found = water_by_dose
    assert abs(np.polyfit(np.log(doses), np.log(found[how]), 1)[0] + 0.5) < 0.02


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
def test_noise_is_within_3_percent_of_counting_in_each_region(thorax_scans, region):
    direct, inserted = thorax_scans[region]
    for k in range(len(DOSES)):
        known, ours = direct[:, 1 + k], inserted[:, k]
        assert abs(np.sqrt(spread(ours).mean() / spread(known).mean()) - 1) < 0.03
        for scans in (known, ours):  # the standard error, from one realisation to the next
            each = ((scans - scans.mean(0)) ** 2).mean(1)
            assert each.std(ddof=1) / each.mean() / 2 / np.sqrt(len(each)) < 0.01


@pytest.mark.slow
@pytest.mark.parametrize("region", dose_phantoms.regions(64, 5.6))
def test_insertion_moves_no_mean_by_half_a_hu(thorax_scans, region):
    direct, inserted = thorax_scans[region]
    assert abs((inserted[:, DOSES.index(0.25)] - direct[:, 0]).mean()) <= 0.5


@pytest.mark.parametrize(
    ("photons", "dose", "expected", "tolerance"),
    [(1e6, 0.32, 1.05, 0.01), (2e5, 0.05, 2.05, 0.03 * 2.05)],
)
def test_electronic_noise_over_quantum_noise_behind_30_cm_of_water(
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
def test_electronic_noise_of_realisations_is_that_of_the_closed_form(
    photons, dose, expected, tolerance
):
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
        sd(np.array(a), mask) / sd(np.array(b), mask) for a, b in zip(*found.values(), strict=True)
    ]
    assert abs(ratios[0] - expected) < tolerance
    if dose == 0.32:
        assert abs(ratios[1] - expected) < tolerance


def test_noise_does_not_depend_on_the_views():
    found = []
    for views in (90, 360, 720):
        scanner = Scanner(views=views)
        water = dose_phantoms.water(WATER)
        found.append(
            projection_noise.noise_sd_hu(water, SPACING, 3e5, scanner, 0.25)[centre()].mean()
        )
    assert max(found) / min(found) - 1 < 0.04


def test_noise_does_not_depend_on_the_pixel_size():
    found = []
    for pixel_mm in (0.6, 0.7, 0.8, 0.95):
        water, spacing = dose_phantoms.water(512, pixel_mm), (pixel_mm, pixel_mm)
        made = projection_noise.noise_sd_hu(water, spacing, 3e5, Scanner(), 0.25)
        found.append(made[centre(512, pixel_mm)].mean())
    assert max(found) / min(found) - 1 < 0.04


@pytest.mark.slow
@pytest.mark.parametrize("views", [90, 720])
def test_realisations_with_other_views_have_the_noise_of_360(views):
    water, mask = dose_phantoms.water(WATER), centre()
    found = []
    for scanner in (Scanner(), Scanner(views=views)):
        fields = noise(water, 3e5, scanner, 0.25, range(16))
        found.append(sd(np.array([projection_noise.insert(water, f, 0.25) for f in fields]), mask))
    assert abs(found[1] / found[0] - 1) < 0.04


def test_the_noise_map_is_the_noise_of_realisations_within_3_percent():
    thorax, spacing = dose_phantoms.thorax(192, 1.87), (1.87, 1.87)
    fields = noise(thorax, 1e6, Scanner(), 0.25, range(48), 1.87)
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
def test_fields_scaled_to_a_dose_are_the_noise_made_at_that_dose(dose):
    """At 1e4 photons the floor of dose 0.05 holds the rays behind heart and spine."""
    pixel_mm, lowest = 1.4, 0.05
    thorax, regions = dose_phantoms.thorax(256, pixel_mm), dose_phantoms.regions(256, pixel_mm)
    fields = noise(thorax, 1e4, PLAIN, lowest, range(24), pixel_mm)
    assert 0.001 < fields[0].at_floor < 0.5
    scaled = np.array([projection_noise.insert(np.zeros_like(thorax), f, dose) for f in fields])
    rng = np.random.default_rng(99)
    made = [one_reading_noise(thorax, pixel_mm, 1e4, PLAIN, dose, lowest, rng) for _ in range(24)]
    made = np.array(made)
    for name in ("heart", "lung", "air"):
        assert abs(sd(scaled, regions[name]) / sd(made, regions[name]) - 1) < 0.03
    body = ellipse(256, pixel_mm, 165, 110) == 1
    powers = [
        noise_power.nps(images, pixel_mm=pixel_mm, box=32, mask=body).power
        for images in (scaled, made)
    ]
    assert np.abs(powers[0] / powers[1] - 1).max() < 0.1


# Texture and streaks


def test_texture_of_the_noise_of_30_cm_water():
    """Peak, falling half, low frequencies, and what a 4 x 4 mean leaves.

    In theory, with the power f H(f)^2, H the window: 0.224, 0.411 /mm, 0.14 and 0.39998.
    """
    water = dose_phantoms.water(WATER)
    fields = noise(water, 3e5, Scanner(), 1, range(20))
    images = np.concatenate([(f.quantum, f.electronic) for f in fields])
    mask = ellipse(WATER, 0.7, 140, 140) == 1
    coarse, middle, fine = (
        noise_power.nps(images, pixel_mm=0.7, box=box, mask=mask) for box in (32, 64, 128)
    )
    assert 0.20 <= coarse.peak <= 0.24  # so flat that finer bins do not find it
    assert 0.39 <= middle.half <= 0.43
    assert fine.power[0] <= fine.power.max() / 4
    theory = kept_by_area_mean(projector(WATER, 360), 0.74 * 0.7)
    assert 0.34 <= theory <= 0.40
    within = area_mean(mask.astype(np.float32), 4) == 1
    kept = sd(area_mean(images, 4), within) / sd(images, mask)
    assert kept == pytest.approx(theory, rel=0.01)


def kept_by_area_mean(geometry, cutoff: float) -> float:
    """SD after a 4 x 4 mean over SD before, of noise of the power f hann(f)^2."""
    f = np.fft.fftfreq(geometry.bins)
    radius = np.hypot(f, f[:, None])
    window = np.interp(radius, geometry.frequency, hann(geometry.frequency, cutoff), right=0)
    power = radius * window**2
    mean = np.abs(np.exp(2j * np.pi * f[:, None] * np.arange(4)).mean(1)) ** 2
    return float(np.sqrt((power * mean * mean[:, None]).sum() / power.sum()))


def test_noise_on_the_image_is_white_within_20_percent():
    flat = np.full((4, 256, 256), 40.0)
    made = image_noise.add_noise(flat, 1700.0, 0.005, np.random.default_rng(0)) - flat
    power = noise_power.nps(made, pixel_mm=0.7).power
    assert np.abs(power / power.mean() - 1).max() < 0.2


def streaks(hu: np.ndarray, photons: float, dose: float) -> float:
    """SD of 21-pixel means along the line between the inserts over that across, between them."""
    fields = noise(hu, photons, Scanner(), dose, range(3), 0.75)
    made = np.array([projection_noise.insert(np.zeros_like(hu), f, dose) for f in fields])
    between = ellipse(512, 0.75, 55, 20) == 1
    along, across = (ndimage.uniform_filter1d(made, 21, axis=axis) for axis in (2, 1))
    return along[:, between].std() / across[:, between].std()


@pytest.mark.parametrize("dose", [0.25, 0.1])
def test_starved_rays_between_dense_inserts_are_streaks(dose):
    assert streaks(dose_phantoms.starvation(), 3e5, dose) > 4


def test_a_round_body_has_no_streaks_and_an_oval_one_has_fewer():
    assert streaks(dose_phantoms.water(512, 0.75), 1e6, 0.25) == pytest.approx(1, abs=0.1)
    assert streaks(dose_phantoms.starvation(False), 1e6, 0.25) < 4


@pytest.mark.parametrize("photons", [1, 100, 3e5])
@pytest.mark.parametrize("dose", [0.001, 0.25])
@pytest.mark.parametrize("sigma", [0.0, 10.0])
def test_noise_of_hardly_any_photons_is_finite(photons, dose, sigma):
    hu, rng = dose_phantoms.starvation(True, 128, 3.0), np.random.default_rng(0)
    scanner = Scanner(electronic_noise=sigma)
    assert np.isfinite(projection_noise.low_dose(hu, (3, 3), dose, photons, scanner, rng)).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("hu", [3071, 32767, -32768])
def test_a_slice_of_one_value_has_finite_noise(hu):
    slice_hu, rng = np.full((128, 128), hu, np.int16), np.random.default_rng(0)
    assert np.isfinite(projection_noise.low_dose(slice_hu, (4, 4), 0.1, 3e5, Scanner(), rng)).all()
    assert np.isfinite(projection_noise.noise_sd_hu(slice_hu, (4, 4), 3e5, Scanner(), 0.1)).all()


@pytest.mark.filterwarnings("error")
def test_a_pixel_of_30000_hu_is_projected_as_any_other():
    hu, rng = dose_phantoms.thorax(128, 2.8), np.random.default_rng(0)
    hu[70, 50] = 30000
    assert np.isfinite(projection_noise.low_dose(hu, (2.8, 2.8), 0.1, 3e5, Scanner(), rng)).all()
    assert np.isfinite(projection_noise.noise_sd_hu(hu, (2.8, 2.8), 3e5, Scanner(), 0.1)).all()


def test_padding_below_air_is_air():
    hu = dose_phantoms.thorax(128, 2.8)
    padded = np.where(hu < -999, -3000, hu)
    for a, b in zip(
        *(noise(x, 3e5, Scanner(), 0.1, [0], 2.8)[0] for x in (hu, padded)), strict=True
    ):
        np.testing.assert_array_equal(a, b)


# Seeds


def test_noise_of_different_seeds_is_not_correlated_and_of_the_same_seed_is_the_same():
    """All 21 pairs of seven seeds, and quantum against electronic noise of each."""
    thorax = dose_phantoms.thorax()
    fields = noise(thorax, 3e5, Scanner(), 0.25, range(7))
    made = [projection_noise.insert(np.zeros_like(thorax), f, 0.25).ravel() for f in fields]
    pairs = np.abs(np.corrcoef(made)[np.triu_indices(7, 1)])
    assert pairs.mean() < 0.01
    assert pairs.max() < 0.03
    own = [abs(np.corrcoef(f.quantum.ravel(), f.electronic.ravel())[0, 1]) for f in fields]
    assert np.mean(own) < 0.01
    assert max(own) < 0.03
    again = noise(thorax, 3e5, Scanner(), 0.25, [3])[0]
    np.testing.assert_array_equal(again.quantum, fields[3].quantum)
    np.testing.assert_array_equal(again.electronic, fields[3].electronic)


# Doses


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_dose_1_returns_the_input_bit_for_bit(dtype):
    hu, rng = dose_phantoms.thorax(128, 2.8).astype(dtype), np.random.default_rng(0)
    fields = projection_noise.noise_fields(hu, (2.8, 2.8), 3e5, Scanner(), 1, rng)
    for same in (
        projection_noise.insert(hu, fields, 1),
        projection_noise.low_dose(hu, (2.8, 2.8), 1.0, 3e5, Scanner(), rng),
    ):
        assert same.dtype == dtype
        np.testing.assert_array_equal(same, hu)


@NO_DOSE
def test_a_dose_that_is_none_is_refused_in_one_line(dose):
    hu, rng = dose_phantoms.thorax(64, 5.6), np.random.default_rng(0)
    fields = Fields(np.zeros_like(hu), np.zeros_like(hu), 0.0)
    for call in (
        lambda: projection_noise.insert(hu, fields, dose),
        lambda: projection_noise.low_dose(hu, (5.6, 5.6), dose, 3e5, Scanner(), rng),
        lambda: projection_noise.noise_fields(hu, (5.6, 5.6), 3e5, Scanner(), dose, rng),
        lambda: projection_noise.noise_sd_hu(hu, (5.6, 5.6), 3e5, Scanner(), dose),
    ):
        with pytest.raises(ValueError, match="dose must be greater than 0") as error:
            call()
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("run", ["train", "test", "simulate"])
@pytest.mark.parametrize("dose", ["0", "-0.1", "1.2", "nan", "0.5:0.1", "0.5,0"])
def test_a_dose_that_is_none_is_refused_on_the_command_line(run, dose):
    with pytest.raises(UserError, match=r"^--dose: ") as error:
        cli.parse(["--run", run, "--dose", dose])
    assert "\n" not in str(error.value)


def test_a_dose_with_noise_on_the_image_is_refused():
    for arguments in ("--dose 0.25 --noise image", "--dose 0.25"):
        with pytest.raises(UserError, match="--dose belongs to --noise projection"):
            settings.make(cli.parse(["--run", "train", *arguments.split()])[1])


# Shapes


@pytest.mark.parametrize("shape", [(100, 128), (101, 128), (128, 101), (101, 127)])
def test_slices_that_are_not_square_have_the_noise_of_the_square_around_them(shape):
    n, (rows, columns) = max(shape), shape
    square = dose_phantoms.painted(n, 2.8, [(40, 120, 110, 9, -7)])
    top, left = (n - rows) // 2, (n - columns) // 2
    place = np.s_[top : top + rows, left : left + columns]
    whole, part = (noise(hu, 3e5, Scanner(), 0.1, [5], 2.8)[0] for hu in (square, square[place]))
    assert part.quantum.shape == shape
    np.testing.assert_array_equal(part.quantum, whole.quantum[place])
    np.testing.assert_array_equal(part.electronic, whole.electronic[place])


@pytest.mark.parametrize("shape", [(128, 128), (129, 129), (100, 128), (101, 128), (128, 101)])
def test_noise_lies_where_the_body_is(shape):
    """The variance around a lone disc is symmetric about its centre."""
    row, column = 0.5 + shape[0] // 2 + 11, shape[1] // 2 - 8
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    distance = np.hypot(rows - row, columns - column)
    hu = np.clip(0.5 + 20 - distance, 0, 1) * 1000 - 1000
    variance, _ = projection_noise.unit_variance(hu, (3, 3), NO_ELECTRONICS)
    weight = np.where(distance < 26, variance - variance[distance < 26].min(), 0)
    assert abs((weight * rows).sum() / weight.sum() - row) < 0.1
    assert abs((weight * columns).sum() / weight.sum() - column) < 0.1


def test_pixels_that_are_not_square_are_refused():
    hu, rng = dose_phantoms.thorax(64, 5.6), np.random.default_rng(0)
    with pytest.raises(ValueError, match="not square"):
        projection_noise.low_dose(hu, (5.6, 5.7), 0.5, 3e5, Scanner(), rng)
    assert projection_noise.pixel_mm_of((0.700, 0.706)) == pytest.approx(0.703)


def test_the_bowtie_takes_photons_from_the_rim_alone():
    geometry = projector(512, 360)
    path = projection_noise.bowtie(geometry, 0.7, Scanner(bowtie=1.0))
    assert path[geometry.bins // 2] == 0
    chord = 2 * np.sqrt(np.maximum(160**2 - geometry.bin_mm(0.7) ** 2, 0))
    np.testing.assert_allclose(path + 0.0192 * chord, 0.0192 * 320, rtol=1e-5)
    np.testing.assert_allclose(
        projection_noise.bowtie(geometry, 0.7, Scanner()), path / 4, rtol=1e-5
    )
