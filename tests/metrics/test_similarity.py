import math
from pathlib import Path

import numpy as np
import pytest
import sewar
from sewar.utils import Filter
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from srgan.dataset import catalogue
from srgan.evaluation.study import crop
from srgan.hounsfield import HU_MAX, HU_MIN, WINDOWS
from srgan.lowdose.degradation import degrade
from srgan.metrics import similarity
from srgan.resampling import bicubic
from tests.helpers.made_structure import IMAGE_NOISE, SCALE

CT = Path(__file__).resolve().parents[3] / "shared" / "ct"
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
    found = similarity.psnr_db(output=image, reference=reference, window=window)
    assert found == pytest.approx(sewar.psnr(truth, shown, MAX=width), abs=1e-6)
    expected = peak_signal_noise_ratio(truth, shown, data_range=width)
    assert found == pytest.approx(expected, abs=1e-6)
    found = similarity.ssim(output=image, reference=reference, window=window)
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
    """Of ten patients, each in every window, against its low dose enlarged."""
    rng = np.random.default_rng(6)
    by_patient = {scan.patient_id: scan for scan in catalogue.find(CT).scans}
    assert len(by_patient) >= 10
    for scan in list(by_patient.values())[:10]:
        hu = catalogue.reader(scan)(len(scan.slices) // 2)
        reference = crop(np.clip(hu, HU_MIN, HU_MAX).astype(np.float32), SCALE)
        low = degrade(reference[None], IMAGE_NOISE, rng)[0]
        for window in WINDOWS.values():
            check_against_the_oracles(bicubic(low, SCALE), reference, window)
            itself = {"output": reference, "reference": reference, "window": window}
            assert similarity.psnr_db(**itself) == math.inf
            assert similarity.ssim(**itself) == 1


def test_known_answers():
    reference = np.full((16, 16), 40.0)
    reference[0] = 60.0
    brighter = {"output": reference + 40, "reference": reference}
    assert similarity.psnr_db(**brighter, window=WINDOWS["mediastinum"]) == 20.0
    found = similarity.psnr_db(**brighter, window=WINDOWS["full"])
    assert found == pytest.approx(20 * math.log10(4095 / 40))
    checkered = reference + np.where(np.indices((16, 16)).sum(0) % 2, 10.0, -30.0)
    both = {"output": checkered, "reference": reference}
    assert similarity.bias_hu(**both) == -10.0
    assert similarity.mae_hu(**both) == 20.0
    assert similarity.rmse_hu(**both) == pytest.approx(math.sqrt(500))


def test_a_reference_that_is_constant_in_its_window_is_refused_and_has_no_figure(pair):
    """Lung in the mediastinum window: whatever is as dark would be infinitely good."""
    lung = np.random.default_rng(7).uniform(-900, -700, (64, 64))
    for figure in (similarity.psnr_db, similarity.ssim):
        assert figure(output=lung + 50, reference=lung, window=WINDOWS["lung"]) > 0
        for image in (lung, lung + 2000):
            with pytest.raises(ValueError, match="constant from -160 to 240 HU"):
                figure(output=image, reference=lung, window=WINDOWS["mediastinum"])
    body = np.ones(lung.shape, bool)
    figures = similarity.all_figures(output=lung + 2000, reference=lung, windows=WINDOWS, body=body)
    assert (figures["psnr_db"]["mediastinum"], figures["ssim"]["mediastinum"]) == (None, None)
    assert None not in (figures["psnr_db"]["lung"], figures["ssim"]["full"])
    for whole, inside in (("psnr_db", "psnr_body_db"), ("ssim", "ssim_body")):
        assert figures[inside]["mediastinum"] is None
        assert figures[inside]["lung"] == pytest.approx(figures[whole]["lung"])
    air = np.full((64, 64), -1024.0)
    flat = similarity.all_figures(output=air + 5, reference=air, windows=WINDOWS)
    assert (flat["rmse_hu"], flat["psnr_db"]["full"]) == (5, None)


def test_a_constant_image_is_judged_as_any_other(pair):
    constant = np.zeros_like(pair[1])
    for window in WINDOWS.values():
        check_against_the_oracles(constant, pair[1], window)


def test_what_lies_outside_the_window_does_not_count():
    reference = np.full((16, 16), 2000.0)
    reference[0] = 40.0
    brighter = np.where(reference > 150, reference + 500, reference)
    both = {"output": brighter, "reference": reference, "window": WINDOWS["lung"]}
    assert similarity.psnr_db(**both) == math.inf
    assert similarity.ssim(**both) == 1
    assert similarity.rmse_hu(output=reference[1:] + 5000, reference=reference[1:]) == 1071.0
    below, air = np.full((16, 16), -30000), np.full((16, 16), -1024)
    assert similarity.bias_hu(output=below, reference=air) == 0.0


def test_one_image_against_itself(pair):
    figures = similarity.all_figures(output=pair[0], reference=pair[0], windows=WINDOWS)
    assert set(figures["psnr_db"].values()) == {math.inf}
    assert list(figures["ssim"].values()) == [1.0, 1.0, 1.0]
    assert [figures[name] for name in ("rmse_hu", "mae_hu", "bias_hu")] == [0, 0, 0]


def test_all_figures_are_the_single_ones(pair):
    image, reference = (part.astype(np.float32) for part in pair)
    both = {"output": image, "reference": reference}
    body = np.zeros(image.shape, bool)
    body[3:60, 10:50] = True
    figures = similarity.all_figures(**both, windows=WINDOWS, body=body)
    for name, window in WINDOWS.items():
        for suffix, mask in (("", None), ("_body", body)):
            given = {**both, "window": window, "mask": mask}
            assert figures[f"psnr{suffix}_db"][name] == similarity.psnr_db(**given)
            assert figures[f"ssim{suffix}"][name] == similarity.ssim(**given)
    for name in ("rmse_hu", "mae_hu", "bias_hu"):
        assert figures[name] == getattr(similarity, name)(**both)
    without = similarity.all_figures(**both, windows=WINDOWS)
    assert set(figures) - set(without) == {"psnr_body_db", "ssim_body"}


@NAMED_WINDOWS
def test_a_mask_leaves_out_the_rest(pair, window):
    """SSIM's map is scikit-image's full one, whose border it leaves out."""
    image, reference = pair
    mask = np.zeros(image.shape, bool)
    mask[2:60, 10:50] = True
    given = {"output": image, "reference": reference, "window": window, "mask": mask}
    parts = {"output": image[2:60, 10:50], "reference": reference[2:60, 10:50]}
    assert similarity.psnr_db(**given) == pytest.approx(similarity.psnr_db(**parts, window=window))
    _, full = structural_similarity(
        *(np.clip(part, *window) for part in (reference, image)),
        data_range=window.width,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    assert similarity.ssim(**given) == pytest.approx(full[5:60, 10:50].mean(), abs=1e-6)


def test_an_empty_or_unfit_mask_is_refused_and_has_no_figure(pair):
    given = {"output": pair[0], "reference": pair[1], "window": WINDOWS["lung"]}
    empty, rim = (np.zeros(pair[1].shape, bool) for _ in range(2))
    rim[:4] = True
    for figure in (similarity.psnr_db, similarity.ssim):
        with pytest.raises(ValueError, match="constant"):
            figure(**given, mask=empty)
        with pytest.raises(ValueError, match="a mask of"):
            figure(**given, mask=empty[1:])
    with pytest.raises(ValueError, match="border"):
        similarity.ssim(**given, mask=rim)
    del given["window"]
    for body, seen in ((empty, False), (rim, True)):
        found = similarity.all_figures(**given, windows=WINDOWS, body=body)
        assert found["ssim_body"] == dict.fromkeys(WINDOWS)
        assert (found["psnr_body_db"]["lung"] is not None) == seen


def test_texture_is_the_noise_and_not_the_anatomy():
    rng = np.random.default_rng(2)
    rows, columns = np.indices((256, 256))
    anatomy = 100 * np.sin(rows / 40) * np.cos(columns / 50) - 850
    mask = np.zeros((256, 256), bool)
    mask[20:-20, 20:-20] = True
    # White noise less its Gaussian of SD s: variance 1 - 2 g(0)^2 + 1 / (4 pi s^2), g the kernel.
    kept = math.sqrt(1 - 2 / (2 * math.pi * 4) + 1 / (16 * math.pi))
    sd = similarity.texture_sd_hu(anatomy + rng.normal(0, 20, anatomy.shape), mask=mask)
    assert sd == pytest.approx(20 * kept, rel=0.02)
    assert similarity.texture_sd_hu(anatomy, mask=mask) < 1


@pytest.mark.parametrize("figure", ["psnr_db", "ssim", "rmse_hu", "mae_hu", "bias_hu"])
@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf, "shape", "empty"])
def test_nan_infinity_and_unequal_shapes_are_refused(figure, wrong):
    good = np.arange(256.0).reshape(16, 16)
    bad = {"shape": good[:8], "empty": good[:0]}.get(wrong)
    if bad is None:
        bad = np.where(good == 100, wrong, good)
    window = {"window": WINDOWS["lung"]} if figure in ("psnr_db", "ssim") else {}
    pairs = [(bad, bad)] if wrong == "empty" else [(good, bad), (bad, good)]
    for output, reference in pairs:
        with pytest.raises(ValueError, match=r"NaN or infinity|an output of .* a reference of"):
            getattr(similarity, figure)(output=output, reference=reference, **window)


def test_other_refusals():
    small = np.arange(400.0).reshape(10, 40)
    for shape in ((10, 40), (400,), (16, 5, 5)):
        image = np.resize(small, shape)
        with pytest.raises(ValueError, match="11 x 11"):
            similarity.ssim(output=image, reference=image, window=WINDOWS["full"])
    for image in (np.full((10, 40), math.inf), small):
        with pytest.raises(ValueError, match="mask"):
            similarity.texture_sd_hu(image, mask=np.zeros(small.shape, bool) | (image > 500))


def test_two_images_are_never_told_apart_by_their_order(pair):
    for figure in ("psnr_db", "ssim", "rmse_hu", "mae_hu", "bias_hu", "all_figures"):
        with pytest.raises(TypeError, match="positional"):
            getattr(similarity, figure)(*pair)
    for figure in ("psnr_db", "ssim", "all_figures"):
        with pytest.raises(TypeError, match="required keyword-only argument: 'window"):
            getattr(similarity, figure)(output=pair[0], reference=pair[1])
    for figure in (similarity.nps, similarity.texture_sd_hu, similarity.boxes_in):
        with pytest.raises(TypeError, match="positional"):
            figure(pair[0], 0.7)


def test_nps_of_white_noise_is_flat_at_its_level_and_its_integral_is_the_variance():
    """10 HU at 0.7 mm: 100 HU^2 times 0.49 mm^2."""
    white = np.random.default_rng(3).normal(0, 10, (4, 512, 512))
    spectrum = similarity.nps(white + 40, pixel_mm=0.7)
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
    fine = similarity.nps(noise, pixel_mm=0.7, box=128)
    theory = 49.0 * (fine.frequency / f0) ** 2 * np.exp(1 - (fine.frequency / f0) ** 2)
    assert np.abs(fine.power - theory).max() < 0.04 * theory.max()  # the box leaks
    spectrum = similarity.nps(noise, pixel_mm=0.7)
    assert spectrum.peak == pytest.approx(f0, abs=0.01)
    assert spectrum.half == pytest.approx(1.637 * f0, abs=0.005)
    assert spectrum.mean == pytest.approx(0.75 * math.sqrt(math.pi) * f0, rel=0.02)
    assert spectrum.sd_hu == pytest.approx(noise.std(), rel=0.01)


def test_nps_less_its_plane_is_blind_to_a_slope_and_keeps_the_noise():
    white = np.random.default_rng(6).normal(0, 10, (512, 512))
    slope = np.add.outer(0.8 * np.arange(512.0), -0.3 * np.arange(512.0))
    places = similarity.boxes_in(np.ones((512, 512), bool), box=32, step=16)
    alone, sloping = (
        similarity.nps(image, pixel_mm=0.7, box=32, places=places, plane=True)
        for image in (white, white + slope)
    )
    assert sloping.power == pytest.approx(alone.power)
    assert alone.power[4:].mean() == pytest.approx(49.0, rel=0.01)
    assert similarity.nps(slope, pixel_mm=0.7, box=32).power[0] > 20 * 49.0


def test_nps_sees_boxes_inside_the_mask_alone():
    noise = np.random.default_rng(5).normal(0, 10, (200, 200))
    noise[:, 130:] = np.nan
    mask = ~np.isnan(noise)
    assert similarity.nps(noise, pixel_mm=0.7, mask=mask).sd_hu == pytest.approx(10.0, rel=0.05)
    for wrong in (None, np.zeros((200, 200), bool)):
        with pytest.raises(ValueError, match="64 x 64"):
            similarity.nps(noise, pixel_mm=0.7, mask=wrong)
