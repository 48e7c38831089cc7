"""From a normal-dose slice to the networks' input: a noise model, a clip, and the area mean.

Training, validation, test and benchmarks all use `degrade`.
"""

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import ClassVar, Protocol

import numpy as np

from srgan.hounsfield import HU_MAX, HU_MIN
from srgan.lowdose.levels import Levels
from srgan.resampling import area_mean


class NoiseModel(Protocol):
    """What a noise model has: `ImageNoise`, `ProjectionNoise` and `RealPairs` exist.

    A noise model is a frozen dataclass. Its fields of type `Levels` are its noise levels: `degrade`
    samples them, and --run test tabulates them. docs/dose.md explains the models; CONTRIBUTING.md
    shows how to add one.
    """

    in_projections: ClassVar[bool]  # needs square pixels, photons, and fields from `new_fields`
    axis_labels: ClassVar[dict[str, str]]  # for plots against a level, by field name

    def new_fields(
        self,
        hu: np.ndarray,
        spacing_mm: tuple[float, float],
        photons: float | None,
        rng: np.random.Generator,
    ) -> tuple[np.ndarray, ...] | None:
        """Noise images of a whole (rows, columns) slice for `apply`; None where it needs none."""

    def apply(
        self, hu: np.ndarray, rng: np.random.Generator, fields: tuple[np.ndarray, ...] | None
    ) -> np.ndarray:
        """Add noise to (n, rows, columns) HU, with levels sampled for each image: float32 HU.

        fields: of the shape of hu, cut from `new_fields`. `degrade` clips the result.
        """

    def expected_sd_hu(
        self,
        *,
        low_dose: np.ndarray,
        normal_dose: np.ndarray,
        scale: int,
        spacing_mm: tuple[float, float] | None = None,
        photons: float | None = None,
    ) -> np.ndarray:
        """Expected SD in HU of the noise in each pixel of a low dose made by `degrade`: (h, w).

        low_dose: (h, w) HU. normal_dose: (scale*h, scale*w) HU. The clip to [-1024, 3071], which
        removes noise near air, is ignored. Raises ValueError where there is more than one level.
        """

    def clean_chi2(self) -> float:
        """Mean square of (low dose - slice without any noise) in units of `expected_sd_hu`."""

    def as_json(self) -> dict:
        """The entry in manifests and summary.json, with units."""

    def describe(self) -> str:
        """One line for reports and checkpoints."""


@dataclass(frozen=True)
class Degradation:
    """How a normal-dose slice becomes the networks' input. Every checkpoint records it."""

    noise: NoiseModel
    scale: int  # 1, 2 or 4

    @property
    def levels(self) -> dict[str, Levels]:
        """The noise levels by field name: "dose", or "noise_lambda" and "noise_sigma"."""
        values = {field.name: getattr(self.noise, field.name) for field in fields(self.noise)}
        return {name: value for name, value in values.items() if isinstance(value, Levels)}

    def with_levels(self, levels: Mapping[str, Levels]) -> "Degradation":
        """The same degradation with other levels, by field name."""
        return replace(self, noise=replace(self.noise, **levels))

    def middle(self) -> "Degradation":
        """The same with single levels: the geometric middle of each range."""
        return self.with_levels({name: Levels((x.middle,)) for name, x in self.levels.items()})

    def each(self) -> "list[Degradation]":
        """One degradation for each combination of listed levels; a range stays a range."""
        names, lists = self.levels, (levels.each() for levels in self.levels.values())
        return [
            self.with_levels(dict(zip(names, each, strict=True)))
            for each in itertools.product(*lists)
        ]

    def sample(self, rng: np.random.Generator) -> "Degradation":
        """The same with single levels, sampled from ranges and lists."""
        levels = self.levels.items()
        return self.with_levels({name: Levels((x.sample(1, rng).item(),)) for name, x in levels})

    def as_json(self) -> dict:
        return {**self.noise.as_json(), "scale": self.scale}


def degrade(
    hu: np.ndarray,
    degradation: Degradation,
    rng: np.random.Generator,
    fields: tuple[np.ndarray, ...] | None = None,
) -> np.ndarray:
    """Normal dose (n, rows, columns) HU to low dose (n, rows/scale, columns/scale) float32 HU.

    One level of each kind is sampled for each image. fields: the noise images of the model, each of
    the shape of hu, where the noise is inserted in the projections or measured. Clipped at
    full resolution to [-1024, 3071], as in a scanner's file. Raises ValueError where a size does
    not divide.
    """
    noisy = degradation.noise.apply(hu, rng, fields)
    return area_mean(np.clip(noisy, HU_MIN, HU_MAX), degradation.scale)
