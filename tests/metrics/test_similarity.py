import math

import numpy as np
import pytest
import sewar
from sewar.utils import Filter
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from srgan.dataset import catalogue
from srgan.evaluation.study_slice import crop
from srgan.formats import readers
from srgan.hounsfield import HU_MAX, HU_MIN, WINDOWS
from srgan.lowdose.degradation import degrade
from srgan.metrics import similarity
from srgan.resampling import bicubic
from tests.helpers.made_structure import IMAGE_NOISE, SCALE
from tests.helpers.real_slices import CT, needs_ct

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
    image, reference = pair
    for output in (image, np.zeros_like(reference)):
        check_against_the_oracles(output, reference, window)


@pytest.mark.slow
@needs_ct
def test_psnr_and_ssim_of_ten_real_slices_are_those_of_scikit_image_and_sewar():
    """Of ten patients, each in every window, against its low dose enlarged."""
    rng = np.random.default_rng(6)
    by_patient = {scan.patient_id: scan for scan in catalogue.find(CT).scans}
    assert len(by_patient) >= 10
    for scan in list(by_patient.values())[:10]:
        hu = readers.reader(scan)(len(scan.slices) // 2)
        reference = crop(np.clip(hu, HU_MIN, HU_MAX).astype(np.float32), SCALE)
        low = degrade(reference[None], IMAGE_NOISE, rng)[0]
        for window in WINDOWS.values():
            check_against_the_oracles(bicubic(low, SCALE), reference, window)
            itself = {"output": reference, "reference": reference, "window": window}
            assert similarity.psnr_db(**itself) == math.inf
            assert similarity.ssim(**itself) == 1


def test_similarity_metrics_of_known_errors():
    reference = np.full((16, 16), 40.0)
    reference[0] = 60.0
    brighter = {"output": reference + 40, "reference": reference}
    assert similarity.psnr_db(**brighter, window=WINDOWS["mediastinum"]) == 20.0
    found = similarity.psnr_db(**brighter, window=WINDOWS["full"])
    assert found == pytest.approx(20 * math.log10(4095 / 40))
    checkered = reference + np.where(np.indices((16, 16)).sum(0) % 2, 10.0, -30.0)
    both = {"output": checkered, "reference": reference}
    errors = {"bias_hu": -10.0, "mae_hu": 20.0, "rmse_hu": pytest.approx(math.sqrt(500))}
    assert similarity.errors_hu(**both) == errors


def test_psnr_and_ssim_refuse_a_reference_that_is_constant_in_its_window(pair):
    """Lung in the mediastinum window: whatever is as dark would be infinitely good."""
    lung = np.random.default_rng(7).uniform(-900, -700, (64, 64))
    for metric in (similarity.psnr_db, similarity.ssim):
        assert metric(output=lung + 50, reference=lung, window=WINDOWS["lung"]) > 0
        for image in (lung, lung + 2000):
            with pytest.raises(ValueError, match="constant from -160 to 240 HU"):
                metric(output=image, reference=lung, window=WINDOWS["mediastinum"])
    body = np.ones(lung.shape, bool)
    metrics = similarity.all_metrics(output=lung + 2000, reference=lung, windows=WINDOWS, body=body)
    assert (metrics["psnr_db"]["mediastinum"], metrics["ssim"]["mediastinum"]) == (None, None)
    assert None not in (metrics["psnr_db"]["lung"], metrics["ssim"]["full"])
    for whole, inside in (("psnr_db", "psnr_body_db"), ("ssim", "ssim_body")):
        assert metrics[inside]["mediastinum"] is None
        assert metrics[inside]["lung"] == pytest.approx(metrics[whole]["lung"])
    air = np.full((64, 64), -1024.0)
    flat = similarity.all_metrics(output=air + 5, reference=air, windows=WINDOWS)
    assert (flat["rmse_hu"], flat["psnr_db"]["full"]) == (5, None)


def test_errors_outside_the_window_do_not_count():
    reference = np.full((16, 16), 2000.0)
    reference[0] = 40.0
    brighter = np.where(reference > 150, reference + 500, reference)
    both = {"output": brighter, "reference": reference, "window": WINDOWS["lung"]}
    assert similarity.psnr_db(**both) == math.inf
    assert similarity.ssim(**both) == 1
    brighter = similarity.errors_hu(output=reference[1:] + 5000, reference=reference[1:])
    assert brighter["rmse_hu"] == 1071.0
    below, air = np.full((16, 16), -30000), np.full((16, 16), -1024)
    assert similarity.errors_hu(output=below, reference=air)["bias_hu"] == 0.0


def test_similarity_of_an_image_with_itself_is_perfect(pair):
    metrics = similarity.all_metrics(output=pair[0], reference=pair[0], windows=WINDOWS)
    assert set(metrics["psnr_db"].values()) == {math.inf}
    assert list(metrics["ssim"].values()) == [1.0, 1.0, 1.0]
    assert [metrics[name] for name in ("rmse_hu", "mae_hu", "bias_hu")] == [0, 0, 0]


def test_all_metrics_equals_the_single_functions(pair):
    image, reference = (part.astype(np.float32) for part in pair)
    both = {"output": image, "reference": reference}
    body = np.zeros(image.shape, bool)
    body[3:60, 10:50] = True
    metrics = similarity.all_metrics(**both, windows=WINDOWS, body=body)
    for name, window in WINDOWS.items():
        for suffix, mask in (("", None), ("_body", body)):
            given = {**both, "window": window, "mask": mask}
            assert metrics[f"psnr{suffix}_db"][name] == similarity.psnr_db(**given)
            assert metrics[f"ssim{suffix}"][name] == similarity.ssim(**given)
    assert metrics.items() >= similarity.errors_hu(**both).items()
    without = similarity.all_metrics(**both, windows=WINDOWS)
    assert set(metrics) - set(without) == {"psnr_body_db", "ssim_body"}


@NAMED_WINDOWS
def test_psnr_and_ssim_in_a_mask_ignore_the_pixels_outside(pair, window):
    """Our SSIM map is the full map of scikit-image without its border."""
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


def test_psnr_and_ssim_refuse_an_empty_or_unfit_mask(pair):
    given = {"output": pair[0], "reference": pair[1], "window": WINDOWS["lung"]}
    empty, rim = (np.zeros(pair[1].shape, bool) for _ in range(2))
    rim[:4] = True
    for metric in (similarity.psnr_db, similarity.ssim):
        with pytest.raises(ValueError, match="constant"):
            metric(**given, mask=empty)
        with pytest.raises(ValueError, match="a mask of"):
            metric(**given, mask=empty[1:])
    with pytest.raises(ValueError, match="border"):
        similarity.ssim(**given, mask=rim)
    del given["window"]
    for body, seen in ((empty, False), (rim, True)):
        found = similarity.all_metrics(**given, windows=WINDOWS, body=body)
        assert found["ssim_body"] == dict.fromkeys(WINDOWS)
        assert (found["psnr_body_db"]["lung"] is not None) == seen


@pytest.mark.parametrize("metric", ["psnr_db", "ssim", "errors_hu"])
@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf, "shape", "empty"])
def test_similarity_metrics_refuse_nan_infinity_and_unequal_shapes(metric, wrong):
    good = np.arange(256.0).reshape(16, 16)
    bad = {"shape": good[:8], "empty": good[:0]}.get(wrong)
    if bad is None:
        bad = np.where(good == 100, wrong, good)
    window = {} if metric == "errors_hu" else {"window": WINDOWS["lung"]}
    pairs = [(bad, bad)] if wrong == "empty" else [(good, bad), (bad, good)]
    for output, reference in pairs:
        with pytest.raises(ValueError, match=r"NaN or infinity|an output of .* a reference of"):
            getattr(similarity, metric)(output=output, reference=reference, **window)


def test_ssim_refuses_images_below_11_x_11_pixels():
    small = np.arange(400.0).reshape(10, 40)
    for shape in ((10, 40), (400,), (16, 5, 5)):
        image = np.resize(small, shape)
        with pytest.raises(ValueError, match="11 x 11"):
            similarity.ssim(output=image, reference=image, window=WINDOWS["full"])


def test_similarity_metrics_take_images_and_windows_by_keyword_only(pair):
    for metric in ("psnr_db", "ssim", "errors_hu", "all_metrics"):
        with pytest.raises(TypeError, match="positional"):
            getattr(similarity, metric)(*pair)
    for metric in ("psnr_db", "ssim", "all_metrics"):
        with pytest.raises(TypeError, match="required keyword-only argument: 'window"):
            getattr(similarity, metric)(output=pair[0], reference=pair[1])
