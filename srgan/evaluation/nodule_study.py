"""Every method on the slices through annotated nodules: contrast, HU, diameter, lost, invented.

These slices are none of the study's. Means are over a patient's nodules (slices) first and over
patients then; what vanished is counted over all nodules.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from srgan.evaluation.baselines import Method
from srgan.evaluation.study import StudySlice, make_pair, mean_metrics, noise_of
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

LARGE_PX = 3.0  # of the low dose across: what is smaller, no input shows the shape of
MEANS = ("contrast_ratio", "mean_error_hu", "diameter_error_mm", "diameter_abs_error_mm")


@dataclass(frozen=True)
class NoduleRow:
    """One nodule by one method."""

    pseudonym: str
    slice: int  # of those through nodules, within the patient
    number: int  # of the nodule, within the patient
    diameter_mm: float  # as annotated
    low_dose_px: float  # the same in pixels of the low dose
    method: str
    metrics: dict  # as `compare` gives them


@dataclass(frozen=True)
class NoduleStudy:
    """What was measured on the nodules of a test; appeared: (pseudonym, slice) to method."""

    methods: tuple[str, ...]
    rows: tuple[NoduleRow, ...]
    appeared: dict[tuple[str, int], dict[str, int]]
    noise: dict[tuple[str, int], dict] = field(default_factory=dict)  # as study.noise_of

    def of(self, method: str) -> list[NoduleRow]:
        return [row for row in self.rows if row.method == method]

    def overall(self) -> dict[str, dict]:
        """Method to its means, and how many nodules vanished: of all, and of the large ones."""
        made = {}
        for method in self.methods:
            rows = self.of(method)
            means = _mean_of_patients((r.pseudonym, r.metrics) for r in rows)
            slices = ((p, {"n": count[method]}) for (p, _), count in self.appeared.items())
            gone = [row for row in rows if row.metrics["vanished"]]
            made[method] = {name: means[name] for name in MEANS} | {
                "vanished": len(gone),
                "vanished_large": sum(row.low_dose_px >= LARGE_PX for row in gone),
                "appeared_a_slice": _mean_of_patients(slices)["n"],
            }
        return made

    def visible(self, least_px: float = 0.0) -> int:
        """How many nodules the normal dose shows, of at least so many pixels of the low dose."""
        rows = [r for r in self.of(self.methods[0]) if r.low_dose_px >= least_px]
        return sum(r.metrics["vanished"] is not None for r in rows)

    def summary(self) -> dict:
        """JSON values: counts, and what `overall` gives."""
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
    """What became of a nodule; None where it cannot be told.

    A nodule that the normal dose itself does not show (`is_visible`) has no contrast to keep, no
    diameter, and cannot vanish; vanished is 0 or 1.
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
    """Low-dose the slices as the study does and judge every method on their nodules.

    slices: each with its nodules, in pixels of the whole slice. None where no nodule lies far
    enough inside its slice. Blobs are looked for where the normal dose has lung.
    """
    rows, new, noise = [], {}, {}
    for item, spots in slices:
        normal_dose, low_dose = make_pair(item, degradation, seed)
        lung, key = lung_mask(normal_dose), (item.pseudonym, item.number)
        cut = [size % degradation.scale // 2 for size in item.hu().shape]  # as study.crop
        spots = [
            NoduleInSlice(s.number, s.row_px - cut[0], s.column_px - cut[1], s.diameter_mm)
            for s in spots
        ]
        regions = [NoduleRegion.around(spot, lung, item.spacing_mm) for spot in spots]
        placed = [(s, r) for s, r in zip(spots, regions, strict=True) if r is not None]
        if placed:
            normal = [measure(normal_dose, where) for _, where in placed]
            counts, noise[key] = {}, noise_of(item, degradation, seed)
            for name, method in methods.items():
                output = method(low_dose)
                for (spot, where), before in zip(placed, normal, strict=True):
                    across = spot.diameter_mm / (degradation.scale * max(item.spacing_mm))
                    about = (*key, spot.number, spot.diameter_mm, across, name)
                    rows.append(NoduleRow(*about, compare(measure(output, where), before)))
                counts[name] = len(new_blobs(output, normal_dose, lung, item.spacing_mm))
            new[key] = counts
    return NoduleStudy(tuple(methods), tuple(rows), new, noise) if rows else None
