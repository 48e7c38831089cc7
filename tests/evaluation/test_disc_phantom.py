import numpy as np
import pytest
from scipy import ndimage

from srgan.evaluation import baselines, disc_phantom, study
from srgan.lowdose.degradation import Degradation
from srgan.lowdose.image_noise import ImageNoise
from srgan.lowdose.levels import Levels
from srgan.metrics import ttf
from srgan.settings import Settings, degradation_of

PROJECTION = degradation_of(Settings(noise="projection", dose=Levels((0.25,))))


def image_noise(scale, *levels):
    return Degradation(
        ImageNoise(Levels(levels or (1700.0,), len(levels) > 1), Levels((0.005,))), scale
    )


def theory(pixel_mm: float, blur_px: float = 0.0) -> float:
    """1/mm at which the soft kernel, the pixels' area and a Gaussian leave a half."""
    f = np.linspace(0, 0.74, 10_001)
    left = (0.5 + 0.5 * np.cos(np.pi * f / 0.74)) * np.sinc(f * pixel_mm)
    left *= np.exp(-2 * (np.pi * blur_px * pixel_mm * f) ** 2)
    return f[np.argmax(left < 0.5)]


def ttf50_of(compared, degradation, pixel_mm=0.7, photons=None):
    found = disc_phantom.discs_of(compared, degradation, pixel_mm=pixel_mm, photons=photons, seed=3)
    return {name: ttf.ttf50(of) for name, of in found.ttf.items()}, found


@pytest.mark.parametrize("pixel_mm", [0.5, 0.98])
def test_disc_has_the_ttf_of_its_kernel(pixel_mm):
    found, _ = ttf50_of({}, image_noise(1), pixel_mm)
    assert found == {study.NORMAL_DOSE: pytest.approx(theory(pixel_mm), rel=0.01)}


@pytest.mark.parametrize(
    ("degradation", "photons"),
    [(image_noise(1), None), (Degradation(PROJECTION.noise, 1), 1e6)],
)
def test_ttf_of_a_blurring_method_is_that_of_its_blur_in_noise(degradation, photons):
    compared = {f"{px} px": lambda low, px=px: ndimage.gaussian_filter(low, px) for px in (1, 2)}
    found, _ = ttf50_of(compared, degradation, photons=photons)
    for px in (1, 2):
        assert found[f"{px} px"] == pytest.approx(theory(0.7, px), rel=0.03)


def test_ttf50_of_bicubic_is_below_the_nyquist_frequency_of_its_input():
    found, discs = ttf50_of(baselines.classical(4), image_noise(4))
    assert 0.7 < found["bicubic"] * 2 * 4 * 0.7 < 1
    assert found["bicubic"] < found["nearest"] < 0.5 * found[study.NORMAL_DOSE]
    assert (discs.contrast_hu, discs.slices) == (300, 10)


def test_discs_state_the_noise_of_the_low_dose_at_the_middle_of_a_range():
    _, discs = ttf50_of({}, image_noise(4))
    assert discs.noise_sd_hu == pytest.approx(13.7, rel=0.03)  # soft tissue; the disc has more
    _, of_range = ttf50_of({}, image_noise(4, 850.0, 3400.0))
    assert of_range.noise_sd_hu == discs.noise_sd_hu


def test_methods_get_the_same_ten_low_doses_in_every_run():
    seen = []
    compared = {
        n: lambda low: seen.append(low) or baselines.classical(4)["bicubic"](low) for n in "ab"
    }
    ttf50_of(compared, image_noise(4))
    first = seen[:]
    ttf50_of(compared, image_noise(4))
    assert len(first) == 20
    for i, low in enumerate(first):
        np.testing.assert_array_equal(low, seen[20 + i])
    np.testing.assert_array_equal(first[0], first[10])
    assert (first[0] != first[1]).all()
