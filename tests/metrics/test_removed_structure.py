"""What was removed from a slice: noise alone gives nothing, a blur a share, a vessel a spot."""

import numpy as np
import pytest
from scipy import ndimage

from srgan.masks import lung_mask
from srgan.metrics.removed_structure import MOST_SHARE, MOST_SPOT, removed_structure
from srgan.metrics.slice_output import scanner_noise
from srgan.phantom import chest
from tests.helpers.real_slices import needs_ct, slices_of


@pytest.fixture(scope="module")
def slices() -> tuple[np.ndarray, np.ndarray]:
    """A chest in HU, and the same with CT's noise."""
    normal = chest.chest(seed=0, patient=1, slices=1)[0][0].astype(float)
    noise = scanner_noise(normal.shape, 0.7, 20.0, np.random.default_rng(0))
    return normal, normal + noise


def vessel_of(hu: np.ndarray) -> np.ndarray:
    """A small bright area in the lung, as a mask with a rim of two pixels."""
    inside = ndimage.binary_erosion(ndimage.binary_closing(lung_mask(hu), iterations=6), None, 9)
    label, n = ndimage.label((hu > -650) & inside)
    sizes = ndimage.sum_labels(label > 0, label, range(1, n + 1))
    vessel = label == 1 + np.abs(sizes - 25).argmin()
    return ndimage.binary_dilation(vessel, iterations=2)


def test_noise_alone_is_no_structure(slices):
    normal, noisy = slices
    found = removed_structure(before=noisy, after=normal)
    assert abs(found.share) < 0.02
    assert 2.5 < found.spot < 5.0


def test_nothing_removed_is_no_structure(slices):
    found = removed_structure(before=slices[1], after=slices[1])
    assert (found.share, found.spot) == (0, 0)


def test_a_blur_removes_a_share_of_the_edges(slices):
    shares = [
        removed_structure(before=slices[1], after=ndimage.gaussian_filter(slices[1], sd)).share
        for sd in (0.7, 1.5)
    ]
    assert 0.1 < shares[0] < 0.3 < shares[1] < 0.6


def test_the_share_of_a_weighted_sum_follows_from_its_definition(slices):
    """Where half of the fine structure of a clean slice is removed, the share is one half."""
    normal, _ = slices
    smooth = ndimage.gaussian_filter(normal.astype(np.float32), 2.0)
    sharper = normal + (normal - smooth)
    # F(after) = F(normal) and F(before) = 2 F(normal) - F(smooth of the fine part), in which little
    # of the fine part is left.
    found = removed_structure(before=sharper, after=normal)
    assert found.share == pytest.approx(0.5, abs=0.08)
    assert removed_structure(before=normal, after=sharper).share < -0.3


def test_a_vessel_that_is_gone_is_the_strongest_spot(slices):
    normal, noisy = slices
    vessel = vessel_of(normal)
    without = np.where(vessel, np.median(normal[lung_mask(normal)]), normal)
    found = removed_structure(before=noisy, after=without)
    assert found.spot > 10
    assert vessel[found.row, found.column]
    assert abs(found.share) < 0.02


@needs_ct
def test_on_a_real_slice_the_bounds_tell_a_denoiser_from_a_blur_and_from_a_lost_vessel():
    normal = slices_of("LIDC-IDRI-0003")[4][0].astype(float)
    noisy = normal + scanner_noise(normal.shape, 0.7, 40.0, np.random.default_rng(0))
    good = removed_structure(before=noisy, after=normal)
    assert abs(good.share) < MOST_SHARE / 10
    assert good.spot < MOST_SPOT * 0.6
    blurred = removed_structure(before=noisy, after=ndimage.gaussian_filter(noisy, 1.5))
    assert blurred.share > MOST_SHARE * 1.4
    vessel = vessel_of(normal)
    without = np.where(vessel, np.median(normal[lung_mask(normal)]), normal)
    assert removed_structure(before=noisy, after=without).spot > MOST_SPOT


def test_the_dtype_and_an_offset_do_not_matter(slices):
    normal, noisy = (np.rint(hu).astype(np.int16) for hu in slices)
    whole = removed_structure(before=noisy, after=normal)
    other = removed_structure(before=noisy.astype(np.float64), after=normal.astype(np.float64))
    assert whole == other


def test_without_a_body_or_edges_nothing_is_measured():
    air = np.full((64, 64), -1000.0)
    found = removed_structure(before=air, after=air)
    assert (found.share, found.spot) == (None, None)
    water = np.full((96, 96), -1000.0)
    water[8:-8, 8:-8] = 0.0
    found = removed_structure(before=water, after=water)
    assert (found.share, found.spot) == (None, 0)  # its only edge is the skin


def test_nan_and_unequal_shapes_are_refused(slices):
    with pytest.raises(ValueError, match="beside an output"):
        removed_structure(before=slices[0], after=slices[0][:-1])
    with pytest.raises(ValueError, match="NaN"):
        removed_structure(before=np.full((32, 32), np.nan), after=np.zeros((32, 32)))
