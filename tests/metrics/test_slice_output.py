import numpy as np
import pytest
from scipy import ndimage

from srgan.evaluation import study
from srgan.hounsfield import WINDOWS
from srgan.lowdose.degradation import degrade
from srgan.metrics import noise_power, registry, slice_output
from srgan.metrics.slice_output import Output, Reference
from srgan.phantom import chest
from srgan.resampling import bicubic
from tests.helpers.made_structure import IMAGE_NOISE


def measured(output, reference):
    return registry.measure_slice(Output.of_slice(output, reference, WINDOWS), registry.METRICS)


def normal_dose(reference):
    return registry.measure_normal_dose(reference, registry.METRICS)


@pytest.fixture(scope="module")
def reference():
    hu = np.clip(chest.chest(0, 1, 6)[0][3], -1024, 3071).astype(np.float32)
    low = degrade(hu[None], IMAGE_NOISE, np.random.default_rng(0))[0]
    sd_hu = IMAGE_NOISE.noise.expected_sd_hu(low_dose=low, scale=IMAGE_NOISE.scale)
    return Reference.of(hu, low, sd_hu, 4, (0.7, 0.7))


def test_metrics_of_the_normal_dose_itself_show_no_fault(reference):
    found = measured(reference.image, reference)
    assert found["bias_by_tissue_hu"] == dict.fromkeys(slice_output.TISSUES_HU, 0.0)
    assert found["chi2"] == pytest.approx(1, abs=0.06)
    assert found["invented_share"] == 0
    assert found["shift_px"] < 0.05
    assert found["nps_distance"] == 0
    assert found["lung_texture_sd_hu"] == normal_dose(reference)["lung_texture_sd_hu"]


@pytest.mark.parametrize("tissue", ["lung", "fat", "soft tissue"])
def test_bias_by_tissue_names_the_tissue_that_is_off(reference, tissue):
    moved = reference.image + 10 * reference.tissues[tissue]
    found = measured(moved, reference)["bias_by_tissue_hu"]
    assert found == {name: pytest.approx(10.0 * (name == tissue), abs=1e-3) for name in found}


@pytest.mark.parametrize(
    ("key", "widening_px", "tolerance"), [("edge_mm", 1.683, 0.03), ("vessel_mm", 2.355, 0.05)]
)
def test_edges_and_vessels_of_a_blurred_output_are_wider(reference, key, widening_px, tolerance):
    own = normal_dose(reference)[key]
    blurred = measured(ndimage.gaussian_filter(reference.image, 1.5), reference)[key]
    assert blurred == pytest.approx(np.hypot(own, widening_px * 1.5 * 0.7), rel=tolerance)


def test_tissue_masks_are_disjoint_and_in_their_hu_range(reference):
    assert sum(mask.astype(int) for mask in reference.tissues.values()).max() == 1
    for name in ("lung", "fat", "soft tissue"):
        low, high = slice_output.TISSUES_HU[name]
        assert low < reference.image[reference.tissues[name]].mean() < high


def test_bias_by_tissue_of_a_blurred_output_is_small(reference):
    blurred = ndimage.gaussian_filter(reference.image, 2)
    found = measured(blurred, reference)["bias_by_tissue_hu"]
    assert all(abs(found[name]) < 3 for name in ("air", "lung", "fat", "soft tissue"))


def test_nps_distance_grows_with_the_blur(reference):
    found = [
        measured(ndimage.gaussian_filter(reference.image, sd), reference)["nps_distance"]
        for sd in (0.5, 1.0, 4.0)
    ]
    assert 0 < found[0] < found[1] < found[2] < 1


def test_bicubic_is_inconsistent_and_invents_nothing(reference):
    found = measured(bicubic(reference.low_dose, 4), reference)
    assert found["chi2"] > 1.5
    assert found["invented_share"] < 0.05


def test_metrics_of_a_slice_of_air_are_numbers_or_none():
    flat = np.full((64, 64), -1000, np.float32)
    reference = Reference.of(flat, flat[::4, ::4], np.full((16, 16), 5.0), 4, (0.7, 0.7))
    found = measured(flat, reference)
    assert found["chi2"] is None
    assert found["invented_share"] is None
    assert found["nps_distance"] is None
    assert found["bias_by_tissue_hu"]["lung"] is None
    assert study.mean_metrics([found, found])["spots"] is None


def test_normal_dose_has_the_floor_of_sfrc(reference):
    floors = [slice_output.sfrc_floor(reference, sd_hu) for sd_hu in (0.1, 40.0, 2000.0)]
    assert floors[0] == 0
    assert floors[0] < floors[1] < floors[2]
    measured = normal_dose(reference)
    assert measured["sfrc_share"] == slice_output.sfrc_floor(reference, measured["flat_sd_hu"])
    assert slice_output.sfrc_floor(reference, None) is None


def test_scanner_noise_has_the_texture_of_filtered_backprojection():
    noise = slice_output.scanner_noise((512, 512), 0.7, 20.0, np.random.default_rng(0))
    assert noise_power.texture_sd_hu(noise, mask=np.ones(noise.shape, bool)) == pytest.approx(20)
    assert noise_power.nps(noise, pixel_mm=0.7).peak == pytest.approx(0.224, abs=0.022)  # a bin
