import dataclasses

import numpy as np
import pytest

from srgan.hounsfield import fraction_to_hu
from srgan.lowdose import image_noise, projection_noise
from srgan.lowdose.degradation import Degradation, degrade
from srgan.lowdose.image_noise import ImageNoise
from srgan.lowdose.levels import Levels
from srgan.lowdose.projection_noise import ProjectionNoise
from srgan.lowdose.scanner import Scanner
from srgan.resampling import area_mean
from tests.helpers.made_structure import IMAGE_NOISE

SPACING = (2.8, 2.8)  # so that 96 pixels hold a chest
# Such pixels need a cutoff near their Nyquist frequency, 0.18 /mm.
SCANNER = Scanner(views=90, filter_cutoff=0.185)


@pytest.fixture(scope="module")
def chest():
    """(96, 96) float32 HU: an ellipse of 250 x 180 mm with a lung on one side, bone in the back."""
    rows, columns = np.indices((96, 96)) - 47.5
    hu = np.full((96, 96), -1000.0, np.float32)
    hu[(rows / 32) ** 2 + (columns / 44) ** 2 < 1] = 40
    hu[(rows / 22) ** 2 + ((columns + 20) / 14) ** 2 < 1] = -850
    hu[(rows - 20) ** 2 + columns**2 < 25] = 900
    return hu


@pytest.mark.parametrize(
    ("scale", "dose", "photons"), [(4, 0.25, 3e5), (2, 0.5, 3e5), (4, 0.1, 3e2)]
)
def test_block_noise_sd_in_projections_is_that_of_many_realisations(chest, scale, dose, photons):
    expected = projection_noise.block_noise_sd_hu(chest, SPACING, photons, SCANNER, dose, scale)
    rng = np.random.default_rng(1)
    blocks, at_floor = [], 0
    for _ in range(150):
        fields = projection_noise.noise_fields(chest, SPACING, photons, SCANNER, dose, rng)
        blocks.append(area_mean(projection_noise.insert(chest, fields, dose) - chest, scale))
        at_floor = fields.at_floor
    assert (at_floor > 0.02) == (photons < 1e3)  # the last case lives on the photon floor
    ratio = np.std(blocks, axis=0) / expected
    assert ratio.mean() == pytest.approx(1, abs=0.03)
    inside = area_mean(chest, scale) > 0
    lung = np.abs(area_mean(chest, scale) + 850) < 20
    air = area_mean(chest, scale) < -990
    for zone in (inside, lung, air):
        assert ratio[zone].mean() == pytest.approx(1, abs=0.03)
    assert expected[inside].mean() > 1.3 * expected[air].mean()  # a flat map could not pass


def test_block_noise_sd_of_one_pixel_is_the_noise_sd_of_pixels(chest):
    level = (chest, SPACING, 3e5, SCANNER, 0.25)
    pixels = projection_noise.noise_sd_hu(*level)
    np.testing.assert_allclose(projection_noise.block_noise_sd_hu(*level, 1), pixels, rtol=1e-4)


def test_block_noise_sd_of_a_slice_that_is_not_square_is_that_of_its_square(chest):
    level = (SPACING, 3e5, SCANNER, 0.25, 4)
    whole = projection_noise.block_noise_sd_hu(chest, *level)
    chest = chest.copy()
    chest[:8], chest[-8:] = -1024, -1024
    part = projection_noise.block_noise_sd_hu(chest[8:-8], *level)
    assert part.shape == (20, 24)
    np.testing.assert_allclose(part, whole[2:-2], rtol=0.01)


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_block_noise_sd_of_image_noise_is_that_of_many_realisations(scale):
    levels = np.array([-990.0, -850.0, 40.0, 700.0])
    hu = np.kron(levels[:, None], np.ones((4, 4 * 4000)))
    low = area_mean(image_noise.add_noise(hu, 1700, 0.005, np.random.default_rng(2)), scale)
    expected = image_noise.block_noise_sd_hu(area_mean(hu, scale), 1700, 0.005, scale)[:, 0]
    dark = 4 // scale  # rows of them
    np.testing.assert_allclose(low.std(axis=1)[dark:], expected[dark:], rtol=0.03)
    assert low[:dark].std() < 0.97 * expected[0]  # the clip at -1024 HU takes noise away near air
    x = np.linspace(-0.1, 1.1, 13)
    assert not np.isnan(image_noise.block_noise_sd_hu(fraction_to_hu(x), 1700, 0.0, 4)).any()


@pytest.mark.parametrize("dose", [0.5, 0.25])
def test_clean_chi2_counts_the_noise_of_the_full_dose_too(chest, dose):
    scanner = dataclasses.replace(SCANNER, electronic_noise=0.0)
    noise = ProjectionNoise(Levels((dose,)), 3e5, None, scanner)
    rng, z = np.random.default_rng(3), []
    expected = projection_noise.block_noise_sd_hu(chest, SPACING, 3e5, scanner, dose, 4)
    for _ in range(30):
        full = projection_noise.low_dose(
            chest, SPACING, 1e-3, 3e8, scanner, rng
        )  # noise of 3e5 photons
        low = projection_noise.low_dose(full, SPACING, dose, 3e5, scanner, rng)
        z.append(area_mean(low - chest, 4) / expected)
    inside = area_mean(chest, 4) > -900
    chi2 = np.mean(np.square(z), 0)[inside].mean()
    assert chi2 == pytest.approx(noise.clean_chi2(), rel=0.1)
    assert ImageNoise(noise.dose, noise.dose).clean_chi2() == 1


def test_expected_sd_is_the_sd_of_degrade_for_both_noise_models(chest):
    scanner = dataclasses.replace(SCANNER, views=60)
    noise = ProjectionNoise(Levels((0.25,)), 3e5, None, scanner)
    hu = chest + 300  # away from the clip at -1024 HU
    rng = np.random.default_rng(3)
    for degradation in (Degradation(noise, 4), IMAGE_NOISE):
        lows = []
        for _ in range(80):
            fields = degradation.noise.new_fields(hu, SPACING, 3e5, rng)
            fields = fields and [f[None] for f in fields[:2]]
            lows.append(degrade(hu[None], degradation, rng, fields)[0])
        level = {"scale": 4, "spacing_mm": SPACING, "photons": 3e5}
        expected = degradation.noise.expected_sd_hu(low_dose=lows[0], normal_dose=hu, **level)
        assert expected.shape == (24, 24)
        assert (np.std(lows, axis=0) / expected).mean() == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize(
    "noise",
    [
        ProjectionNoise(Levels((0.1, 0.5), True), 3e5, None, SCANNER),
        ProjectionNoise(Levels((0.1, 0.5)), 3e5, None, SCANNER),
        ImageNoise(Levels((500.0, 1700.0)), Levels((0.005,))),
    ],
)
def test_expected_sd_refuses_several_levels(chest, noise):
    with pytest.raises(ValueError, match="not one level"):
        noise.expected_sd_hu(
            low_dose=area_mean(chest, 4),
            normal_dose=chest,
            scale=4,
            spacing_mm=SPACING,
            photons=3e5,
        )
