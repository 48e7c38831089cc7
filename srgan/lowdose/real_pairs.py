"""Real pairs: the low dose was measured, and so the noise is the difference of two slices.

The noise of a slice is low dose - normal dose in HU, both clipped to [-1024, 3071]. Added to the
normal dose it gives the measured low dose, exactly.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy import ndimage

from srgan.hounsfield import HU_MAX, HU_MIN
from srgan.resampling import area_mean

AROUND_PX = 8.0  # of the normal dose: Gaussian SD of the mean that local noise is measured by
CLEAN_CHI2 = 1.1  # 1/(1 - dose) of a tenth that was inserted; a quarter has 1.3, two scans 0.9
LEAST_SD_HU = 0.5  # where both slices are clipped, as in air, they are equal


@dataclass(frozen=True)
class RealPairs:
    """A noise model (see `degradation.NoiseModel`) without a level: the noise that was measured."""

    in_projections: ClassVar[bool] = False
    axis_labels: ClassVar[dict[str, str]] = {}

    def new_fields(self, hu, spacing_mm, photons, rng) -> None:
        return None

    def apply(self, hu: np.ndarray, rng: np.random.Generator, fields: np.ndarray) -> np.ndarray:
        """fields: (1, n, rows, columns), as `PairNoise` gives them."""
        return hu + fields[0]

    def expected_sd_hu(
        self, *, low_dose: np.ndarray, normal_dose: np.ndarray, scale: int, **_
    ) -> np.ndarray:
        """Root mean square of the difference around each pixel (Gaussian, 8 normal-dose pixels).

        So the normal dose has a mean chi2 of about 1 by itself.
        """
        square = (low_dose - area_mean(normal_dose, scale)).astype(np.float64) ** 2
        around = ndimage.gaussian_filter(square, AROUND_PX / scale)
        return np.sqrt(np.maximum(around, LEAST_SD_HU**2))

    def clean_chi2(self) -> float:
        """A guess: what the low dose shares with the noise of the normal dose is not told."""
        return CLEAN_CHI2

    def as_json(self) -> dict:
        return {"model": "pairs", "unit": "measured low dose"}

    def describe(self) -> str:
        return "real pairs: low dose as measured, beside the normal dose of the same slice"


@dataclass(frozen=True)
class PairNoise:
    """The noise of one slice of a pair: (rows, columns) HU of both doses."""

    normal_hu: np.ndarray
    low_hu: np.ndarray
    n_fields: ClassVar[int] = 1

    def fields(self) -> np.ndarray:
        """(1, rows, columns) float32 HU."""
        return difference(self.normal_hu, self.low_hu)[None]

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """What is read of it."""
        return self.normal_hu, self.low_hu

    def draw(self, cut: Callable, rng: np.random.Generator, out: np.ndarray) -> None:
        """The noise of a patch that `cut` takes from an image; there is one measured noise.

        out: takes it, (1, size, size) float32.
        """
        out[0] = difference(cut(self.normal_hu), cut(self.low_hu))


def difference(normal_hu: np.ndarray, low_hu: np.ndarray) -> np.ndarray:
    """Low dose - normal dose, of (rows, columns) HU clipped to [-1024, 3071]: float32."""
    both = (np.clip(hu, HU_MIN, HU_MAX).astype(np.float32) for hu in (low_hu, normal_hu))
    return np.subtract(*both)
