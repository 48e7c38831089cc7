"""Select slices for the store: evenly over a scan, readable, with body, and no pixels twice."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from srgan.dataset import pair_pixels
from srgan.dataset.hu_sample import Reader, checked
from srgan.dataset.slice_quotas import evenly_spaced
from srgan.formats.scan import Scan, Skipped
from srgan.masks import has_body
from srgan.system.errors import Skip, one_line

COPY = "identical pixels"  # the reason of a slice or scan whose pixels were selected before


@dataclass(frozen=True)
class SelectedSlice:
    """One slice for the store: hu and low_hu are (rows, columns) int16."""

    scan: Scan
    position: int  # in scan.slices
    hu: np.ndarray
    sha256: str
    low_hu: np.ndarray | None = None  # the measured low dose of a pair
    low_sha256: str | None = None


@dataclass
class SelectionReport:
    """What is known across scans while slices are selected."""

    skipped: dict[Path, Skipped] = field(default_factory=dict)
    seen: dict[tuple, tuple[Scan, int]] = field(default_factory=dict)  # pixels -> whose slice
    # (a scan's first file, position) of a slice with the pixels of another patient's: both patients
    shared: dict[tuple[Path, int], tuple[str, str]] = field(default_factory=dict)
    n_without_body: int = 0  # selected for want of better ones

    def start_again(self, scans: Sequence[Scan]) -> None:
        """Forget the selected slices of `scans`, from which slices are selected again.

        What could not be read stays skipped, and so does every other scan. Which slices are copies
        is found out again: it depends on those that were selected before.
        """
        self.seen.clear()
        self.n_without_body = 0
        files = {path for scan in scans for path in scan.files}
        copies = [p for p, item in self.skipped.items() if item.reason == COPY and p in files]
        for path in copies:
            del self.skipped[path]
        self.shared = {key: pair for key, pair in self.shared.items() if key[0] not in files}

    def skip_files(self, files: Sequence[Path], reason: str, detail: str = "") -> None:
        for path in files:
            self.skipped.setdefault(path, Skipped(path, reason, detail))

    def skip_slice(self, scan: Scan, position: int, reason: str, detail: str = "") -> None:
        for each in scan.doses():
            if not each.is_volume:  # a slice of a volume is not a file
                self.skip_files([each.slices[position].path], reason, detail)

    def equal_slice(self, scan: Scan, position: int, pixels: tuple) -> str | None:
        """The file with a slice of these pixels that was selected before, if there is one.

        If not, they are this scan's from now on.
        """
        owner, at = self.seen.setdefault(pixels, (scan, position))
        if owner is scan and at == position:
            return None
        file = str(owner.slices[at].path)
        self.skip_slice(scan, position, COPY, f"same pixels as {file}")
        if owner.patient_id != scan.patient_id:
            self.shared[scan.files[0], position] = (owner.patient_id, scan.patient_id)
        return file


def pixels_sha256(hu: np.ndarray) -> str:
    """SHA-256 of a slice's HU as little-endian int16, rows first."""
    return hashlib.sha256(np.ascontiguousarray(hu, "<i2")).hexdigest()


def select_slices(
    scans: Sequence[Scan],
    roles: dict[str, str],
    quotas: Sequence[int],
    open_reader: Callable[[Scan], Reader],
    report: SelectionReport,
) -> Iterator[SelectedSlice]:
    """The selected slices of `scans` (in hash order), one at a time; `report` gets the rest.

    What a scan cannot give is asked of the next scans in its part of the split (training, or held
    out), which give twice their quota at most.
    """
    lacking = {True: 0, False: 0}  # for training; held out
    tried: list[set[int]] = [set() for _ in scans]
    first = True
    while first or any(lacking.values()):
        given = 0
        for scan, quota, done in zip(scans, quotas, tried, strict=True):
            training = roles[scan.patient_id] == "train"
            asked = min(lacking[training], max(quota, 1)) + (quota if first else 0)
            lacking[training] += quota if first else 0
            free = [p for p in range(len(scan.slices)) if p not in done]
            wanted = [free[k] for k in evenly_spaced(len(free), asked)]
            if not wanted:
                continue
            for selected in select_from_scan(scan, wanted, open_reader, done, report):
                lacking[training] -= 1
                given += 1
                yield selected
        if not first and not given:
            return
        first = False


def select_from_scan(
    scan: Scan,
    wanted: list[int],
    open_reader: Callable[[Scan], Reader],
    tried: set[int],
    report: SelectionReport,
) -> Iterator[SelectedSlice]:
    """The slices at the positions `wanted`, each unfit one replaced by its nearest neighbour.

    Unfit: cannot be read, has no body, or has the pixels of a slice selected before. Where no
    neighbour with body is left, one without is selected as it is. `tried` gets every position read.
    """
    first_time = not tried
    try:
        reads = [open_reader(each) for each in scan.doses()]
        if first_time:
            both = zip(scan.doses(), reads, strict=True)
            reads = [checked(each, read, wanted) for each, read in both]
    except Skip as skip:
        tried.update(range(len(scan.slices)))
        if first_time:
            report.skip_files(scan.files, skip.reason, skip.detail)
        return
    selection = _Selection(scan, reads, tried, report)
    yield from selection.at(wanted)
    if selection.copied and not selection.n_selected and first_time:
        # Every wanted slice with body is another scan's: a copy. Its other slices would bring the
        # same body to a second patient, perhaps in another part of the split.
        tried.update(range(len(scan.slices)))
        report.skip_files(scan.files, COPY, f"a copy of the scan with {selection.copied}")
        return
    yield from selection.beside_missing()
    yield from selection.without_body()
    if scan.is_volume and selection.copied and not selection.n_selected and first_time:
        report.skip_files(scan.files, COPY, f"a copy of the scan with {selection.copied}")


class _Selection:
    """The slices of one scan that are read, in three passes."""

    def __init__(self, scan: Scan, reads: list[Reader], tried: set[int], report: SelectionReport):
        self.scan, self.reads, self.tried, self.report = scan, reads, tried, report
        self.n_selected = 0
        self.copied = ""  # a file with a slice of the same pixels
        self.missing: list[int] = []  # positions that were wanted and not replaced yet
        self.bare: set[int] = set()  # positions that can be read and have no body

    def at(self, wanted: list[int]) -> Iterator[SelectedSlice]:
        """The wanted slices that are fit."""
        for position in wanted:
            if selected := self._select(position):
                yield selected
            else:
                self.missing.append(position)

    def beside_missing(self) -> Iterator[SelectedSlice]:
        """For each missing slice the nearest fit one that was not tried yet."""
        missing, self.missing = self.missing, []
        for position in missing:
            for neighbour in _neighbours(position, len(self.scan.slices), self.tried):
                if selected := self._select(neighbour):
                    yield selected
                    break
            else:
                self.missing.append(position)

    def without_body(self) -> Iterator[SelectedSlice]:
        """Slices without body: those that were wanted, then the nearest to unreadable ones."""
        for position in sorted(self.missing, key=lambda p: p not in self.bare):
            if not self.bare:
                return
            nearest = min(self.bare, key=lambda p: (abs(p - position), p))
            self.bare.remove(nearest)
            if selected := self._select(nearest, need_body=False):
                self.report.n_without_body += 1
                yield selected

    def _read(self, position: int) -> list[np.ndarray]:
        """The slice, of a pair both doses. Raises Skip."""
        hu = []
        for scan, read in zip(self.scan.doses(), self.reads, strict=True):
            try:
                hu.append(read(position))
            except Skip as skip:
                if self.scan.low_dose is None:
                    raise
                detail = f"of the pair, {scan.slices[position].path}: {skip.detail}"
                raise Skip(skip.reason, one_line(detail, 380)) from None
        if len(hu) > 1:
            pair_pixels.check(*hu)
        return hu

    def _select(self, position: int, need_body: bool = True) -> SelectedSlice | None:
        """The slice at a position, or None where it is unfit."""
        self.tried.add(position)
        try:
            hu, *low = self._read(position)
        except Skip as skip:
            self.report.skip_slice(self.scan, position, skip.reason, skip.detail)
            return None
        if need_body and not has_body(hu):
            self.bare.add(position)
            return None
        digest = pixels_sha256(hu)
        if copied := self.report.equal_slice(self.scan, position, (*hu.shape, digest)):
            self.copied = copied
            return None
        self.n_selected += 1
        return SelectedSlice(
            self.scan, position, hu, digest, *low, *[pixels_sha256(each) for each in low]
        )


def _neighbours(position: int, n: int, tried: set[int]) -> Iterator[int]:
    """Positions not tried yet, nearest first, the lower one of two."""
    for distance in range(1, n):
        if len(tried) == n:
            return
        for neighbour in (position - distance, position + distance):
            if 0 <= neighbour < n and neighbour not in tried:
                yield neighbour
