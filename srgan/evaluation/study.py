"""Methods over patients: every figure of every slice, and their means.

A mean is over a patient's slices first and over patients then, so that a patient with many slices
weighs no more than one with few.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from srgan.evaluation import slice_metrics, verdict
from srgan.evaluation.baselines import Method
from srgan.hounsfield import HU_MAX, HU_MIN, WINDOWS, Windows
from srgan.lowdose.degradation import (
    Degradation,
    clean_chi2,
    degrade,
    expected_noise_sd_hu,
    fields_of,
)
from srgan.lowdose.level_names import drawn, levels_of
from srgan.masks import body_mask
from srgan.metrics import similarity, ttf
from srgan.random_streams import STUDY_LEVELS, STUDY_NOISE, STUDY_PATCHES, generator_of
from srgan.system.processes import cpus

PATCH = 64  # pixels of the normal dose
PATCHES_A_SLICE = 4
Measures = Mapping[str, Callable[[np.ndarray, np.ndarray], float]]  # of output and reference, HU
NORMAL_DOSE = "normal dose"  # beside the methods' names


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


@dataclass(frozen=True)
class Row:
    """The figures of one method on one slice or one patch of it."""

    pseudonym: str
    number: int
    part: str  # "whole" or "patch"
    corner: tuple[int, int]  # first row and column of the patch in the cropped slice
    method: str
    figures: dict  # of whole slices judge.figures, of patches metrics.all_metrics


@dataclass(frozen=True)
class Study:
    """What was measured, slice by slice in the order given."""

    methods: tuple[str, ...]
    rows: tuple[Row, ...]
    normal_dose: dict[tuple[str, int], dict]  # (pseudonym, number) to Truth.alone
    noise: dict[tuple[str, int], dict] = field(default_factory=dict)  # as `noise_of`
    windows: Windows = field(default_factory=lambda: WINDOWS)  # of PSNR and SSIM
    kinds: Mapping[str, str] = field(default_factory=dict)  # of methods, as given to `run`
    discs: ttf.Discs | None = None  # of phantom.discs_of, by method, and the normal dose

    def patients(self) -> list[str]:
        return list(self.n_slices())

    def n_slices(self) -> dict[str, int]:
        """Pseudonym to its number of slices."""
        return dict(
            sorted(Counter(p for p, _ in {(r.pseudonym, r.number) for r in self.rows}).items())
        )

    def by_patient(self, part: str = "whole") -> dict[str, dict[str, dict]]:
        """Pseudonym to each method's figures: the mean over a patient's slices or patches."""
        return self._over_slices(part, _mean)

    def sd_by_patient(self) -> dict[str, dict[str, dict]]:
        """The same of whole slices with the sample SD over a patient's slices."""
        return self._over_slices("whole", _sd)

    def _over_slices(self, part: str, of: Callable[[list], float | None]) -> dict:
        found: dict[str, dict[str, list]] = {}
        for row in self.rows:
            if row.part == part:
                of_patient = found.setdefault(row.pseudonym, {m: [] for m in self.methods})
                of_patient[row.method].append(row.figures)
        return {
            pseudonym: {method: _combined(figures, of) for method, figures in of_methods.items()}
            for pseudonym, of_methods in sorted(found.items())
        }

    def overall(self, part: str = "whole") -> dict[str, dict]:
        """Each method's figures: mean over a patient's slices or patches, then over patients.

        Of whole slices with the TTF50 of the disc, where it was measured.
        """
        patients = self.by_patient(part).values()
        found = {m: mean_figures([p[m] for p in patients]) for m in self.methods if patients}
        return {m: f | self._ttf50(m) for m, f in found.items()} if part == "whole" else found

    def _ttf50(self, name: str) -> dict:
        return {slice_metrics.TTF50: ttf.ttf50(self.discs.ttf[name])} if self.discs else {}

    def normal_dose_by_patient(self) -> dict[str, dict]:
        """Each patient's figures of the normal dose alone: the means of its slices."""
        of_patient = {p: [] for p in self.patients()}
        for (pseudonym, _), alone in self.normal_dose.items():
            of_patient[pseudonym].append(alone)
        return {pseudonym: mean_figures(found) for pseudonym, found in of_patient.items()}

    def normal_dose_overall(self) -> dict:
        """The means of `normal_dose_by_patient`, and the disc's own TTF50."""
        found = mean_figures(list(self.normal_dose_by_patient().values()))
        return found | self._ttf50(NORMAL_DOSE)


def _mean(values: list) -> float | None:
    """The mean of what was measured; infinite if one value is, None if nothing was measured."""
    measured = [value for value in values if value is not None]
    return math.fsum(measured) / len(measured) if measured else None


def _sd(values: list) -> float | None:
    """The sample SD (n - 1) of what was measured; None below two values or if one is infinite."""
    measured = [value for value in values if value is not None]
    if len(measured) < 2 or not all(map(math.isfinite, measured)):
        return None
    return float(np.std(measured, ddof=1))


def _combined(figures: list[dict], of: Callable[[list], float | None]) -> dict:
    return {
        name: _combined([f[name] for f in figures], of)
        if isinstance(first, dict)
        else of([f[name] for f in figures])
        for name, first in figures[0].items()
    }


def mean_figures(figures: list[dict]) -> dict:
    """The mean of equally nested dicts of numbers; None is left out, infinity stays infinite."""
    return _combined(figures, _mean)


def crop(image: np.ndarray, scale: int) -> np.ndarray:
    """The central part of (rows, columns) whose sizes are multiples of scale."""
    for axis, size in enumerate(image.shape):
        start = size % scale // 2
        image = image.take(range(start, start + size - size % scale), axis)
    return image


def level_of(item: StudySlice, degradation: Degradation, seed: int) -> Degradation:
    """The degradation at the one level that a slice has: drawn for it where there is a range."""
    return drawn(degradation, generator_of(seed, STUDY_LEVELS, item.noise_key))


def noise_of(item: StudySlice, degradation: Degradation, seed: int) -> dict[str, float | None]:
    """The noise of a slice in columns: its level, photons and noise (SD in HU) at full dose."""
    levels = levels_of(level_of(item, degradation, seed))
    found = {name: level.middle for name, level in levels.items()}
    if degradation.in_projections:
        found |= {"photons": item.photons, "full_dose_sd_hu": item.sd_hu}
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
    fields = fields_of(hu, item.spacing_mm, item.photons, degradation, rng)
    if fields is not None:
        fields = [crop(field, scale)[None] for field in (fields.quantum, fields.electronic)]
    reference = crop(np.clip(hu, HU_MIN, HU_MAX).astype(np.float32), scale)
    return reference, degrade(reference[None], degradation, rng, fields)[0]


def patch_corners(reference: np.ndarray, scale: int, rng: np.random.Generator) -> np.ndarray:
    """First rows and columns of 64 x 64 patches: centres drawn in the body, multiples of scale.

    Returns (4, 2) int, or (0, 2) where the slice is smaller than a patch.
    """
    if min(reference.shape) < PATCH:
        return np.zeros((0, 2), int)
    body = body_mask(reference)
    inside = np.argwhere(body if body.any() else np.ones_like(body))
    centres = inside[rng.integers(len(inside), size=PATCHES_A_SLICE)]
    return np.clip(centres - PATCH // 2, 0, np.array(reference.shape) - PATCH) // scale * scale


def truth_of(item: StudySlice, degradation: Degradation, seed: int) -> slice_metrics.Truth:
    """What the outputs of a slice are judged by."""
    reference, low_dose = make_pair(item, degradation, seed)
    level = level_of(item, degradation, seed)
    sd_hu = expected_noise_sd_hu(
        low_dose=low_dose,
        normal_dose=reference,
        degradation=level,
        spacing_mm=item.spacing_mm,
        photons=item.photons,
    )
    clean = clean_chi2(level)
    return slice_metrics.Truth.of(reference, low_dose, sd_hu, level.scale, item.spacing_mm, clean)


def _output(name: str, method: Method, low_dose: np.ndarray, scale: int, place: str) -> np.ndarray:
    """What a method makes of its own copy of a low dose. Raises ValueError where it is no image."""
    found = method(low_dose.copy())
    shape = tuple(scale * n for n in low_dose.shape)
    if not isinstance(found, np.ndarray) or found.dtype.kind not in "fiu":
        what = found.dtype if isinstance(found, np.ndarray) else type(found).__name__
        raise ValueError(f"{name!r} gave {what}, not a NumPy array of real numbers, for {place}")
    if found.shape != shape:
        hint = "; a method of one size needs patches=False" if "patch" in place else ""
        raise ValueError(f"{name!r} gave {found.shape} for {place}, not {shape}{hint}")
    if not np.isfinite(found).all():
        raise ValueError(f"{name!r} gave NaN or infinity for {place}")
    return found.astype(np.result_type(found, np.float32))  # always a copy


def _rows_of(
    item: StudySlice,
    methods: Mapping[str, Method],
    degradation: Degradation,
    seed: int,
    windows: Windows,
    more: Measures,
    patches: bool,
) -> tuple[list[Row], dict]:
    """All rows of one slice, and the figures of its normal dose alone."""
    scale, truth = degradation.scale, truth_of(item, degradation, seed)
    reference, low_dose = truth.reference, truth.low_dose
    rows, place = [], f"slice {item.number} of {item.pseudonym}"
    outputs = [_output(n, method, low_dose, scale, place) for n, method in methods.items()]
    with ThreadPoolExecutor(cpus()) as pool:  # NumPy and SciPy let the others run
        judged = pool.map(partial(slice_metrics.figures, truth=truth, windows=windows), outputs)
        for name, output, figures in zip(methods, outputs, judged, strict=True):
            figures |= {key: measure(output, reference) for key, measure in more.items()}
            rows.append(Row(item.pseudonym, item.number, "whole", (0, 0), name, figures))
    rng = generator_of(seed, STUDY_PATCHES, item.noise_key)
    for y, x in patch_corners(reference, scale, rng) if patches else ():
        target = reference[y : y + PATCH, x : x + PATCH]
        part = low_dose[y // scale : (y + PATCH) // scale, x // scale : (x + PATCH) // scale]
        for name, method in methods.items():
            output = _output(name, method, part, scale, f"a patch of {place}")
            figures = similarity.all_metrics(output=output, reference=target, windows=windows)
            corner = (int(y), int(x))
            rows.append(Row(item.pseudonym, item.number, "patch", corner, name, figures))
    return rows, truth.of_reference


def run(
    methods: Mapping[str, Method],
    slices: Iterable[StudySlice],
    degradation: Degradation,
    seed: int,
    windows: Windows = WINDOWS,
    more: Measures | None = None,
    *,
    kinds: Mapping[str, str] | None = None,
    patches: bool = True,
) -> Study:
    """Low-dose every slice and judge every method on it, whole and on four 64 x 64 patches.

    methods: name to function, (h, w) HU to (scale*h, scale*w) HU. A patch goes through a method by
    itself, 16 x 16 pixels at scale 4, cut from the same low dose: a method that takes whole slices
    alone needs patches=False. The reference is the normal dose clipped to [-1024, 3071].
    windows: of PSNR and SSIM, beside hounsfield's.
    more: figures of whole slices by name. kinds: one of verdict.KINDS by a method's name, by which
    it is judged; without one conclusions.kind_of guesses by the name. Raises ValueError, with the
    method's name and the slice, where an output is no NumPy array of finite real numbers of that
    shape; and where a slice has fewer than 11 rows or columns, a window has the name of one of
    hounsfield's and other limits, or a kind is unknown or of no method.
    """
    windows, kinds = {**WINDOWS, **windows}, dict(kinds or {})
    if any(windows[name] != window for name, window in WINDOWS.items()):
        raise ValueError(f"the windows {', '.join(WINDOWS)} have their limits")
    for name, kind in kinds.items():
        if name not in methods or kind not in verdict.KINDS:
            known = f"methods {', '.join(methods)}; kinds {', '.join(verdict.KINDS)}"
            raise ValueError(f"no kind {kind!r} of {name!r} ({known})")
    rows, normal_dose, noise = [], {}, {}
    for item in slices:
        of_slice, alone = _rows_of(item, methods, degradation, seed, windows, more or {}, patches)
        rows += of_slice
        normal_dose[item.pseudonym, item.number] = alone
        noise[item.pseudonym, item.number] = noise_of(item, degradation, seed)
    return Study(tuple(methods), tuple(rows), normal_dose, noise, windows, kinds)
