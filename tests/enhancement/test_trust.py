"""One slice beside its output: a good output passes, and each fault shows in its own number."""

import numpy as np
import pytest
from scipy import ndimage

from srgan.enhancement import trust
from srgan.enhancement.slice_function import FULL, LOW_RESOLUTION, NATIVE, Use
from srgan.lowdose.degradation import Degradation, degrade
from srgan.lowdose.image_noise import ImageNoise
from srgan.lowdose.levels import Levels
from srgan.lowdose.projection_noise import ProjectionNoise, Scanner
from srgan.masks import lung_mask
from srgan.metrics.removed_structure import MOST_SHARE, MOST_SPOT
from srgan.phantom import chest
from srgan.resampling import bicubic

IMAGE = ImageNoise(Levels((500.0, 5000.0), True), Levels((0.005,)))
PROJECTION = ProjectionNoise(Levels((0.1, 0.5), True), None, None, Scanner())


@pytest.fixture(scope="module")
def normal() -> np.ndarray:
    return chest.chest(seed=0, patient=1, slices=1)[0][0].astype(np.float32)


def low_dose(normal: np.ndarray, scale: int) -> np.ndarray:
    noise = ImageNoise(Levels((1700.0,)), Levels((0.005,)))
    return degrade(normal[None], Degradation(noise, scale), np.random.default_rng(0))[0]


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("noise", [IMAGE, PROJECTION])
def test_the_truth_agrees_with_its_input(normal, scale, noise):
    use = Use(scale, LOW_RESOLUTION)
    found = trust.of_slice(low_dose(normal, scale), normal, use, Degradation(noise, scale))
    assert 0.5 < found.chi2 < 1.3  # a constant SD is too large in lung
    assert found.wide_spots == 0
    assert {"air", "lung", "soft tissue"} <= found.before_hu.keys() == found.after_hu.keys()
    assert max(abs(found.after_hu[name] - hu) for name, hu in found.before_hu.items()) < 3


def test_a_native_slice_is_measured_as_the_network_has_it(normal):
    """Sizes that the scale does not divide, and metal that stays above the network's range."""
    scan, output = normal[:511, :510].copy(), normal[:511, :510].copy()
    scan[250:254, 250:254] = output[250:254, 250:254] = 9000
    found = trust.of_slice(scan.astype(np.int16), output, Use(4, NATIVE), Degradation(IMAGE, 4))
    assert found.noise_hu < 6
    assert found.chi2 < 0.1


def test_a_shift_a_bias_and_an_invented_blob_show(normal):
    low, use = low_dose(normal, 4), Use(4, LOW_RESOLUTION)

    def of(output: np.ndarray) -> trust.SliceTrust:
        return trust.of_slice(low, output, use, Degradation(IMAGE, 4))

    assert of(np.roll(normal, 6, 1)).chi2 > 3
    lung = lung_mask(normal)
    brighter = of(normal + 10 * lung)
    assert brighter.after_hu["lung"] - brighter.before_hu["lung"] == pytest.approx(10, abs=2)
    row, column = np.argwhere(ndimage.binary_erosion(lung, iterations=10))[0]
    blob = normal.copy()
    blob[row - 8 : row + 8, column - 8 : column + 8] += 200
    assert of(blob).wide_spots == 1


def test_at_scale_1_a_blur_removes_structure_and_the_truth_does_not(normal):
    low, use, trained = low_dose(normal, 1), Use(1, FULL), Degradation(PROJECTION, 1)
    good = trust.of_slice(low, normal, use, trained)
    assert good.removed_share < MOST_SHARE / 2
    assert good.removed_spot < MOST_SPOT
    assert good.chi2 is None
    assert trust.of_slice(low, ndimage.gaussian_filter(low, 1.5), use, trained).removed_share > 0.2


def test_a_slice_without_soft_tissue_has_no_noise_and_no_chi2():
    air = np.full((128, 128), -1000, np.int16)
    found = trust.of_slice(air, bicubic(air, 4), Use(4, LOW_RESOLUTION), Degradation(IMAGE, 4))
    assert (found.noise_hu, found.chi2, found.wide_spots) == (None, None, None)
    at_scale_1 = trust.of_slice(air, air, Use(1, FULL), Degradation(PROJECTION, 1))
    assert (at_scale_1.noise_hu, at_scale_1.removed_share) == (None, None)


@pytest.mark.parametrize(("n", "expected"), [(1, [0]), (3, [0, 1, 2]), (150, range(5, 150, 10))])
def test_sampled_slices_are_evenly_spaced(n, expected):
    assert trust.sampled(n) == list(expected)
    assert len(trust.sampled(1000)) == trust.SLICES
