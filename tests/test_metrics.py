import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import sewar
from sewar.utils import Filter
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from srgan import metrics
from srgan.dose.degradation import degrade
from srgan.evaluation.study import crop
from srgan.hounsfield import HU_MAX, HU_MIN, WINDOWS, bicubic
from srgan.scans import catalogue
from tests.made_structure import IMAGE_NOISE, SCALE

CT = Path(__file__).resolve().parents[2] / "shared" / "ct"
NAMED_WINDOWS = pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS)


@pytest.fixture(scope="module")
def pair():
    """A slice with air, lung, soft tissue and bone, and the same with noise."""
    rng = np.random.default_rng(1)
    levels = np.array([-1024.0, -850.0, -100.0, 40.0, 700.0])
    reference = np.kron(rng.choice(levels, (8, 6)), np.ones((12, 12)))
    return reference + rng.normal(0, 40, reference.shape), reference


def check_against_the_oracles(image, reference, window):
    """scikit-image and sewar at our settings: Gaussian 11 x 11 of 1.5 px, no border."""
    shown, truth = (np.clip(part, *window) for part in (image, reference))
    width, gaussian = window.width, {"fltr": Filter.GAUSSIAN, "sigma": 1.5, "ws": 11}
    found = metrics.psnr_db(image, reference, window=window)
    assert found == pytest.approx(sewar.psnr(truth, shown, MAX=width), abs=1e-6)
    expected = peak_signal_noise_ratio(truth, shown, data_range=width)
    assert found == pytest.approx(expected, abs=1e-6)
    found = metrics.ssim(image, reference, window=window)
    expected, _ = sewar.ssim(truth, shown, MAX=width, fltr_specs=gaussian)
    assert found == pytest.approx(expected, abs=1e-6)
    expected = structural_similarity(
        truth,
        shown,
        data_range=width,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert found == pytest.approx(expected, abs=1e-6)


@NAMED_WINDOWS
def test_psnr_and_ssim_are_those_of_scikit_image_and_sewar(pair, window):
    check_against_the_oracles(*pair, window)


@pytest.mark.slow
@pytest.mark.skipif(not CT.is_dir(), reason="../shared/ct is not there")
def test_psnr_and_ssim_of_ten_real_slices_are_those_of_scikit_image_and_sewar():
    """Of ten patients, each in one window, in turn, against its low dose enlarged."""
    rng, windows = np.random.default_rng(6), itertools.cycle(WINDOWS.values())
    by_patient = {scan.patient_id: scan for scan in catalogue.find(CT).scans}
    assert len(by_patient) >= 10
    for scan, window in zip(list(by_patient.values())[:10], windows, strict=False):
        hu = catalogue.reader(scan)(len(scan.slices) // 2)
        reference = crop(np.clip(hu, HU_MIN, HU_MAX).astype(np.float32), SCALE)
        low = degrade(reference[None], IMAGE_NOISE, rng)[0]
        check_against_the_oracles(bicubic(low, SCALE), reference, window)
        assert metrics.psnr_db(reference, reference, window=window) == math.inf
        assert metrics.ssim(reference, reference, window=window) == 1


def test_known_answers():
    reference = np.full((16, 16), 40.0)
    reference[0] = 60.0
    assert metrics.psnr_db(reference + 40, reference, window=WINDOWS["mediastinum"]) == 20.0
    assert metrics.psnr_db(reference + 40, reference, window=WINDOWS["full"]) == pytest.approx(
        20 * math.log10(4095 / 40)
    )
    checkered = reference + np.where(np.indices((16, 16)).sum(0) % 2, 10.0, -30.0)
    assert metrics.bias_hu(checkered, reference) == -10.0
    assert metrics.mae_hu(checkered, reference) == 20.0
    assert metrics.rmse_hu(checkered, reference) == pytest.approx(math.sqrt(500))


def test_a_reference_that_is_constant_in_its_window_is_refused_and_has_no_figure(pair):
    """Lung in the mediastinum window: whatever is as dark would be infinitely good."""
    lung = np.random.default_rng(7).uniform(-900, -700, (64, 64))
    for figure in (metrics.psnr_db, metrics.ssim):
        assert figure(lung + 50, lung, window=WINDOWS["lung"]) > 0
        for image in (lung, lung + 2000):
            with pytest.raises(ValueError, match="constant from -160 to 240 HU"):
                figure(image, lung, window=WINDOWS["mediastinum"])
    figures = metrics.all_figures(lung + 2000, lung)
    assert (figures["psnr_db"]["mediastinum"], figures["ssim"]["mediastinum"]) == (None, None)
    assert None not in (figures["psnr_db"]["lung"], figures["ssim"]["full"])
    inside = metrics.psnr_inside(lung + 2000, lung, np.ones(lung.shape, bool))
    assert inside["mediastinum"] is None
    assert inside["lung"] == figures["psnr_db"]["lung"]
    air = np.full((64, 64), -1024.0)
    assert metrics.all_figures(air + 5, air)["rmse_hu"] == 5


def test_a_constant_image_is_judged_as_any_other(pair):
    constant = np.zeros_like(pair[1])
    for window in WINDOWS.values():
        check_against_the_oracles(constant, pair[1], window)


def test_what_lies_outside_the_window_does_not_count():
    reference = np.full((16, 16), 2000.0)
    reference[0] = 40.0
    brighter = np.where(reference > 150, reference + 500, reference)
    assert metrics.psnr_db(brighter, reference, window=WINDOWS["lung"]) == math.inf
    assert metrics.ssim(brighter, reference, window=WINDOWS["lung"]) == 1
    assert metrics.rmse_hu(reference[1:] + 5000, reference[1:]) == 1071.0
    assert metrics.bias_hu(np.full((16, 16), -30000), np.full((16, 16), -1024)) == 0.0


def test_one_image_against_itself(pair):
    figures = metrics.all_figures(pair[0], pair[0])
    assert set(figures["psnr_db"].values()) == {math.inf}
    assert list(figures["ssim"].values()) == [1.0, 1.0, 1.0]
    assert [figures[name] for name in ("rmse_hu", "mae_hu", "bias_hu")] == [0, 0, 0]


def test_all_figures_are_the_single_ones(pair):
    image, reference = (part.astype(np.float32) for part in pair)
    figures = metrics.all_figures(image, reference)
    for name, window in WINDOWS.items():
        assert figures["psnr_db"][name] == metrics.psnr_db(image, reference, window=window)
        assert figures["ssim"][name] == metrics.ssim(image, reference, window=window)
    for name in ("rmse_hu", "mae_hu", "bias_hu"):
        assert figures[name] == getattr(metrics, name)(image, reference)


def test_psnr_inside_a_mask_leaves_out_the_rest(pair):
    image, reference = (part.copy() for part in pair)
    mask = np.zeros(image.shape, bool)
    mask[20:60, 10:50] = True
    inside = metrics.psnr_inside(image, reference, mask)
    for name, window in WINDOWS.items():
        parts = image[20:60, 10:50], reference[20:60, 10:50]
        assert inside[name] == pytest.approx(metrics.psnr_db(*parts, window=window))
    assert metrics.psnr_inside(image, reference, ~mask & mask) == dict.fromkeys(WINDOWS)


def test_texture_is_the_noise_and_not_the_anatomy():
    rng = np.random.default_rng(2)
    rows, columns = np.indices((256, 256))
    anatomy = 100 * np.sin(rows / 40) * np.cos(columns / 50) - 850
    mask = np.zeros((256, 256), bool)
    mask[20:-20, 20:-20] = True
    # White noise less its Gaussian of SD s: variance 1 - 2 g(0)^2 + 1 / (4 pi s^2), g the kernel.
    kept = math.sqrt(1 - 2 / (2 * math.pi * 4) + 1 / (16 * math.pi))
    sd = metrics.texture_sd_hu(anatomy + rng.normal(0, 20, anatomy.shape), mask)
    assert sd == pytest.approx(20 * kept, rel=0.02)
    assert metrics.texture_sd_hu(anatomy, mask) < 1


@pytest.mark.parametrize("figure", [metrics.rmse_hu, metrics.mae_hu, metrics.bias_hu])
def test_nan_and_unequal_shapes_are_refused(figure):
    good, bad = np.arange(256.0).reshape(16, 16), np.full((16, 16), np.nan)
    for pair in ((good, bad), (bad, good), (good, good[:8])):
        with pytest.raises(ValueError, match=r"NaN|against"):
            figure(*pair)
        with pytest.raises(ValueError, match=r"NaN|against"):
            metrics.psnr_db(*pair, window=WINDOWS["lung"])
        with pytest.raises(ValueError, match=r"NaN|against"):
            metrics.ssim(*pair, window=WINDOWS["lung"])


def test_other_refusals():
    small = np.arange(400.0).reshape(10, 40)
    with pytest.raises(ValueError, match="11 x 11"):
        metrics.ssim(small, small, window=WINDOWS["full"])
    with pytest.raises(ValueError, match="mask"):
        metrics.texture_sd_hu(small, np.zeros(small.shape, bool))


def test_nps_of_white_noise_is_flat_at_its_level_and_its_integral_is_the_variance():
    """10 HU at 0.7 mm: 100 HU^2 times 0.49 mm^2."""
    white = np.random.default_rng(3).normal(0, 10, (4, 512, 512))
    spectrum = metrics.nps(white + 40, 0.7)
    assert spectrum.power.mean() == pytest.approx(49.0, rel=0.01)
    assert np.abs(spectrum.power / 49.0 - 1).max() < 0.1
    assert spectrum.sd_hu == pytest.approx(10.0, rel=0.005)
    assert spectrum.frequency[[0, -1]] == pytest.approx([1 / (64 * 0.7), 0.5 / 0.7])
    assert math.isnan(spectrum.half)


def test_nps_of_filtered_noise_is_the_filter():
    """f^2 exp(-(f / f0)^2) has its peak at f0, half of it at 1.637 f0, mean 0.75 sqrt(pi) f0."""
    f0, rng = 0.2, np.random.default_rng(4)
    f = np.hypot(np.fft.fftfreq(512, 0.7)[:, None], np.fft.rfftfreq(512, 0.7))
    response = f / f0 * np.exp((1 - (f / f0) ** 2) / 2)
    noise = np.fft.irfft2(np.fft.rfft2(rng.normal(0, 10, (8, 512, 512))) * response)
    fine = metrics.nps(noise, 0.7, 128)
    theory = 49.0 * (fine.frequency / f0) ** 2 * np.exp(1 - (fine.frequency / f0) ** 2)
    assert np.abs(fine.power - theory).max() < 0.04 * theory.max()  # the box leaks
    spectrum = metrics.nps(noise, 0.7)
    assert spectrum.peak == pytest.approx(f0, abs=0.01)
    assert spectrum.half == pytest.approx(1.637 * f0, abs=0.005)
    assert spectrum.mean == pytest.approx(0.75 * math.sqrt(math.pi) * f0, rel=0.02)
    assert spectrum.sd_hu == pytest.approx(noise.std(), rel=0.01)


def test_nps_less_its_plane_is_blind_to_a_slope_and_keeps_the_noise():
    white = np.random.default_rng(6).normal(0, 10, (512, 512))
    slope = np.add.outer(0.8 * np.arange(512.0), -0.3 * np.arange(512.0))
    places = metrics.boxes_in(np.ones((512, 512), bool), 32, 16)
    alone, sloping = (
        metrics.nps(image, 0.7, 32, places=places, plane=True) for image in (white, white + slope)
    )
    assert sloping.power == pytest.approx(alone.power)
    assert alone.power[4:].mean() == pytest.approx(49.0, rel=0.01)
    assert metrics.nps(slope, 0.7, 32).power[0] > 20 * 49.0


def test_nps_sees_boxes_inside_the_mask_alone():
    noise = np.random.default_rng(5).normal(0, 10, (200, 200))
    noise[:, 130:] = np.nan
    mask = ~np.isnan(noise)
    assert metrics.nps(noise, 0.7, 64, mask).sd_hu == pytest.approx(10.0, rel=0.05)
    for wrong in (None, np.zeros((200, 200), bool)):
        with pytest.raises(ValueError, match="64 x 64"):
            metrics.nps(noise, 0.7, 64, wrong)
