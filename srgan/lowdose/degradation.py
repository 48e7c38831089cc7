"""From a normal-dose slice to the networks' input: a dose model, a clip, and the area mean.

Training, validation, test and benchmarks all degrade through `degrade`.
"""

from dataclasses import dataclass, replace

import numpy as np

from srgan.hounsfield import HU_MAX, HU_MIN
from srgan.lowdose import image_noise, projection_noise
from srgan.lowdose.image_noise import ImageNoise, draw
from srgan.lowdose.levels import Levels
from srgan.lowdose.projection_noise import Fields, Scanner
from srgan.resampling import area_mean


@dataclass(frozen=True)
class ProjectionNoise:
    """Noise inserted in the projections (srgan/lowdose/projection_noise.py)."""

    dose: Levels  # fractions of the full dose
    photons: float | None  # of a reading at 360 views and 0.70 mm; None: matched to each slice
    noise_hu: float | None  # SD in soft tissue at full dose that the photons are to give
    scanner: Scanner

    def middle(self) -> "ProjectionNoise":
        return replace(self, dose=Levels((self.dose.middle,)))

    def each(self) -> "list[ProjectionNoise]":
        return [replace(self, dose=dose) for dose in self.dose.each()]

    def as_json(self) -> dict:
        return {
            "model": "projection",
            "dose": str(self.dose),
            "photons": self.photons if self.photons is not None else "auto",
            "noise_hu": self.noise_hu,
            **self.scanner.as_json(),
        }

    def remark(self) -> str:
        if self.noise_hu is not None:
            whose = f"a scan with {self.noise_hu:g} HU of noise"
        elif self.photons is not None:
            whose = f"a reference scanner of {self.photons:g} photons"
        else:
            whose = "the scan's own, photons matched"
        scanner = self.scanner
        return (
            f"projection noise: dose {self.dose} of {whose}; electronic noise "
            f"{scanner.electronic_noise:g} counts, cutoff {scanner.filter_cutoff:g}/mm, bowtie "
            f"{scanner.bowtie:g}"
        )


@dataclass(frozen=True)
class Degradation:
    """How a normal-dose slice becomes the networks' input; saved with every checkpoint."""

    noise: ImageNoise | ProjectionNoise
    scale: int  # 1, 2 or 4

    @property
    def in_projections(self) -> bool:
        return isinstance(self.noise, ProjectionNoise)

    def middle(self) -> "Degradation":
        """The same with one noise level: the geometric middle of each range."""
        return replace(self, noise=self.noise.middle())

    def each(self) -> "list[Degradation]":
        """One degradation for each listed level; a range stays a range."""
        return [replace(self, noise=noise) for noise in self.noise.each()]

    def as_json(self) -> dict:
        return {**self.noise.as_json(), "scale": self.scale}


def degrade(
    hu: np.ndarray,
    degradation: Degradation,
    rng: np.random.Generator,
    fields: tuple[np.ndarray, np.ndarray] | None = None,
) -> np.ndarray:
    """Normal dose (n, rows, columns) HU to low dose (n, rows/scale, columns/scale) float32 HU.

    One level of each kind is drawn per image. fields: the quantum and electronic noise at full
    dose, each of the shape of hu, where the noise is inserted in the projections. Clipped to
    [-1024, 3071] at full resolution, as a scanner's file is. Raises ValueError where a size does
    not divide.
    """
    noise = degradation.noise
    if isinstance(noise, ImageNoise):
        levels = [draw(x, len(hu), rng) for x in (noise.noise_lambda, noise.noise_sigma)]
        return area_mean(image_noise.low_dose(hu, *levels, rng), degradation.scale)
    quantum, electronic = projection_noise.weights(
        draw(noise.dose, len(hu), rng).astype(np.float32)
    )
    low = hu + (quantum * fields[0] + electronic * fields[1])
    return area_mean(np.clip(low, HU_MIN, HU_MAX), degradation.scale)


def fields_of(
    hu: np.ndarray,
    spacing_mm: tuple[float, float],
    photons: float | None,
    degradation: Degradation,
    rng: np.random.Generator,
) -> Fields | None:
    """New noise fields of one slice for `degrade`; None where the noise is the image's.

    hu: (rows, columns). The photon floor is that of the lowest dose of the degradation.
    """
    noise = degradation.noise
    if isinstance(noise, ImageNoise):
        return None
    return projection_noise.noise_fields(
        hu, spacing_mm, photons, noise.scanner, noise.dose.low, rng
    )


def expected_noise_sd_hu(
    *,
    low_dose: np.ndarray,
    normal_dose: np.ndarray,
    degradation: Degradation,
    spacing_mm: tuple[float, float] | None = None,
    photons: float | None = None,
) -> np.ndarray:
    """SD in HU of the noise in each pixel of a low dose that `degrade` made of one slice.

    low_dose: (h, w) HU; normal_dose: (scale*h, scale*w) HU; spacing_mm and photons, at full dose:
    for noise in the projections alone. Returns (h, w). Without the clip to [-1024, 3071], which
    takes noise away near air. Raises ValueError where the degradation has more than one level.
    """
    noise, scale = degradation.noise, degradation.scale
    if isinstance(noise, ImageNoise):
        levels = _only(noise.noise_lambda), _only(noise.noise_sigma)
        return image_noise.block_noise_sd_hu(low_dose, *levels, scale)
    return projection_noise.block_noise_sd_hu(
        normal_dose, spacing_mm, photons, noise.scanner, _only(noise.dose), scale
    )


def clean_chi2(degradation: Degradation) -> float:
    """Mean square of (low dose - clean slice) in units of `expected_noise_sd_hu`.

    A low dose in the projections has the noise of the full dose too, and no network can tell it
    from what was inserted, which is the share 1 - a of the quantum variance at dose a. Noise on the
    image knows nothing of the slice's own: 1. Raises ValueError where the degradation has more than
    one level.
    """
    noise = degradation.noise
    if isinstance(noise, ImageNoise) or _only(noise.dose) >= 1:
        return 1.0
    return 1.0 / (1.0 - _only(noise.dose))


def _only(levels: Levels) -> float:
    if len(levels.values) != 1:
        raise ValueError(f"the noise level {levels} is not one level")
    return levels.values[0]
