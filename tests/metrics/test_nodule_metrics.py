"""Nodule metrics of discs with known contrast and diameter."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from srgan.masks import lung_mask
from srgan.metrics.nodule_metrics import (
    NoduleInSlice,
    NoduleRegion,
    blob_response,
    measure,
    new_blobs,
)
from tests.helpers.made_nodules import LUNG_HU, NODULE, SPACING, chest, disc, with_nodule


@pytest.mark.parametrize("diameter_mm", [4.0, 8.0, 20.0])
@pytest.mark.parametrize("contrast_hu", [250.0, 890.0])
def test_measure_finds_the_contrast_and_diameter_of_a_disc(diameter_mm, contrast_hu):
    nodule = replace(NODULE, diameter_mm=diameter_mm)
    hu = with_nodule(chest(), nodule, contrast_hu)
    found = measure(hu, NoduleRegion.around(nodule, lung_mask(hu), SPACING))
    assert found.contrast_hu == pytest.approx(contrast_hu, abs=6)
    assert found.mean_hu == pytest.approx(LUNG_HU + contrast_hu, abs=6)
    assert found.diameter_mm == pytest.approx(diameter_mm, rel=0.04)
    assert found.ring_sd_hu == pytest.approx(10, rel=0.2)


def test_measure_compares_a_nodule_at_the_wall_with_lung_and_gives_no_diameter():
    rows, columns = np.nonzero(lung_mask(chest(noise_hu=0)))
    row = int(np.median(rows))
    nodule = NoduleInSlice(1, row, columns[rows == row].min() + 2, 8.0)
    hu = with_nodule(chest(), nodule, 800.0)
    found = measure(hu, NoduleRegion.around(nodule, lung_mask(hu), SPACING))
    assert found.contrast_hu > 700
    assert found.diameter_mm is None


def test_a_nodule_outside_the_slice_has_no_region():
    lung = lung_mask(chest())
    assert NoduleRegion.around(replace(NODULE, row_px=900.0), lung, SPACING) is None
    assert NoduleRegion.around(replace(NODULE, column_px=-40.0), lung, SPACING) is None


def test_blob_response_of_a_disc_of_its_own_diameter_is_theorys():
    image = 100.0 * disc((201, 201), 100, 100, 24.0, (0.4, 0.6))
    assert blob_response(image, (0.4, 0.6), 24.0)[100, 100] == pytest.approx(200 / np.e, rel=0.02)


@pytest.mark.parametrize("diameter_mm", [4.0, 6.0, 9.0, 12.0])
def test_new_blobs_finds_an_added_disc_where_it_is(diameter_mm):
    normal = with_nodule(chest(), NODULE, 600.0)
    other = NoduleInSlice(2, 75.0, 180.0, diameter_mm)
    made = new_blobs(with_nodule(normal, other, 400.0), normal, lung_mask(normal), SPACING)
    assert len(made) == 1
    assert np.hypot(made[0][0] - 75, made[0][1] - 180) <= 3


def test_new_blobs_finds_nothing_in_noise_blur_shift_or_a_sharper_nodule():
    normal = with_nodule(chest(), NODULE, 600.0)
    rng = np.random.default_rng(3)
    noise = ndimage.gaussian_filter(rng.normal(0, 1, normal.shape), 0.7)
    for output in (
        normal + 30 * noise / noise.std(),
        ndimage.gaussian_filter(normal, 2.0),
        with_nodule(normal, NODULE, 300.0),
        np.roll(normal, 2, 0),
        chest(),
    ):
        assert new_blobs(output, normal, lung_mask(normal), SPACING) == []
    assert new_blobs(normal, normal, np.zeros(normal.shape, bool), SPACING) == []
