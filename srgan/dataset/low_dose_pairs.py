"""--pairs: which series of a patient is the low dose of which, slice by slice.

Two series are a pair if their slices lie at the same places (pair_places.py) and differ by noise
alone (pair_pixels.py). The files' names and their numbers in the series count for nothing. What is
left over is listed with a reason.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np

from srgan.dataset.low_dose_series import dose_in_path, dose_in_text, names_below, without_dose
from srgan.dataset.pair_doses import judged
from srgan.dataset.pair_places import (
    Candidate,
    Series,
    apart,
    candidate_of,
    share_a_frame,
    with_frames,
)
from srgan.formats import csv_tables, readers
from srgan.formats.dicom.header import Header
from srgan.formats.scan import Scan, Skipped, tidy_id
from srgan.system.errors import one_line, plural
from srgan.system.files import write_csv
from srgan.system.progress import progress

NO_SERIES, NO_SLICE = "no series to pair with", "no slice to pair with"
COLUMNS = (
    "patient_id", "normal_dose", "low_dose", "kernel", "slices", "normal_mas", "low_mas",
    "dose_by_exposure", "noise_hu", "told_by",
)  # fmt: skip


def by_dose(headers: Iterable[Header], folder: Path) -> list[list[Header]]:
    """Slices apart by the dose that names tell: both doses may have one series UID."""
    parts: dict[tuple, list[Header]] = {}
    for header in headers:
        doses = dose_in_text(header.description), dose_in_path(header.path, folder)
        parts.setdefault(doses, []).append(header)
    return list(parts.values())


def named(volumes: Sequence[Scan], folder: Path) -> list[Scan]:
    """Volumes with the patient that their names tell, whatever the dose in them.

    `L067_full.nii.gz`, `quarter/L067.nii.gz` and `L067/quarter_1mm.nii.gz` are L067's. Of volumes
    with one series UID each gets the dose into its UID: none is a copy of another.
    """
    several = Counter(scan.series_uid for scan in volumes)
    made = []
    for scan in volumes:
        dose = dose_in_path(scan.files[0], folder)
        if dose and several[scan.series_uid] > 1:
            scan = replace(scan, series_uid=f"{scan.series_uid} {dose} dose")
        patient = scan.patient_ids or _patient_in_path(scan.files[0], folder)
        made.append(replace(scan, patient_ids=patient))
    return made


def _patient_in_path(file: Path, folder: Path) -> tuple[str, ...]:
    """The file's name without doses and thickness, or that of the nearest folder with one."""
    *folders, _ = names_below(file, folder)
    names = [readers.volume_name(file), *reversed(folders)]
    left = filter(None, (tidy_id(without_dose(name)) for name in names))
    return tuple(left)[:1]


def match(scans: Sequence[Scan], folder: Path) -> tuple[list[Scan], list[Skipped], list[str]]:
    """The normal-dose scans with their `low_dose`, the files left over, and lines for the user.

    The scans have the slices that both doses have. Their `files` are those of both. Some pixels are
    read. folder: that of the data.
    """
    series, skipped = with_frames(scans, folder)
    by_patient: dict[str, list[Series]] = {}
    for each in series:
        by_patient.setdefault(each.scan.patient_id, []).append(each)
    # Where no two series share a frame of reference, each was given one of its own.
    told = any(map(share_a_frame, by_patient.values()))
    pairs = []
    for own in progress(by_patient.values(), len(by_patient), "patients' pairs"):
        found, left_over = _pairs_of(own, told)
        pairs += found
        skipped += left_over
    return pairs, skipped, _lines(pairs, told)


# ---- the pairs of one patient ----


def _pairs_of(own: Sequence[Series], told: bool) -> tuple[list[Scan], list[Skipped]]:
    candidates = [candidate_of(a, b, told) for a, b in combinations(own, 2)]
    partner: dict[Series, Series] = {}
    pairs, skipped, seen = [], [], []
    for each in sorted(candidates, key=lambda c: c.order):
        if not each.fault and each.a not in partner and each.b not in partner:
            pair, fault = judged(each)
            each = replace(each, fault=fault)
            if pair is not None:
                partner |= {each.a: each.b, each.b: each.a}
                pairs.append(pair)
                skipped += _slices_left_over(each, told)
        seen.append(each)
    for series in own:
        if series not in partner:
            detail = one_line(_why_alone(series, seen, partner), 380)
            skipped += [Skipped(path, NO_SERIES, detail) for path in series.scan.files]
    return pairs, skipped


def _why_alone(series: Series, seen: Sequence[Candidate], partner: dict[Series, Series]) -> str:
    """What is said of a series without a pair: the best candidate and what was against it."""
    own = [each for each in seen if series in (each.a, each.b)]
    if not own:
        return "this patient has no other series"
    best = min(own, key=lambda c: (bool(c.fault), c.other(series) not in partner, c.order))
    other = best.other(series)
    if not best.fault:
        return f"{other.shown} is paired with {partner[other].shown}"
    return f"{other.shown}: {best.fault}"


def _slices_left_over(pair: Candidate, told: bool) -> list[Skipped]:
    """The slices of a pair of series that the other series lacks."""
    left = []
    for side, (own, other) in enumerate(((pair.a, pair.b), (pair.b, pair.a))):
        used = {positions[side] for positions in pair.at}
        z_mm = np.array([item.z_mm for item in other.scan.slices])
        for i, item in enumerate(own.scan.slices):
            if i not in used and not own.scan.is_volume:
                nearest = int(np.abs(z_mm - item.z_mm).argmin())
                why = apart(own.frames[i], other.frames[nearest], told) or "it has a pair already"
                left.append(Skipped(item.path, NO_SLICE, one_line(f"{other.shown}: {why}", 380)))
    return left


# ---- what is told ----


def write_csv_of(folder: Path, pairs: Sequence[Scan]) -> None:
    """Write pairs.csv, a line for each pair of series; nothing without pairs. Raises OSError."""
    if not pairs:
        return
    rows = [
        (
            csv_tables.escaped_id(pair.patient_id),
            *(csv_tables.visible_cell(str(s.files[0].parent)) for s in pair.doses()),
            csv_tables.visible_cell(pair.kernel),
            len(pair.slices),
            *("" if value is None else f"{value:.4g}" for value in _exposures(pair)),
            "" if pair.low_dose.dose is None else f"{pair.low_dose.dose:.4g}",
            f"{pair.low_dose.noise_hu:.4g}",
            pair.low_dose.told_by,
        )
        for pair in pairs
    ]
    write_csv(folder / "pairs.csv", COLUMNS, rows)


def _exposures(pair: Scan) -> list[float | None]:
    return [scan.exposure_mas for scan in pair.doses()]


def _lines(pairs: Sequence[Scan], told: bool) -> list[str]:
    if not pairs:
        return []
    slices = sum(len(pair.slices) for pair in pairs)
    patients = len({pair.patient_id for pair in pairs})
    lines = [
        f"pairs: {plural(slices, 'slice')} in {plural(len(pairs), 'pair')} of series of "
        f"{plural(patients, 'patient')}; low dose - normal dose has an SD of "
        f"{np.median([pair.low_dose.noise_hu for pair in pairs]):.1f} HU in the body (median)"
    ]
    simulated = sum(bool(pair.low_dose.scan.made_by) for pair in pairs)
    if simulated:
        lines.append(
            f"pairs: {simulated} of the low doses were made by --run simulate, not measured"
        )
    doses = [pair.low_dose.dose for pair in pairs if pair.low_dose.dose is not None]
    if doses:
        lines.append(
            f"pairs: the low dose is {np.median(doses):.0%} of the normal dose by exposure "
            f"({min(doses):.0%} to {max(doses):.0%}; told for {len(doses)} of {len(pairs)})"
        )
    if not told:
        lines.append(
            "pairs: no two series share a frame of reference; equal positions and pixels are "
            "taken for it"
        )
    return lines
