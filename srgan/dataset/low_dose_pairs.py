"""--pairs: which series of a patient is the low dose of which, slice by slice.

Two series are a pair if they have the same kernel, slice thickness and pixels, one frame of
reference and slices at the same positions, and if they differ by noise alone. The file's name and
its number in the series count for nothing. What is left over is listed with a reason.
"""

import logging
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np

from srgan.dataset import pair_pixels
from srgan.dataset.low_dose_series import (
    LESS,
    dose_in_path,
    dose_in_text,
    exposure,
    without_dose,
)
from srgan.dataset.pair_pixels import ONE_SIDE, Difference
from srgan.dataset.slice_quotas import evenly_spaced
from srgan.formats import csv_tables, readers
from srgan.formats.dicom.header import Frame, Header, read_frame
from srgan.formats.scan import LowDose, Scan, Skipped, Slice, tidy_id
from srgan.system.errors import Skip, one_line, plural
from srgan.system.files import write_csv
from srgan.system.progress import progress

COLUMNS = (
    "patient_id", "normal_dose", "low_dose", "kernel", "slices", "normal_mas", "low_mas",
    "dose_by_exposure", "noise_hu", "told_by",
)  # fmt: skip

log = logging.getLogger(__name__)

NO_SERIES, NO_SLICE = "no series to pair with", "no slice to pair with"
NEAR_MM = 0.1  # along each axis: headers round, and half a pixel is 0.3 mm and more
SAME_DIRECTION = 1e-3
SAME_SPACING = 1e-4  # relative, as of the slices of one series
SAME_THICKNESS = 0.01  # relative
SAMPLE = 5  # pairs of slices whose pixels are compared
SIMULATED_HERE = "made by --run simulate"
TOLD = 0.95  # of the normal exposure: more is the header of the normal dose itself


@dataclass(frozen=True, eq=False)
class _Series:
    """A scan, what its names say of its dose, and where each of its slices lies."""

    scan: Scan
    doses: tuple[str | None, str | None]  # "low" or "normal", by its description, by its path
    words: frozenset[str]  # of its description and names, without numbers and doses
    frames: tuple[Frame, ...]

    @property
    def shown(self) -> str:
        place = self.scan.files[0] if self.scan.is_volume else self.scan.files[0].parent
        return f"{self.scan.description or 'the series'} in {place}"


@dataclass(frozen=True, eq=False)
class _Candidate:
    """Two series of a patient: the slices of both that lie at the same place, or why none does."""

    a: _Series
    b: _Series
    at: tuple[tuple[int, int], ...] = ()  # positions in a and in b
    fault: str = ""

    def other(self, series: _Series) -> _Series:
        return self.b if series is self.a else self.a

    @property
    def order(self) -> tuple:
        """Names that tell both doses come first, then equal words, then many slices."""
        untold = sum(each.doses == (None, None) for each in (self.a, self.b))
        uids = sorted(each.scan.series_uid for each in (self.a, self.b))
        return untold, len(self.a.words ^ self.b.words), -len(self.at), uids


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
    below = file.relative_to(folder) if file.is_relative_to(folder) else Path(file.name)
    names = [readers.volume_name(file), *reversed(below.parts[:-1])]
    left = filter(None, (tidy_id(without_dose(name)) for name in names))
    return tuple(left)[:1]


def match(scans: Sequence[Scan], folder: Path) -> tuple[list[Scan], list[Skipped], list[str]]:
    """The normal-dose scans with their `low_dose`, the files left over, and lines for the user.

    The scans have the slices that both doses have. Their `files` are those of both. Some pixels are
    read. folder: that of the data.
    """
    series, skipped = _with_frames(scans, folder)
    by_patient: dict[str, list[_Series]] = {}
    for each in series:
        by_patient.setdefault(each.scan.patient_id, []).append(each)
    # Where no two series share a frame of reference, each was given one of its own.
    told = any(map(_share_a_frame, by_patient.values()))
    pairs = []
    for own in progress(by_patient.values(), len(by_patient), "patients' pairs"):
        found, left_over = _pairs_of(own, told)
        pairs += found
        skipped += left_over
    return pairs, skipped, _lines(pairs, told)


# ---- where slices lie ----


def _with_frames(scans: Sequence[Scan], folder: Path) -> tuple[list[_Series], list[Skipped]]:
    """The series with the frame of each slice; files whose header cannot be read again."""
    series, skipped = [], []
    for scan in progress(scans, len(scans), "series' positions"):
        found, unusable = _volume_frames(scan) if scan.is_volume else _slice_frames(scan)
        skipped += unusable
        if found:
            items, frames = zip(*found, strict=True)
            files = scan.files if scan.is_volume else tuple(item.path for item in items)
            scan = replace(scan, slices=items, files=files)
            doses = dose_in_text(scan.description), dose_in_path(scan.files[0], folder)
            series.append(_Series(scan, doses, _words(scan, folder), frames))
    return series, skipped


def _slice_frames(scan: Scan) -> tuple[list[tuple[Slice, Frame]], list[Skipped]]:
    found, skipped = [], []
    for item in scan.slices:
        try:
            found.append((item, read_frame(item.path)))
        except Skip as skip:
            skipped.append(Skipped(item.path, skip.reason, skip.detail))
    return found, skipped


def _volume_frames(scan: Scan) -> tuple[list[tuple[Slice, Frame]], list[Skipped]]:
    try:
        geometry = readers.FORMATS[scan.kind].geometry(scan)
    except Skip as skip:
        return [], [Skipped(path, skip.reason, skip.detail) for path in scan.files]
    across, down, along = np.array(geometry.axes, float)
    step_mm, origin_mm = geometry.spacing_mm[2] * along, geometry.known_origin_mm
    frames = [
        Frame("", None, (*(origin_mm + item.index * step_mm), *across, *down))
        for item in scan.slices
    ]
    return list(zip(scan.slices, frames, strict=True)), []


def _words(scan: Scan, folder: Path) -> frozenset[str]:
    file = scan.files[0]
    below = file.relative_to(folder) if file.is_relative_to(folder) else Path(file.name)
    text = " ".join((scan.description, *below.parts)).casefold()
    return frozenset(re.findall(r"\d*[a-z]+", text.replace("_", " ")))


def _share_a_frame(own: Sequence[_Series]) -> bool:
    """Whether two series of a patient have slices at one place, in one frame of reference."""
    return any(
        pair.a.frames[i].uid == pair.b.frames[j].uid != ""
        for pair in (_candidate(a, b, told=False) for a, b in combinations(own, 2))
        for i, j in pair.at
    )


def _candidate(a: _Series, b: _Series, told: bool) -> _Candidate:
    fault = _other_reconstruction(a, b)
    if fault:
        return _Candidate(a, b, fault=fault)
    z_mm, at, free = np.array([item.z_mm for item in b.scan.slices]), [], set(range(len(b.frames)))
    for i, item in enumerate(a.scan.slices):
        j = int(np.abs(z_mm - item.z_mm).argmin())
        if j in free and not _apart(a.frames[i], b.frames[j], told):
            at.append((i, j))
            free.remove(j)
    if not at:
        middle = len(a.frames) // 2
        j = int(np.abs(z_mm - a.scan.slices[middle].z_mm).argmin())
        return _Candidate(a, b, fault=_apart(a.frames[middle], b.frames[j], told))
    return _Candidate(a, b, tuple(at))


def _other_reconstruction(a: _Series, b: _Series) -> str:
    """Why two series cannot have the same slices; empty where they can."""
    one, two = a.scan, b.scan
    if not _names_vote(a, b) and (same := {*a.doses} & {*b.doses} - {None}):
        return f"both are named as {min(same)} dose"
    if (one.rows, one.columns) != (two.rows, two.columns):
        return "another size"
    spacings = zip(one.spacing_mm, two.spacing_mm, strict=True)
    if any(abs(x - y) > SAME_SPACING * y for x, y in spacings):
        return "another pixel spacing"
    if one.kernel and two.kernel and one.kernel.casefold() != two.kernel.casefold():
        return f"another kernel ({one.kernel}, {two.kernel})"
    if one.kvp and two.kvp and one.kvp != two.kvp:
        return f"another tube voltage ({one.kvp:g}, {two.kvp:g} kVp)"
    thick = [each.frames[0].thickness_mm for each in (a, b)]
    what = "thickness"
    if None in thick:
        thick, what = [_step_mm(one), _step_mm(two)], "distance"
    if None not in thick and abs(thick[0] - thick[1]) > SAME_THICKNESS * max(thick):
        return f"another slice {what} ({thick[0]:g}, {thick[1]:g} mm)"
    return ""


def _step_mm(scan: Scan) -> float | None:
    """The usual distance of neighbouring slices."""
    steps = np.diff([item.z_mm for item in scan.slices])
    return float(np.median(steps)) if len(steps) else None


def _apart(a: Frame, b: Frame, told: bool) -> str:
    """Why two slices do not lie at one place; empty where they do."""
    if told and a.uid and b.uid and a.uid != b.uid:
        return "another frame of reference"
    planes = np.array([a.plane, b.plane])
    if (np.abs(planes[0, 3:] - planes[1, 3:]) > SAME_DIRECTION).any():
        return "another orientation"
    off = np.abs(planes[0, :3] - planes[1, :3])
    if (off > NEAR_MM).any():
        return f"the nearest slice lies {np.linalg.norm(off):.2f} mm away"
    return ""


# ---- the pairs of one patient ----


def _pairs_of(own: Sequence[_Series], told: bool) -> tuple[list[Scan], list[Skipped]]:
    candidates = [_candidate(a, b, told) for a, b in combinations(own, 2)]
    partner: dict[_Series, _Series] = {}
    pairs, skipped, judged = [], [], []
    for each in sorted(candidates, key=lambda c: c.order):
        if not each.fault and each.a not in partner and each.b not in partner:
            pair, fault = _judged(each)
            each = replace(each, fault=fault)
            if pair is not None:
                partner |= {each.a: each.b, each.b: each.a}
                pairs.append(pair)
                skipped += _slices_left_over(each, told)
        judged.append(each)
    for series in own:
        if series not in partner:
            detail = one_line(_why_alone(series, judged, partner), 380)
            skipped += [Skipped(path, NO_SERIES, detail) for path in series.scan.files]
    return pairs, skipped


def _why_alone(
    series: _Series, judged: Sequence[_Candidate], partner: dict[_Series, _Series]
) -> str:
    """What is said of a series without a pair: the best candidate and what was against it."""
    own = [each for each in judged if series in (each.a, each.b)]
    if not own:
        return "this patient has no other series"
    best = min(own, key=lambda c: (bool(c.fault), c.other(series) not in partner, c.order))
    other = best.other(series)
    if not best.fault:
        return f"{other.shown} is paired with {partner[other].shown}"
    return f"{other.shown}: {best.fault}"


def _slices_left_over(pair: _Candidate, told: bool) -> list[Skipped]:
    """The slices of a pair of series that the other series lacks."""
    left = []
    for side, (own, other) in enumerate(((pair.a, pair.b), (pair.b, pair.a))):
        used = {positions[side] for positions in pair.at}
        z_mm = np.array([item.z_mm for item in other.scan.slices])
        for i, item in enumerate(own.scan.slices):
            if i not in used and not own.scan.is_volume:
                nearest = int(np.abs(z_mm - item.z_mm).argmin())
                why = _apart(own.frames[i], other.frames[nearest], told) or "it has a pair already"
                left.append(Skipped(item.path, NO_SLICE, one_line(f"{other.shown}: {why}", 380)))
    return left


# ---- which is the low dose ----


def _judged(candidate: _Candidate) -> tuple[Scan | None, str]:
    """The pair by its pixels, or None and why it is none."""
    a, b = candidate.a, candidate.b
    try:
        found = _compared(candidate)
    except Skip as skip:
        return None, f"{skip.reason} {skip.detail}".strip()
    if found.fault:
        return None, found.fault
    b_is_low, told_by = _which_is_low(a, b, found)
    if b_is_low is None:
        return None, told_by
    normal, low = (a, b) if b_is_low else (b, a)
    if normal.scan.made_by:
        return None, "the low dose of the two was made by this program"
    at = candidate.at if b_is_low else tuple((j, i) for i, j in candidate.at)
    if "swapped" in told_by:
        log.warning(f"names are swapped: {low.shown} has more noise than {normal.shown}")
    return _pair(normal.scan, low.scan, at, found.sd_hu, told_by), ""


def _compared(candidate: _Candidate) -> Difference:
    """The median of what some pairs of slices differ by. Raises Skip where none can be read."""
    reads = [readers.reader(each.scan) for each in (candidate.a, candidate.b)]
    found, faults = [], []
    for k in evenly_spaced(len(candidate.at), SAMPLE):
        try:
            two = [read(i) for read, i in zip(reads, candidate.at[k], strict=True)]
        except Skip as skip:
            faults.append(skip)
        else:
            found.append(pair_pixels.difference(*two))
    if not found:
        raise faults[0]
    return pair_pixels.median(found)


def _which_is_low(a: _Series, b: _Series, found: Difference) -> tuple[bool | None, str]:
    """Whether b is the low dose and what told it; None and why where nothing does.

    Noise decides where it is clear. Names against it were swapped; exposure against it means that
    the two were not reconstructed alike.
    """
    words = _names_vote(a, b)
    exposures = exposure(a.scan), exposure(b.scan)
    header = 0
    if None not in exposures:
        header = (exposures[1] < LESS * exposures[0]) - (exposures[0] < LESS * exposures[1])
    noise = (found.balance > ONE_SIDE) - (found.balance < -ONE_SIDE)
    if noise and header == -noise:
        return None, "less exposure and less noise: another reconstruction"
    if noise and words == -noise:
        return noise > 0, "noise (names swapped)"
    if words and header == -words:
        return None, "names and exposure tell opposite doses, and the noise is equal"
    side = words or header or noise
    if not side:
        return None, "nothing tells which is the low dose: names, exposure and noise are equal"
    told = [name for name, vote in (("names", words), ("exposure", header), ("noise", noise))
            if vote]  # fmt: skip
    return side > 0, ", ".join(told)


def _names_vote(a: _Series, b: _Series) -> int:
    """1 where names say that b is the low dose, -1 where a is, 0 where they tell nothing.

    Where descriptions do not tell the two apart, as in a copied header, paths may.
    """
    for x, y in zip(a.doses, b.doses, strict=True):
        if vote := (y == "low" or x == "normal") - (x == "low" or y == "normal"):
            return vote
    return 0


def _pair(normal: Scan, low: Scan, at, noise_hu: float, told_by: str) -> Scan:
    """The normal dose with the slices that both have, and its low dose."""
    kept = []
    for side, scan in enumerate((normal, low)):
        slices = tuple(scan.slices[positions[side]] for positions in at)
        files = scan.files if scan.is_volume else tuple(item.path for item in slices)
        kept.append(replace(scan, slices=slices, files=files))
    doses = exposure(low), exposure(normal)
    share = doses[0] / doses[1] if None not in doses else None
    low_dose = LowDose(kept[1], share if share and share < TOLD else None, noise_hu, told_by)
    return replace(kept[0], files=kept[0].files + kept[1].files, low_dose=low_dose)


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
        lines.append(f"pairs: {simulated} of the low doses were {SIMULATED_HERE}, not measured")
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
