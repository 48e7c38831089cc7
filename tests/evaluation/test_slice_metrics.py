import numpy as np
import pytest
from scipy import ndimage

from srgan.evaluation import slice_metrics, study
from srgan.lowdose.degradation import degrade, expected_noise_sd_hu
from srgan.metrics import noise_power
from srgan.phantom import chest
from srgan.resampling import bicubic
from tests.helpers.made_structure import IMAGE_NOISE


@pytest.fixture(scope="module")
def truth():
    hu = np.clip(chest.chest(0, 1, 6)[0][3], -1024, 3071).astype(np.float32)
    low = degrade(hu[None], IMAGE_NOISE, np.random.default_rng(0))[0]
    sd_hu = expected_noise_sd_hu(low_dose=low, normal_dose=hu, degradation=IMAGE_NOISE)
    return slice_metrics.Truth.of(hu, low, sd_hu, 4, (0.7, 0.7))


def test_the_normal_dose_itself_is_without_fault(truth):
    found = slice_metrics.figures(truth.reference, truth)
    assert found["bias_by_tissue_hu"] == dict.fromkeys(slice_metrics.TISSUES_HU, 0.0)
    assert found["chi2"] == pytest.approx(1, abs=0.06)
    assert found["invented_share"] == 0
    assert found["shift_px"] < 0.05
    assert found[slice_metrics.NPS_DISTANCE] == 0
    assert found[slice_metrics.TEXTURE] == truth.of_reference[slice_metrics.TEXTURE]


@pytest.mark.parametrize("tissue", ["lung", "fat", "soft tissue"])
def test_a_tissue_that_is_off_is_named_with_its_hu(truth, tissue):
    moved = truth.reference + 10 * truth.tissues[tissue]
    found = slice_metrics.figures(moved, truth)["bias_by_tissue_hu"]
    assert found == {name: pytest.approx(10.0 * (name == tissue), abs=1e-3) for name in found}


def test_a_blurred_output_has_wider_edges_than_the_normal_dose(truth):
    own = truth.of_reference[slice_metrics.EDGE]
    blurred = slice_metrics.figures(ndimage.gaussian_filter(truth.reference, 1.5), truth)[
        slice_metrics.EDGE
    ]
    assert blurred == pytest.approx(np.hypot(own, 1.683 * 1.5 * 0.7), rel=0.03)


def test_the_body_alone_counts_in_its_figures(truth):
    padded = np.where(truth.body, truth.reference + 20, truth.reference - 500)
    found = slice_metrics.figures(padded, truth)
    for whole, inside in (("psnr_db", slice_metrics.BODY_PSNR), ("ssim", slice_metrics.BODY_SSIM)):
        alone = slice_metrics.figures(np.where(truth.body, padded, truth.reference), truth)
        assert found[inside]["lung"] == pytest.approx(alone[inside]["lung"], abs=0.03)
        assert found[whole]["lung"] < alone[whole]["lung"] - 0.03


def test_a_blurred_output_has_wider_vessels_than_the_normal_dose(truth):
    own = truth.of_reference[slice_metrics.VESSEL]
    blurred = slice_metrics.figures(ndimage.gaussian_filter(truth.reference, 1.5), truth)[
        slice_metrics.VESSEL
    ]
    assert blurred == pytest.approx(np.hypot(own, 2.355 * 1.5 * 0.7), rel=0.05)


def test_tissues_lie_apart_and_in_their_range(truth):
    assert sum(mask.astype(int) for mask in truth.tissues.values()).max() == 1
    for name in ("lung", "fat", "soft tissue"):
        low, high = slice_metrics.TISSUES_HU[name]
        assert low < truth.reference[truth.tissues[name]].mean() < high


def test_a_smoother_output_is_not_biased_by_how_tissues_are_cut(truth):
    blurred = ndimage.gaussian_filter(truth.reference, 2)
    found = slice_metrics.figures(blurred, truth)["bias_by_tissue_hu"]
    assert all(abs(found[name]) < 3 for name in ("air", "lung", "fat", "soft tissue"))


def test_the_smoother_an_output_the_further_its_noise_power(truth):
    found = [
        slice_metrics.figures(ndimage.gaussian_filter(truth.reference, sd), truth)[
            slice_metrics.NPS_DISTANCE
        ]
        for sd in (0.5, 1.0, 4.0)
    ]
    assert 0 < found[0] < found[1] < found[2] < 1


def test_bicubic_is_inconsistent_and_shares_no_invention(truth):
    found = slice_metrics.figures(bicubic(truth.low_dose, 4), truth)
    assert found["chi2"] > 1.5
    assert found["invented_share"] < 0.05


def test_a_slice_of_air_has_figures_or_none_but_never_a_nan():
    flat = np.full((64, 64), -1000, np.float32)
    truth = slice_metrics.Truth.of(flat, flat[::4, ::4], np.full((16, 16), 5.0), 4, (0.7, 0.7))
    found = slice_metrics.figures(flat, truth)
    assert found["chi2"] is None
    assert found["invented_share"] is None
    assert found[slice_metrics.NPS_DISTANCE] is None
    assert found["bias_by_tissue_hu"]["lung"] is None
    assert study.mean_figures([found, found])["spots"] is None


def test_the_normal_doses_row_has_the_floor_of_sfrc(truth):
    floors = [truth._sfrc_floor(sd_hu) for sd_hu in (0.1, 40.0, 2000.0)]
    assert floors[0] == 0
    assert floors[0] < floors[1] < floors[2]
    measured = truth.of_reference
    assert measured["sfrc_share"] == truth._sfrc_floor(measured["flat_sd_hu"])
    assert truth._sfrc_floor(None) is None


def test_made_noise_has_the_texture_of_filtered_backprojection():
    noise = slice_metrics.scanner_noise((512, 512), 0.7, 20.0, np.random.default_rng(0))
    assert noise_power.texture_sd_hu(noise, mask=np.ones(noise.shape, bool)) == pytest.approx(20)
    assert noise_power.nps(noise, pixel_mm=0.7).peak == pytest.approx(0.224, abs=0.022)  # a bin
