"""Projection noise: texture, extreme input, seeds, doses and shapes."""

import numpy as np
import pytest
from scipy import ndimage

from srgan.lowdose import image_noise, projection_noise
from srgan.lowdose.projection_noise import Fields, Scanner
from srgan.lowdose.projector import hann, projector
from srgan.metrics import noise_power
from srgan.resampling import area_mean
from tests.helpers import dose_phantoms
from tests.helpers.dose_phantoms import ellipse, realisations, sd_over

NO_ELECTRONICS = Scanner(bowtie=0.0, electronic_noise=0.0)
WATER = 448  # pixels of 0.70 mm that hold 30 cm
BAD_DOSE = pytest.mark.parametrize("dose", [0, -0.1, 1.2, float("nan")])


# Texture and streaks


def test_texture_of_noise_fields_in_water_is_theorys():
    """Peak, falling half, low frequencies, and what a 4 x 4 mean leaves.

    In theory, with the power f H(f)^2, H the window: 0.224, 0.411 /mm, 0.14 and 0.39998.
    """
    water = dose_phantoms.water(WATER)
    fields = realisations(water, 3e5, Scanner(), 1, range(20))
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
    kept = sd_over(area_mean(images, 4), within) / sd_over(images, mask)
    assert kept == pytest.approx(theory, rel=0.01)


def kept_by_area_mean(geometry, cutoff: float) -> float:
    """SD after a 4 x 4 mean over SD before, of noise of the power f hann(f)^2."""
    f = np.fft.fftfreq(geometry.bins)
    radius = np.hypot(f, f[:, None])
    window = np.interp(radius, geometry.frequency, hann(geometry.frequency, cutoff), right=0)
    power = radius * window**2
    mean = np.abs(np.exp(2j * np.pi * f[:, None] * np.arange(4)).mean(1)) ** 2
    return float(np.sqrt((power * mean * mean[:, None]).sum() / power.sum()))


def test_image_noise_is_white_within_20_percent():
    flat = np.full((4, 256, 256), 40.0)
    made = image_noise.add_noise(flat, 1700.0, 0.005, np.random.default_rng(0)) - flat
    power = noise_power.nps(made, pixel_mm=0.7).power
    assert np.abs(power / power.mean() - 1).max() < 0.2


def streaks(hu: np.ndarray, photons: float, dose: float) -> float:
    """SD of 21-pixel means along the line between the inserts over that across, between them."""
    fields = realisations(hu, photons, Scanner(), dose, range(3), 0.75)
    made = np.array([projection_noise.insert(np.zeros_like(hu), f, dose) for f in fields])
    between = ellipse(512, 0.75, 55, 20) == 1
    along, across = (ndimage.uniform_filter1d(made, 21, axis=axis) for axis in (2, 1))
    return along[:, between].std() / across[:, between].std()


@pytest.mark.parametrize("dose", [0.25, 0.1])
def test_noise_of_starved_rays_between_dense_inserts_has_streaks(dose):
    assert streaks(dose_phantoms.starvation(), 3e5, dose) > 4


def test_noise_of_a_round_body_has_no_streaks_and_of_an_oval_one_fewer():
    assert streaks(dose_phantoms.water(512, 0.75), 1e6, 0.25) == pytest.approx(1, abs=0.1)
    assert streaks(dose_phantoms.starvation(False), 1e6, 0.25) < 4


@pytest.mark.parametrize("photons", [1, 100, 3e5])
@pytest.mark.parametrize("dose", [0.001, 0.25])
@pytest.mark.parametrize("sigma", [0.0, 10.0])
def test_low_dose_of_hardly_any_photons_is_finite(photons, dose, sigma):
    hu, rng = dose_phantoms.starvation(True, 128, 3.0), np.random.default_rng(0)
    scanner = Scanner(electronic_noise=sigma)
    assert np.isfinite(projection_noise.low_dose(hu, (3, 3), dose, photons, scanner, rng)).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("hu", [3071, 32767, -32768, "metal"])
def test_low_dose_and_noise_sd_of_extreme_hu_are_finite(hu):
    slice_hu, rng = dose_phantoms.thorax(128, 2.8), np.random.default_rng(0)
    if hu == "metal":
        slice_hu[70, 50] = 30000
    else:
        slice_hu = np.full((128, 128), hu, np.int16)
    low = projection_noise.low_dose(slice_hu, (2.8, 2.8), 0.1, 3e5, Scanner(), rng)
    assert np.isfinite(low).all()
    sd = projection_noise.noise_sd_hu(slice_hu, (2.8, 2.8), 3e5, Scanner(), 0.1)
    assert np.isfinite(sd).all()


def test_noise_fields_take_padding_for_air():
    hu = dose_phantoms.thorax(128, 2.8)
    padded = np.where(hu < -999, -3000, hu)
    for a, b in zip(
        *(realisations(x, 3e5, Scanner(), 0.1, [0], 2.8)[0] for x in (hu, padded)), strict=True
    ):
        np.testing.assert_array_equal(a, b)


# Seeds


def test_noise_fields_of_one_seed_are_equal_and_of_two_seeds_uncorrelated():
    """All 21 pairs of seven seeds, and quantum against electronic noise of each."""
    thorax = dose_phantoms.thorax()
    fields = realisations(thorax, 3e5, Scanner(), 0.25, range(7))
    made = [projection_noise.insert(np.zeros_like(thorax), f, 0.25).ravel() for f in fields]
    pairs = np.abs(np.corrcoef(made)[np.triu_indices(7, 1)])
    assert pairs.mean() < 0.01
    assert pairs.max() < 0.03
    own = [abs(np.corrcoef(f.quantum.ravel(), f.electronic.ravel())[0, 1]) for f in fields]
    assert np.mean(own) < 0.01
    assert max(own) < 0.03
    again = realisations(thorax, 3e5, Scanner(), 0.25, [3])[0]
    np.testing.assert_array_equal(again.quantum, fields[3].quantum)
    np.testing.assert_array_equal(again.electronic, fields[3].electronic)


# Doses


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_dose_1_returns_the_input_unchanged(dtype):
    hu, rng = dose_phantoms.thorax(128, 2.8).astype(dtype), np.random.default_rng(0)
    fields = projection_noise.noise_fields(hu, (2.8, 2.8), 3e5, Scanner(), 1, rng)
    for same in (
        projection_noise.insert(hu, fields, 1),
        projection_noise.low_dose(hu, (2.8, 2.8), 1.0, 3e5, Scanner(), rng),
    ):
        assert same.dtype == dtype
        np.testing.assert_array_equal(same, hu)


@BAD_DOSE
def test_projection_noise_refuses_a_dose_outside_0_to_1_in_one_line(dose):
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


# Shapes


@pytest.mark.parametrize("shape", [(100, 128), (101, 128), (128, 101), (101, 127)])
def test_noise_fields_of_a_slice_that_is_not_square_are_those_of_its_square(shape):
    n, (rows, columns) = max(shape), shape
    square = dose_phantoms.painted(n, 2.8, [(40, 120, 110, 9, -7)])
    top, left = (n - rows) // 2, (n - columns) // 2
    place = np.s_[top : top + rows, left : left + columns]
    whole, part = (
        realisations(hu, 3e5, Scanner(), 0.1, [5], 2.8)[0] for hu in (square, square[place])
    )
    assert part.quantum.shape == shape
    np.testing.assert_array_equal(part.quantum, whole.quantum[place])
    np.testing.assert_array_equal(part.electronic, whole.electronic[place])


@pytest.mark.parametrize("shape", [(128, 128), (129, 129), (100, 128), (101, 128), (128, 101)])
def test_unit_variance_is_centred_on_the_body(shape):
    """The variance around a lone disc is symmetric about its centre."""
    row, column = 0.5 + shape[0] // 2 + 11, shape[1] // 2 - 8
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    distance = np.hypot(rows - row, columns - column)
    hu = np.clip(0.5 + 20 - distance, 0, 1) * 1000 - 1000
    variance, _ = projection_noise.unit_variance(hu, (3, 3), NO_ELECTRONICS)
    weight = np.where(distance < 26, variance - variance[distance < 26].min(), 0)
    assert abs((weight * rows).sum() / weight.sum() - row) < 0.1
    assert abs((weight * columns).sum() / weight.sum() - column) < 0.1


def test_low_dose_refuses_pixels_that_are_not_square():
    hu, rng = dose_phantoms.thorax(64, 5.6), np.random.default_rng(0)
    with pytest.raises(ValueError, match="not square"):
        projection_noise.low_dose(hu, (5.6, 5.7), 0.5, 3e5, Scanner(), rng)
    assert projection_noise.pixel_mm_of((0.700, 0.706)) == pytest.approx(0.703)


def test_bowtie_attenuates_the_rim_only():
    geometry = projector(512, 360)
    path = projection_noise.bowtie(geometry, 0.7, Scanner(bowtie=1.0))
    assert path[geometry.bins // 2] == 0
    chord = 2 * np.sqrt(np.maximum(160**2 - geometry.bin_mm(0.7) ** 2, 0))
    np.testing.assert_allclose(path + 0.0192 * chord, 0.0192 * 320, rtol=1e-5)
    np.testing.assert_allclose(
        projection_noise.bowtie(geometry, 0.7, Scanner()), path / 4, rtol=1e-5
    )
