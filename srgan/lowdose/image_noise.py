"""Low dose on the slice itself: Poisson and Gaussian noise.

White noise without streaks or a unit of dose: a fast baseline. SD in HU is
4095 sqrt(x / lambda + sigma^2), x = (HU + 1024) / 4095; the area mean divides it by the scale.
"""

import itertools
from dataclasses import dataclass

import numpy as np

from srgan.hounsfield import HU_MAX, HU_MIN, HU_SPAN, fraction_to_hu, hu_to_fraction
from srgan.lowdose.levels import Levels


@dataclass(frozen=True)
class ImageNoise:
    """Poisson and Gaussian noise on the slice itself."""

    noise_lambda: Levels  # photons at full scale
    noise_sigma: Levels  # a fraction of 4095 HU

    def middle(self) -> "ImageNoise":
        return ImageNoise(*(Levels((x.middle,)) for x in (self.noise_lambda, self.noise_sigma)))

    def each(self) -> "list[ImageNoise]":
        pairs = itertools.product(self.noise_lambda.each(), self.noise_sigma.each())
        return [ImageNoise(*pair) for pair in pairs]

    def as_json(self) -> dict:
        return {
            "model": "image",
            "noise_lambda": str(self.noise_lambda),
            "noise_sigma": str(self.noise_sigma),
            "unit": "lambda: photons at full scale (4095 HU); sigma: fraction of 4095 HU",
        }

    def remark(self) -> str:
        return (
            f"image noise: lambda {self.noise_lambda} photons, sigma {self.noise_sigma} of 4095 HU"
        )


def draw(levels: Levels, n: int, rng: np.random.Generator) -> np.ndarray:
    """n values, shape (n, 1, 1), log-uniform in a range, evenly from a list."""
    if levels.is_range:
        return np.exp(rng.uniform(np.log(levels.low), np.log(levels.high), (n, 1, 1)))
    return rng.choice(np.array(levels.values), (n, 1, 1))


def low_dose(hu: np.ndarray, noise_lambda, noise_sigma, rng: np.random.Generator) -> np.ndarray:
    """Poisson and Gaussian noise on HU, clipped to [-1024, 3071] as a scanner's file is.

    hu: (..., rows, columns), any real dtype; levels are scalars or broadcast. Returns float32.
    """
    x = hu_to_fraction(np.clip(hu, HU_MIN, HU_MAX)).astype(np.float64)
    noisy = rng.poisson(noise_lambda * x) / noise_lambda
    noisy += noise_sigma * rng.standard_normal(x.shape, np.float32)
    return fraction_to_hu(np.clip(noisy, 0.0, 1.0)).astype(np.float32)


def block_noise_sd_hu(
    low: np.ndarray, noise_lambda: float, noise_sigma: float, scale: int
) -> np.ndarray:
    """SD in HU of the noise of each pixel of a low dose that is the mean of scale x scale pixels.

    low: that low dose in HU, any shape; returns float64 of the shape. The noise is white, so the
    mean divides its SD by the scale.
    """
    x = hu_to_fraction(np.clip(low, HU_MIN, HU_MAX).astype(np.float64))
    return HU_SPAN / scale * np.sqrt(x / noise_lambda + noise_sigma**2)
