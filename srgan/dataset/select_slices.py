"""Which slices are taken: evenly over a scan, with body, readable, and no pixels twice."""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from srgan.dataset.split import choose
from srgan.formats.scan import Scan, Skipped
from srgan.masks import has_body
from srgan.system.errors import Skip

Reader = Callable[[int], np.ndarray]


@dataclass(frozen=True)
class Picked:
    """One slice that is taken: hu is (rows, columns) int16."""

    scan: Scan
    position: int  # in scan.slices
    hu: np.ndarray
    sha256: str


@dataclass
class Ledger:
    """What is known across scans while slices are taken."""

    skipped: dict[Path, Skipped] = field(default_factory=dict)
    seen: dict[tuple, str] = field(default_factory=dict)  # pixels -> patient_id
    shared: set[tuple[str, str]] = field(default_factory=set)  # patients with pixels in common
    n_shared: int = 0
    n_bare: int = 0  # slices without body, taken for want of better ones

    def start_again(self) -> None:
        """Forget the slices taken; what was skipped stays skipped."""
        self.seen.clear()
        self.shared.clear()
        self.n_shared = self.n_bare = 0

    def skip_files(self, files: Sequence[Path], reason: str, detail: str = "") -> None:
        for path in files:
            self.skipped.setdefault(path, Skipped(path, reason, detail))

    def skip_slice(self, scan: Scan, position: int, reason: str, detail: str = "") -> None:
        if not scan.is_volume:  # a slice of a volume is not a file
            self.skip_files([scan.slices[position].path], reason, detail)


def pixels_sha256(hu: np.ndarray) -> str:
    """SHA-256 of a slice's HU as little-endian int16, rows first."""
    return hashlib.sha256(np.ascontiguousarray(hu, "<i2")).hexdigest()


def take(
    scans: Sequence[Scan],
    roles: dict[str, str],
    quotas: Sequence[int],
    open_reader: Callable[[Scan], Reader],
    ledger: Ledger,
) -> Iterator[Picked]:
    """The chosen slices of `scans` (in hash order), one at a time; the ledger learns the rest.

    What a scan cannot give is asked of the next scans on its side, at most doubling what they give.
    """
    lacking = {True: 0, False: 0}  # on the train side; on the held-out side
    tried: list[set[int]] = [set() for _ in scans]
    first = True
    while first or any(lacking.values()):
        given = 0
        for scan, quota, done in zip(scans, quotas, tried, strict=True):
            side = roles[scan.patient_id] == "train"
            asked = min(lacking[side], max(quota, 1)) + (quota if first else 0)
            lacking[side] += quota if first else 0
            free = [p for p in range(len(scan.slices)) if p not in done]
            wanted = [free[k] for k in choose(len(free), asked)]
            if not wanted:
                continue
            for picked in take_from_scan(scan, wanted, open_reader, done, ledger):
                lacking[side] -= 1
                given += 1
                yield picked
        if not first and not given:
            return
        first = False


def take_from_scan(
    scan: Scan,
    wanted: list[int],
    open_reader: Callable[[Scan], Reader],
    tried: set[int],
    ledger: Ledger,
) -> Iterator[Picked]:
    """The slices at the positions `wanted`, each unfit one replaced by its nearest neighbour.

    Unfit: cannot be read, has no body, or has the pixels of a slice taken before. Where no
    neighbour with body is left, one without is taken as it is. `tried` gets every position read.
    """
    everything = range(len(scan.slices))
    before = len(tried)
    try:
        read = open_reader(scan)
        if scan.is_volume:
            _check_volume(read, wanted)
    except Skip as skip:
        tried.update(everything)
        if not before:
            ledger.skip_files(scan.files, skip.reason, skip.detail)
        return

    taken, bare, copies, missing = 0, set(), 0, []
    for position in wanted:
        picked = _attempt(scan, position, read, tried, ledger)
        if isinstance(picked, Picked):
            taken += 1
            yield picked
            continue
        missing.append(position)
        copies += picked == "copy"
        if picked == "bare":
            bare.add(position)
    if copies and not taken and not before:
        # Every wanted slice with body is another scan's: a copy. Its other slices would bring the
        # same body to a second patient, perhaps on the other side of the split.
        tried.update(everything)
        ledger.skip_files(scan.files, "identical pixels", "the scan is a copy of another one")
        return

    alone = []
    for position in missing:
        for neighbour in _neighbours(position, len(scan.slices), tried):
            picked = _attempt(scan, neighbour, read, tried, ledger)
            if isinstance(picked, Picked):
                taken += 1
                yield picked
                break
            if picked == "bare":
                bare.add(neighbour)
        else:
            alone.append(position)
    # No neighbour has body: wanted slices as they are, then what lies nearest to unreadable ones.
    for position in sorted(alone, key=lambda p: p not in bare):
        if not bare:
            break
        nearest = min(bare, key=lambda p: (abs(p - position), p))
        bare.remove(nearest)
        picked = _attempt(scan, nearest, read, tried, ledger, need_body=False)
        if isinstance(picked, Picked):
            ledger.n_bare += 1
            taken += 1
            yield picked
    if scan.is_volume and not taken and not before:
        ledger.skip_files(scan.files, "identical pixels", "every slice is another scan's")


def _attempt(scan, position, read, tried, ledger, need_body=True) -> Picked | str:
    """The slice at a position, or why not: "failed", "bare", "copy"."""
    tried.add(position)
    try:
        hu = read(position)
        if hu.shape != (scan.rows, scan.columns):
            raise Skip("size differs from the header", f"{hu.shape}")
    except Skip as skip:
        ledger.skip_slice(scan, position, skip.reason, skip.detail)
        return "failed"
    if need_body and not has_body(hu):
        return "bare"
    digest = pixels_sha256(hu)
    pixels = (*hu.shape, digest)
    if pixels in ledger.seen:
        owner = ledger.seen[pixels]
        ledger.skip_slice(scan, position, "identical pixels", "equal to a slice already used")
        if owner != scan.patient_id:
            ledger.n_shared += 1
            ledger.shared.add((owner, scan.patient_id))
        return "copy"
    ledger.seen[pixels] = scan.patient_id
    return Picked(scan, position, hu, digest)


def _check_volume(read: Reader, wanted: list[int]) -> None:
    """Raises Skip where half of a MetaImage volume's wanted slices (eight of them) are not HU.

    What is wrong with a slice is then most likely wrong with the volume. A few bad ones (a padded
    end) are replaced one by one. Reading twice is cheap next to what is done with a slice.
    """
    faults = []
    sample = [wanted[k] for k in choose(len(wanted), 8)]
    for position in sample:
        try:
            read(position)
        except Skip as skip:
            faults.append(skip)
    if 2 * len(faults) >= len(sample):
        raise faults[0]


def _neighbours(position: int, n: int, tried: set[int]) -> Iterator[int]:
    """Positions not tried yet, nearest first, the lower one of two."""
    for distance in range(1, n):
        if len(tried) == n:
            return
        for neighbour in (position - distance, position + distance):
            if 0 <= neighbour < n and neighbour not in tried:
                yield neighbour
