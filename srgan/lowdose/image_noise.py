"""Noise on the pixels of the slice: Poisson plus Gaussian.

A fast baseline: the noise is white, has no streaks, and its level is not a dose. Its SD in HU is
4095 sqrt(x / lambda + sigma^2) with x = (HU + 1024) / 4095. The area mean divides it by the scale.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from srgan.hounsfield import HU_MAX, HU_MIN, HU_SPAN, fraction_to_hu, hu_to_fraction
from srgan.lowdose.levels import Levels


@dataclass(frozen=True)
class ImageNoise:
    """A noise model (see `degradation.NoiseModel`): Poisson and Gaussian noise on each pixel."""

    noise_lambda: Levels  # photons at full scale
    noise_sigma: Levels  # fraction of 4095 HU

    in_projections: ClassVar[bool] = False
    axis_labels: ClassVar[dict[str, str]] = {
        "noise_lambda": "lambda, photons at full scale",
        "noise_sigma": "sigma, fraction of 4095 HU",
    }

    def new_fields(self, hu, spacing_mm, photons, rng) -> None:
        return None

    def apply(self, hu: np.ndarray, rng: np.random.Generator, fields=None) -> np.ndarray:
        noise_lambda = self.noise_lambda.sample(len(hu), rng)
        return add_noise(hu, noise_lambda, self.noise_sigma.sample(len(hu), rng), rng)

    def expected_sd_hu(self, *, low_dose: np.ndarray, scale: int, **_) -> np.ndarray:
        return block_noise_sd_hu(low_dose, self.noise_lambda.only, self.noise_sigma.only, scale)

    def clean_chi2(self) -> float:
        return 1.0

    def as_json(self) -> dict:
        return {
            "model": "image",
            "noise_lambda": str(self.noise_lambda),
            "noise_sigma": str(self.noise_sigma),
            "unit": "lambda: photons at full scale (4095 HU); sigma: fraction of 4095 HU",
        }

    def describe(self) -> str:
        return (
            f"image noise: lambda {self.noise_lambda} photons, sigma {self.noise_sigma} of 4095 HU"
        )


def add_noise(hu: np.ndarray, noise_lambda, noise_sigma, rng: np.random.Generator) -> np.ndarray:
    """Poisson and Gaussian noise on HU, clipped to [-1024, 3071] as in a scanner's file.

    hu: (..., rows, columns), any real dtype. noise_lambda, noise_sigma: scalars, or arrays that
    broadcast. Returns float32 HU.
    """
    x = hu_to_fraction(np.clip(hu, HU_MIN, HU_MAX)).astype(np.float64)
    noisy = rng.poisson(noise_lambda * x) / noise_lambda
    noisy += noise_sigma * rng.standard_normal(x.shape, np.float32)
    return fraction_to_hu(np.clip(noisy, 0.0, 1.0)).astype(np.float32)


def block_noise_sd_hu(
    low_dose: np.ndarray, noise_lambda: float, noise_sigma: float, scale: int
) -> np.ndarray:
    """SD in HU of the noise in each pixel of a low dose, the mean of scale x scale noisy pixels.

    low_dose: HU, any shape. Returns float64 of that shape. White noise averages down by the scale.
    """
    x = hu_to_fraction(np.clip(low_dose, HU_MIN, HU_MAX).astype(np.float64))
    return HU_SPAN / scale * np.sqrt(x / noise_lambda + noise_sigma**2)
