"""What becomes of annotated nodules: contrast, HU, diameter, what vanishes and what appears.

The slices through nodules are not in the study. Means are over each patient's nodules (slices)
first and over patients then; vanished nodules are counted over all patients.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from srgan.evaluation.baselines import Method
from srgan.evaluation.study import mean_metrics
from srgan.evaluation.study_slice import StudySlice, make_pair, noise_of
from srgan.lowdose.degradation import Degradation
from srgan.masks import lung_mask
from srgan.metrics.nodule_metrics import (
    NoduleInSlice,
    NoduleMeasurement,
    NoduleRegion,
    has_vanished,
    is_visible,
    measure,
    new_blobs,
)

LARGE_PX = 3.0  # of the low dose across; no input shows the shape of a smaller nodule
MEANS = ("contrast_ratio", "mean_error_hu", "diameter_error_mm", "diameter_abs_error_mm")


@dataclass(frozen=True)
class NoduleRow:
    """One nodule by one method."""

    pseudonym: str
    slice: int  # number of the slice, among the patient's slices through nodules
    number: int  # of the nodule, within the patient
    diameter_mm: float  # as annotated
    low_dose_px: float  # the same in pixels of the low dose
    method: str
    metrics: dict  # as `compare` gives them


@dataclass(frozen=True)
class NoduleStudy:
    """What was measured on the nodules of a test."""

    methods: tuple[str, ...]
    rows: tuple[NoduleRow, ...]
    appeared: dict[tuple[str, int], dict[str, int]]  # by (pseudonym, slice) and method
    noise: dict[tuple[str, int], dict] = field(default_factory=dict)  # as study_slice.noise_of

    def of(self, method: str) -> list[NoduleRow]:
        return [row for row in self.rows if row.method == method]

    def overall(self) -> dict[str, dict]:
        """Each method's means, and how many nodules vanished, of all and of the large ones."""
        overall = {}
        for method in self.methods:
            rows = self.of(method)
            means = _mean_of_patients((r.pseudonym, r.metrics) for r in rows)
            slices = ((p, {"n": count[method]}) for (p, _), count in self.appeared.items())
            gone = [row for row in rows if row.metrics["vanished"]]
            overall[method] = {name: means[name] for name in MEANS} | {
                "vanished": len(gone),
                "vanished_large": sum(row.low_dose_px >= LARGE_PX for row in gone),
                "appeared_a_slice": _mean_of_patients(slices)["n"],
            }
        return overall

    def visible(self, least_px: float = 0.0) -> int:
        """How many nodules the normal dose shows, of at least so many pixels of the low dose."""
        rows = [r for r in self.of(self.methods[0]) if r.low_dose_px >= least_px]
        return sum(r.metrics["vanished"] is not None for r in rows)

    def summary(self) -> dict:
        """For summary.json: counts, and `overall`."""
        rows = self.of(self.methods[0])
        return {
            "nodules": len(rows),
            "judged": self.visible(),
            "judged_large": self.visible(LARGE_PX),
            "under_3_px_of_low_dose": sum(r.low_dose_px < LARGE_PX for r in rows),
            "under_1_px_of_low_dose": sum(r.low_dose_px < 1 for r in rows),
            "slices": len(self.appeared),
            "patients": len({r.pseudonym for r in rows}),
            "methods": self.overall(),
        }


def _mean_of_patients(rows: Iterable[tuple[str, dict]]) -> dict:
    of_patient: dict[str, list[dict]] = {}
    for pseudonym, metrics in rows:
        of_patient.setdefault(pseudonym, []).append(metrics)
    return mean_metrics([mean_metrics(of_patient[name]) for name in sorted(of_patient)])


def compare(output: NoduleMeasurement, normal: NoduleMeasurement) -> dict:
    """What became of a nodule; None for what cannot be measured.

    A nodule that the normal dose does not show (`is_visible`) has no contrast to keep and no
    diameter, and cannot vanish. vanished is 0 or 1.
    """
    seen = is_visible(normal)
    both = seen and output.diameter_mm is not None and normal.diameter_mm is not None
    wider = output.diameter_mm - normal.diameter_mm if both else None
    return {
        "normal_dose_contrast_hu": normal.contrast_hu,
        "contrast_hu": output.contrast_hu,
        "contrast_ratio": output.contrast_hu / normal.contrast_hu if seen else None,
        "mean_error_hu": output.mean_hu - normal.mean_hu,
        "normal_dose_diameter_mm": normal.diameter_mm if seen else None,
        "half_maximum_diameter_mm": output.diameter_mm if seen else None,
        "diameter_error_mm": wider,
        "diameter_abs_error_mm": None if wider is None else abs(wider),
        "vanished": int(has_vanished(output, normal)) if seen else None,
    }


def run(
    methods: dict[str, Method],
    slices: Iterable[tuple[StudySlice, tuple[NoduleInSlice, ...]]],
    degradation: Degradation,
    seed: int,
) -> NoduleStudy | None:
    """Low-dose the slices as the study does, and measure every method on their nodules.

    slices: each with its nodules, in pixels of the whole slice. Returns None if no nodule lies far
    enough inside its slice. New blobs are looked for where the normal dose has lung.
    """
    rows, appeared, noise = [], {}, {}
    for item, nodules in slices:
        place = (item.pseudonym, item.number)
        of_slice, counts = _measure(methods, item, nodules, degradation, seed)
        if of_slice:
            rows += of_slice
            appeared[place], noise[place] = counts, noise_of(item, degradation, seed)
    return NoduleStudy(tuple(methods), tuple(rows), appeared, noise) if rows else None


def _measure(
    methods: dict[str, Method],
    item: StudySlice,
    nodules: tuple[NoduleInSlice, ...],
    degradation: Degradation,
    seed: int,
) -> tuple[list[NoduleRow], dict[str, int]]:
    """A row for each method and nodule of a slice, and how many blobs appeared by method."""
    normal_dose, low_dose = make_pair(item, degradation, seed)
    lung = lung_mask(normal_dose)
    top, left = (size % degradation.scale // 2 for size in item.hu().shape)  # cut off by crop
    placed = []
    for each in nodules:
        nodule = replace(each, row_px=each.row_px - top, column_px=each.column_px - left)
        region = NoduleRegion.around(nodule, lung, item.spacing_mm)
        if region is not None:
            placed.append((nodule, region, measure(normal_dose, region)))
    rows, appeared = [], {}
    for name, method in methods.items() if placed else ():
        output = method(low_dose)
        for nodule, region, normal in placed:
            low_dose_px = nodule.diameter_mm / (degradation.scale * max(item.spacing_mm))
            about = (nodule.number, nodule.diameter_mm, low_dose_px, name)
            metrics = compare(measure(output, region), normal)
            rows.append(NoduleRow(item.pseudonym, item.number, *about, metrics))
        appeared[name] = len(new_blobs(output, normal_dose, lung, item.spacing_mm))
    return rows, appeared
