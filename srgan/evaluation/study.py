"""Every metric of every method on every slice, and the means over patients.

A mean is over each patient's slices first and over patients then, so that a patient with many
slices has no more weight than one with few.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from srgan.evaluation.baselines import Method
from srgan.evaluation.study_slice import PATCH, StudySlice, noise_of, patch_corners, reference_of
from srgan.hounsfield import WINDOWS, Windows
from srgan.lowdose.degradation import Degradation
from srgan.metrics import input_noise, registry, ttf
from srgan.metrics.registry import Metric
from srgan.metrics.slice_output import Output, Reference
from srgan.random_streams import STUDY_PATCHES, generator_of
from srgan.system.processes import cpus

NORMAL_DOSE = "normal dose"  # beside the methods' names


@dataclass(frozen=True)
class Row:
    """The metrics of one method on one slice or one patch of it."""

    pseudonym: str
    number: int
    part: str  # "whole" or "patch"
    corner: tuple[int, int]  # first row and column of the patch in the cropped slice
    method: str
    metrics: dict  # registry.measure_slice or measure_patch


@dataclass(frozen=True)
class Study:
    """What was measured, slice by slice in the order given."""

    methods: tuple[str, ...]
    rows: tuple[Row, ...]
    normal_dose: dict[tuple[str, int], dict]  # its metrics, by (pseudonym, number)
    noise: dict[tuple[str, int], dict] = field(default_factory=dict)  # as `noise_of`
    windows: Windows = field(default_factory=lambda: WINDOWS)  # of PSNR and SSIM
    input_noise_hu: dict[tuple[str, int], float | None] = field(default_factory=dict)
    discs: ttf.Discs | None = None  # disc_phantom.discs_of

    def patients(self) -> list[str]:
        return list(self.n_slices())

    def n_slices(self) -> dict[str, int]:
        """Pseudonym to its number of slices."""
        return dict(
            sorted(Counter(p for p, _ in {(r.pseudonym, r.number) for r in self.rows}).items())
        )

    def by_patient(self, part: str = "whole") -> dict[str, dict[str, dict]]:
        """Each method's metrics by pseudonym: the means over a patient's slices or patches."""
        return self._over_slices(part, _mean)

    def sd_by_patient(self) -> dict[str, dict[str, dict]]:
        """The same with the sample SD over a patient's slices."""
        return self._over_slices("whole", _sd)

    def _over_slices(self, part: str, of: Callable[[list], float | None]) -> dict:
        found: dict[str, dict[str, list]] = {}
        for row in self.rows:
            if row.part == part:
                of_patient = found.setdefault(row.pseudonym, {m: [] for m in self.methods})
                of_patient[row.method].append(row.metrics)
        return {
            pseudonym: {method: _combined(rows, of) for method, rows in of_methods.items()}
            for pseudonym, of_methods in sorted(found.items())
        }

    def overall(self, part: str = "whole") -> dict[str, dict]:
        """Each method's metrics: means over each patient's slices or patches, then over patients.

        For whole slices with the TTF50 of the disc, if it was measured.
        """
        patients = self.by_patient(part).values()
        found = {m: mean_metrics([p[m] for p in patients]) for m in self.methods if patients}
        return {m: f | self._ttf50(m) for m, f in found.items()} if part == "whole" else found

    def _ttf50(self, name: str) -> dict:
        return {registry.TTF50: ttf.ttf50(self.discs.ttf[name])} if self.discs else {}

    def normal_dose_by_patient(self) -> dict[str, dict]:
        """The normal dose's own metrics by pseudonym: the means over a patient's slices."""
        of_patient = {p: [] for p in self.patients()}
        for (pseudonym, _), metrics in self.normal_dose.items():
            of_patient[pseudonym].append(metrics)
        return {pseudonym: mean_metrics(rows) for pseudonym, rows in of_patient.items()}

    def normal_dose_overall(self) -> dict:
        """The means of `normal_dose_by_patient`, and the disc's own TTF50."""
        found = mean_metrics(list(self.normal_dose_by_patient().values()))
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


def _combined(rows: list[dict], of: Callable[[list], float | None]) -> dict:
    return {
        name: _combined([row[name] for row in rows], of)
        if isinstance(first, dict)
        else of([row[name] for row in rows])
        for name, first in rows[0].items()
    }


def mean_metrics(rows: list[dict]) -> dict:
    """The mean of equally nested dicts of numbers; None is left out, infinity stays infinite."""
    return _combined(rows, _mean)


def _output(name: str, method: Method, low_dose: np.ndarray, scale: int, place: str) -> np.ndarray:
    """Call a method with its own copy of a low dose. Raises ValueError unless it gives an image."""
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


def _rows_of_slice(
    methods: Mapping[str, Method],
    item: StudySlice,
    reference: Reference,
    windows: Windows,
    metrics: Sequence[Metric],
) -> list[Row]:
    place = f"slice {item.number} of {item.pseudonym}"

    def measure(image: np.ndarray) -> dict:
        return registry.measure_slice(Output.of_slice(image, reference, windows), metrics)

    outputs = [
        _output(name, method, reference.low_dose, reference.scale, place)
        for name, method in methods.items()
    ]
    with ThreadPoolExecutor(cpus()) as pool:  # NumPy and SciPy let the others run
        return [
            Row(item.pseudonym, item.number, "whole", (0, 0), name, measured)
            for name, measured in zip(methods, pool.map(measure, outputs), strict=True)
        ]


def _rows_of_patches(
    methods: Mapping[str, Method],
    item: StudySlice,
    reference: Reference,
    windows: Windows,
    metrics: Sequence[Metric],
    seed: int,
) -> list[Row]:
    scale, side, rows = reference.scale, PATCH // reference.scale, []
    rng = generator_of(seed, STUDY_PATCHES, item.noise_key)
    for y, x in patch_corners(reference.image, scale, rng):
        target = reference.image[y : y + PATCH, x : x + PATCH]
        top, left = y // scale, x // scale
        part = reference.low_dose[top : top + side, left : left + side]
        for name, method in methods.items():
            place = f"a patch of slice {item.number} of {item.pseudonym}"
            image = _output(name, method, part, scale, place)
            measured = registry.measure_patch(Output.of_patch(image, target, windows), metrics)
            corner = (int(y), int(x))
            rows.append(Row(item.pseudonym, item.number, "patch", corner, name, measured))
    return rows


def run(
    methods: Mapping[str, Method],
    slices: Iterable[StudySlice],
    degradation: Degradation,
    seed: int,
    windows: Windows = WINDOWS,
    metrics: Sequence[Metric] | None = None,
    *,
    patches: bool = True,
) -> Study:
    """Low-dose every slice, and measure every method on it, whole and on four 64 x 64 patches.

    methods: name to function, (h, w) HU to (scale*h, scale*w) HU. A patch goes through a method by
    itself, 16 x 16 pixels at scale 4, cut from the same low dose: a method that takes whole slices
    alone needs patches=False. The reference is the normal dose clipped to [-1024, 3071].
    windows: of PSNR and SSIM, beside hounsfield's. metrics: those of the registry unless given.
    Raises ValueError, with the method's name and the slice, where an output is no NumPy array of
    finite real numbers of that shape; and where a slice has fewer than 11 rows or columns, or a
    window has the name of one of hounsfield's and other limits.
    """
    windows = {**WINDOWS, **windows}
    if any(windows[name] != window for name, window in WINDOWS.items()):
        raise ValueError(f"the windows {', '.join(WINDOWS)} have their limits")
    metrics = registry.METRICS if metrics is None else metrics
    rows, normal_dose, noise, input_noise_hu = [], {}, {}, {}
    for item in slices:
        reference, place = reference_of(item, degradation, seed), (item.pseudonym, item.number)
        rows += _rows_of_slice(methods, item, reference, windows, metrics)
        if patches:
            rows += _rows_of_patches(methods, item, reference, windows, metrics, seed)
        normal_dose[place] = registry.measure_normal_dose(reference, metrics)
        noise[place] = noise_of(item, degradation, seed)
        input_noise_hu[place] = input_noise.sd_hu(reference.low_dose, reference.scale)
    return Study(tuple(methods), tuple(rows), normal_dose, noise, windows, input_noise_hu)
