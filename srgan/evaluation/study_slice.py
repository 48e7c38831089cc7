"""A slice of a study: its low dose, what is measured against, and where its patches lie.

All noise follows from the seed and the slice's own key, whatever else is in the study.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from srgan.hounsfield import HU_MAX, HU_MIN
from srgan.lowdose.degradation import Degradation, degrade
from srgan.lowdose.real_pairs import difference
from srgan.masks import body_mask
from srgan.metrics.slice_output import Reference
from srgan.random_streams import STUDY_LEVELS, STUDY_NOISE, generator_of

PATCH = 64  # pixels of the normal dose across
PATCHES_A_SLICE = 4


@dataclass(frozen=True)
class StudySlice:
    """One normal-dose slice of a held-out patient."""

    pseudonym: str
    number: int  # within the patient, from 1
    spacing_mm: tuple[float, float]  # between rows, between columns
    noise_key: int  # from 0 to 2^64 - 1; with the seed it names the noise
    hu: Callable[[], np.ndarray]  # reads (rows, columns) HU
    photons: float | None = None  # at its full dose, for noise in the projections
    sd_hu: float | None = None  # estimated noise in soft tissue at full dose
    low_hu: Callable[[], np.ndarray] | None = None  # of a real pair: reads the measured low dose
    dose: float | None = None  # of a real pair: share of the normal dose by the headers
    noise_hu: float | None = None  # of a real pair: SD of the difference, of its series


def crop(image: np.ndarray, scale: int) -> np.ndarray:
    """The central part of (rows, columns) whose sizes are multiples of scale."""
    for axis, size in enumerate(image.shape):
        start = size % scale // 2
        image = image.take(range(start, start + size - size % scale), axis)
    return image


def level_of(item: StudySlice, degradation: Degradation, seed: int) -> Degradation:
    """The degradation at the one level of a slice, which is sampled from a range."""
    return degradation.sample(generator_of(seed, STUDY_LEVELS, item.noise_key))


def noise_of(item: StudySlice, degradation: Degradation, seed: int) -> dict[str, float | None]:
    """The noise columns of a slice: its level, and photons and noise (SD in HU) at full dose.

    Of a real pair: what the headers say of the dose, and the SD of the difference in HU.
    """
    levels = level_of(item, degradation, seed).levels
    found = {name: level.middle for name, level in levels.items()}
    if degradation.noise.in_projections:
        found |= {"photons": item.photons, "full_dose_sd_hu": item.sd_hu}
    if item.low_hu is not None:
        found |= {"dose_by_exposure": item.dose, "noise_hu": item.noise_hu}
    return found


def make_pair(
    item: StudySlice, degradation: Degradation, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """The reference and the low dose of a slice; equal arguments give equal noise.

    Reference: (rows, columns) float32 HU in [-1024, 3071], cropped to multiples of the scale; low
    dose: (rows/scale, columns/scale) float32 HU.
    """
    degradation = level_of(item, degradation, seed)
    rng = generator_of(seed, STUDY_NOISE, item.noise_key)
    hu, scale = item.hu(), degradation.scale
    fields = degradation.noise.new_fields(hu, item.spacing_mm, item.photons, rng)
    if item.low_hu is not None:
        fields = [crop(difference(hu, item.low_hu()), scale)[None]]
    elif fields is not None:
        fields = [crop(field, scale)[None] for field in (fields.quantum, fields.electronic)]
    reference = crop(np.clip(hu, HU_MIN, HU_MAX).astype(np.float32), scale)
    return reference, degrade(reference[None], degradation, rng, fields)[0]


def patch_corners(reference: np.ndarray, scale: int, rng: np.random.Generator) -> np.ndarray:
    """First rows and columns of 64 x 64 patches around random points of the body.

    Returns (4, 2) int, multiples of the scale; (0, 2) if the slice is smaller than a patch.
    """
    if min(reference.shape) < PATCH:
        return np.zeros((0, 2), int)
    body = body_mask(reference)
    inside = np.argwhere(body if body.any() else np.ones_like(body))
    centres = inside[rng.integers(len(inside), size=PATCHES_A_SLICE)]
    return np.clip(centres - PATCH // 2, 0, np.array(reference.shape) - PATCH) // scale * scale


def reference_of(item: StudySlice, degradation: Degradation, seed: int) -> Reference:
    """What the outputs of a slice are measured against."""
    normal_dose, low_dose = make_pair(item, degradation, seed)
    level = level_of(item, degradation, seed)
    noise_sd_hu = level.noise.expected_sd_hu(
        low_dose=low_dose,
        normal_dose=normal_dose,
        scale=level.scale,
        spacing_mm=item.spacing_mm,
        photons=item.photons,
    )
    clean = level.noise.clean_chi2()
    return Reference.of(normal_dose, low_dose, noise_sd_hu, level.scale, item.spacing_mm, clean)
