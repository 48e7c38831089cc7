"""Low-dose series beside normal-dose ones of the same patient: only the normal dose is the truth.

TCIA's LDCT data and the Mayo challenge have both. Data that are low-dose throughout (screening)
are used as they are.
"""

import re
from collections.abc import Sequence
from pathlib import Path

from srgan.formats.scan import Scan, Skipped
from srgan.system.errors import one_line

REASON = "low dose beside normal dose"
LOW = re.compile(
    r"\b(low|ultra ?low|reduced|quarter|half|third|fifth|tenth|sparse)[ -]*dose\b"
    r"|\bquarter\b|\bu?ldct\b|\b(uld|ld|qd)\b"
    r"|\b\d{1,2}(\.\d+)? ?(%|pct|percent)[ -]*(of )?(full |normal )?dose\b|\b1/\d+ dose\b"
)
NORMAL = re.compile(
    r"\b(full|normal|high|standard|routine|regular|100 ?%)[ -]*dose\b"
    r"|\bfull\b|\b(fdct|ndct|hdct|fd)\b"
)
LESS = 0.6  # of the exposure: less is another dose, not the same one modulated along the body
KVP_POWER = 2.5  # the dose of one mAs grows with about this power of the tube voltage


def leave_out(scans: Sequence[Scan], folder: Path) -> tuple[list[Scan], list[Skipped]]:
    """The scans without low-dose ones of patients who have a normal dose too, and their files.

    folder: that of the data. SeriesDescription tells the dose, else the name of the file or of the
    nearest folder that does, else less exposure than another series of that study and place.
    """
    by_patient: dict[str, list[Scan]] = {}
    for scan in scans:
        by_patient.setdefault(scan.patient_id, []).append(scan)
    kept, skipped = [], []
    for own in by_patient.values():
        labels = [dose_in_names(scan, folder) for scan in own] if len(own) > 1 else [None]
        for scan, label in zip(own, labels, strict=True):
            normal = next(
                (o for o, other in zip(own, labels, strict=True) if _is_low(scan, label, o, other)),
                None,
            )
            if normal is None:
                kept.append(scan)
            else:
                skipped += left_out(scan, normal)
    return kept, skipped


def dose_in_names(scan: Scan, folder: Path) -> str | None:
    """Whether the description or names below `folder` say "low" or "normal" dose."""
    return dose_in_text(scan.description) or dose_in_path(scan.files[0], folder)


def dose_in_path(file: Path, folder: Path) -> str | None:
    """What the file's name says, else the nearest folder below `folder` that says something."""
    return next(filter(None, map(dose_in_text, reversed(names_below(file, folder)))), None)


def names_below(file: Path, folder: Path) -> tuple[str, ...]:
    """The names of the folders below `folder` that a file lies in, and its own."""
    below = file.relative_to(folder) if file.is_relative_to(folder) else Path(file.name)
    return below.parts


def without_dose(text: str) -> str:
    """A name without the words of doses and without a thickness such as 1mm."""
    text = re.sub(r"_", " ", text)
    for words in (LOW, NORMAL, re.compile(r"\b\d+(\.\d+)? ?mm\b")):
        text = re.sub(words.pattern, " ", text, flags=re.IGNORECASE)
    return " ".join(re.sub(r"(?<!\S)[-.]+|[-.]+(?!\S)", " ", text).split())


def dose_in_text(text: str) -> str | None:
    text = re.sub(r"[_\s]+", " ", re.sub(r"(?<=\d)(?=mm)", " ", text.casefold()))
    low, normal = LOW.search(text), NORMAL.search(text)  # Mayo's files are L067_QD_1_1....IMA
    if bool(low) == bool(normal):
        return None
    return "low" if low else "normal"


def _is_low(scan: Scan, label: str | None, other: Scan, other_label: str | None) -> bool:
    """Whether `other` is the normal dose beside which `scan` is a low one."""
    if label == "normal" or other_label == "low":
        return False
    if label == "low":
        return other_label == "normal" or _has_less(scan, other, _same_slices(scan, other))
    return _has_less(scan, other) and (_is_beside(scan, other) or _same_slices(scan, other))


def _has_less(scan: Scan, other: Scan, unknown: bool = False) -> bool:
    """Whether `scan` had less exposure; `unknown` where a header does not tell it."""
    doses = [exposure(each) for each in (scan, other)]
    return unknown if None in doses else doses[0] < LESS * doses[1]


def exposure(scan: Scan) -> float | None:
    """What grows with the dose: mAs, or mA where that is all there is, at the scan's voltage."""
    exposure = scan.exposure_mas or scan.tube_current_ma
    return exposure * scan.kvp**KVP_POWER if exposure and scan.kvp else None


def _same_slices(scan: Scan, other: Scan) -> bool:
    """Whether nine of ten slices lie where the other scan has one, on the same grid."""
    grids = [(each.rows, each.columns, each.spacing_mm) for each in (scan, other)]
    places = [
        {round(s.z_mm, 1) for s in each.slices if s.z_mm is not None} for each in (scan, other)
    ]
    fewer = min(map(len, places))
    return grids[0] == grids[1] and len(places[0] & places[1]) >= max(0.9 * fewer, 1)


def _is_beside(scan: Scan, other: Scan) -> bool:
    """Whether two scans share a study, and one covers half of the other's length or more."""
    if not set(scan.study_uids) & set(other.study_uids):
        return False
    places = [[s.z_mm for s in each.slices if s.z_mm is not None] for each in (scan, other)]
    if not all(places):
        return False
    shared = min(max(each) for each in places) - max(min(each) for each in places)
    return shared >= min(max(each) - min(each) for each in places) / 2


def left_out(scan: Scan, normal: Scan) -> list[Skipped]:
    """The files of a low-dose scan, with the folder of the normal dose."""
    shown = scan.description or scan.files[0].parent.name
    detail = one_line(
        f"{shown}; the normal dose lies in {normal.files[0].parent}; --pairs trains on such pairs",
        380,
    )
    return [Skipped(path, REASON, detail) for path in scan.files]
