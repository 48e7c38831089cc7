"""--pairs: where the slices of each series lie, and which series could be a pair by that.

The same kernel, voltage, slice thickness and pixels, one frame of reference, and slices at the same
positions: two reconstructions that differ in anything else are no pair.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np

from srgan.dataset.low_dose_series import dose_in_path, dose_in_text, names_below
from srgan.formats import readers
from srgan.formats.dicom.header import Frame, read_frame
from srgan.formats.dicom.series import same_spacing
from srgan.formats.scan import Scan, Skipped, Slice
from srgan.system.errors import Skip
from srgan.system.progress import progress

NEAR_MM = 0.1  # along each axis: headers round, and half a pixel is 0.3 mm and more
SAME_DIRECTION = 1e-3
SAME_THICKNESS = 0.01  # relative


@dataclass(frozen=True, eq=False)
class Series:
    """A scan, what its names say of its dose, and where each of its slices lies."""

    scan: Scan
    doses: tuple[str | None, str | None]  # "low" or "normal", by its description, by its path
    words: frozenset[str]  # of its description and of the names of file and folders
    frames: tuple[Frame, ...]

    @property
    def shown(self) -> str:
        place = self.scan.files[0] if self.scan.is_volume else self.scan.files[0].parent
        return f"{self.scan.description or 'the series'} in {place}"


@dataclass(frozen=True, eq=False)
class Candidate:
    """Two series of a patient: the slices of both that lie at the same place, or why none does."""

    a: Series
    b: Series
    at: tuple[tuple[int, int], ...] = ()  # positions in a and in b
    fault: str = ""

    def other(self, series: Series) -> Series:
        return self.b if series is self.a else self.a

    @property
    def order(self) -> tuple:
        """Names that tell both doses come first, then equal words, then many slices."""
        untold = sum(each.doses == (None, None) for each in (self.a, self.b))
        uids = sorted(each.scan.series_uid for each in (self.a, self.b))
        return untold, len(self.a.words ^ self.b.words), -len(self.at), uids


def with_frames(scans: Sequence[Scan], folder: Path) -> tuple[list[Series], list[Skipped]]:
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
            series.append(Series(scan, doses, _words(scan, folder), frames))
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
    text = " ".join((scan.description, *names_below(scan.files[0], folder))).casefold()
    return frozenset(re.findall(r"\d*[a-z]+", text.replace("_", " ")))


def share_a_frame(own: Sequence[Series]) -> bool:
    """Whether two series of a patient have slices at one place, in one frame of reference."""
    return any(
        pair.a.frames[i].uid == pair.b.frames[j].uid != ""
        for pair in (candidate_of(a, b, told=False) for a, b in combinations(own, 2))
        for i, j in pair.at
    )


def candidate_of(a: Series, b: Series, told: bool) -> Candidate:
    fault = _other_reconstruction(a, b)
    if fault:
        return Candidate(a, b, fault=fault)
    z_mm, at, free = np.array([item.z_mm for item in b.scan.slices]), [], set(range(len(b.frames)))
    for i, item in enumerate(a.scan.slices):
        j = int(np.abs(z_mm - item.z_mm).argmin())
        if j in free and not apart(a.frames[i], b.frames[j], told):
            at.append((i, j))
            free.remove(j)
    if not at:
        middle = len(a.frames) // 2
        j = int(np.abs(z_mm - a.scan.slices[middle].z_mm).argmin())
        return Candidate(a, b, fault=apart(a.frames[middle], b.frames[j], told))
    return Candidate(a, b, tuple(at))


def _other_reconstruction(a: Series, b: Series) -> str:
    """Why two series cannot have the same slices; empty where they can."""
    one, two = a.scan, b.scan
    if not names_vote(a, b) and (same := {*a.doses} & {*b.doses} - {None}):
        return f"both are named as {min(same)} dose"
    if (one.rows, one.columns) != (two.rows, two.columns):
        return "another size"
    if not same_spacing(one.spacing_mm, two.spacing_mm):
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


def apart(a: Frame, b: Frame, told: bool) -> str:
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


def names_vote(a: Series, b: Series) -> int:
    """1 where names say that b is the low dose, -1 where a is, 0 where they tell nothing.

    Where descriptions do not tell the two apart, as in a copied header, paths may.
    """
    for x, y in zip(a.doses, b.doses, strict=True):
        if vote := (y == "low" or x == "normal") - (x == "low" or y == "normal"):
            return vote
    return 0
