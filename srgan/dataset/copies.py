"""Several files under one series UID: which is the scan, and which are masks or copies of it.

LUNA16's lung masks have the names of its scans, and masked, interpolated and converted copies are
mostly written under the name of their source.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from srgan.dataset.hu_sample import Reader, checked
from srgan.formats import readers
from srgan.formats.scan import Scan, Skipped, tidy_id
from srgan.system.errors import Skip, one_line, plural
from srgan.system.progress import Progress

COMPARED = 5  # neighbouring slices in the middle of the shorter of two volumes
FLAT = 0.05  # more pixels equal to their neighbours by this share: a masked copy
# Noise of a slice's difference from its neighbours, as a share of its own: 0.43 to 1.4 in scans
# with slices of 0.8 mm and more, 0 to 0.35 between slices that were interpolated.
INTERPOLATED = 0.4
SMOOTH = 0.97  # this share of the other's roughness or less: a smoothed copy
BLOCKS = 32  # rows and columns of block means that are correlated
SAME_BLOCKS, SAME_PIXELS = 0.95, 0.05  # correlation; share of equal pixels that are not air


def choose(scans: Sequence[Scan], folder: Path) -> tuple[list[Scan], list[Skipped]]:
    """The scans, one for each series UID, and the files of what else has that UID.

    folder: that of the data. Pixels are read only where a UID is there more than once and a volume
    is among its files: what is not HU is skipped as that. A DICOM series, all its parts, wins over
    volumes. Of volumes the one wins that was masked or interpolated least. Volumes of one name with
    different pixels are all kept, and get their places as series UIDs (see `_by_place`).
    """
    by_uid: dict[str, list[Scan]] = {}
    for scan in scans:
        by_uid.setdefault(scan.series_uid, []).append(scan)
    kept, skipped, doubtful = [], [], []
    for same in by_uid.values():
        if len(same) > 1 and any(scan.is_volume for scan in same):
            doubtful.append(same)
        else:
            kept += same
    n_files = sum(map(len, doubtful))
    several = []
    with Progress(n_files, "files of one name") as bar:
        for same in doubtful:
            originals, others = _one_scan(same, bar)
            skipped += others
            (several if sum(scan.is_volume for scan in originals) > 1 else kept).extend(originals)
    return kept + _by_place(several, kept, folder), skipped


def _one_scan(same: Sequence[Scan], bar: Progress) -> tuple[list[Scan], list[Skipped]]:
    """The originals of a UID, several where their pixels differ, and the files of the others."""
    series, originals, skipped = [], [], []
    for scan in bar.over(sorted(same, key=lambda s: (s.is_volume, str(s.files[0])))):
        try:
            read = readers.reader(scan)
            read = checked(scan, read, range(len(scan.slices)))
            if not scan.is_volume:
                series.append(scan)
            elif series:
                skipped += _copies(scan, series[0])
            else:
                skipped += _compared(_Volume.of(scan, read), originals)
        except Skip as skip:
            skipped += [Skipped(path, skip.reason, skip.detail) for path in scan.files]
    return series or [each.scan for each in originals], skipped


def _copies(scan: Scan, original: Scan) -> list[Skipped]:
    title = readers.FORMATS[original.kind].title
    detail = f"the original is {original.files[0]}, {plural(len(original.slices), 'slice')}"
    return [Skipped(path, f"same scan as {title}", one_line(detail, 1000)) for path in scan.files]


def _by_place(several: Sequence[Scan], others: Sequence[Scan], folder: Path) -> list[Scan]:
    """Volumes of one name with different pixels, each with its place below `folder` as series UID.

    Where every one lies alone in its folder (`s0001/ct.nii.gz`, `s0002/ct.nii.gz`), the folder is
    the patient. Else the name is one patient's: nobody must be in two parts of the split.
    """
    in_folder = Counter(scan.files[0].parent for scan in (*several, *others) if scan.is_volume)
    placed = []
    for scan in several:
        here, name = scan.files[0].parent, scan.series_uid
        place = here.relative_to(folder).as_posix() if here.is_relative_to(folder) else str(here)
        alone = all(in_folder[s.files[0].parent] == 1 for s in several if s.series_uid == name)
        owner = place if alone else name
        placed.append(
            replace(scan, series_uid=tidy_id(f"{place}/{name}"), patient_ids=(tidy_id(owner),))
        )
    return placed


# ---- two volumes ----


@dataclass(frozen=True, eq=False)
class _Volume:
    """A volume and what is kept of its middle slice: a volume itself may take 640 MiB."""

    scan: Scan
    shape: tuple[int, int]
    thinned: np.ndarray  # every fourth pixel both ways
    blocks: np.ndarray  # (BLOCKS * BLOCKS,) means of blocks, less their mean, of length 1

    @classmethod
    def of(cls, scan: Scan, read: Reader) -> "_Volume":
        """Raises Skip where the middle slice cannot be read."""
        hu = read(len(scan.slices) // 2)
        blocks = _block_means(hu).ravel()
        blocks -= blocks.mean()
        return cls(scan, hu.shape, hu[::4, ::4].copy(), blocks / max(np.linalg.norm(blocks), 1e-6))


def _compared(volume: _Volume, originals: list[_Volume]) -> list[Skipped]:
    """Put a volume into its place among the originals; returns the files of the copy, if any."""
    for i, original in enumerate(originals):
        if _are_copies(volume, original):
            if _is_more_raw(volume.scan, original.scan):
                originals[i] = volume
                return _copies(original.scan, volume.scan)
            return _copies(volume.scan, original.scan)
    originals.append(volume)
    return []


def _are_copies(a: _Volume, b: _Volume) -> bool:
    """Whether two volumes show the same slices, perhaps masked or on another grid."""
    if a.shape == b.shape:
        body = (a.thinned > -900) | (b.thinned > -900)
        if body.any() and (a.thinned == b.thinned)[body].mean() >= SAME_PIXELS:
            return True
    return float(a.blocks @ b.blocks) >= SAME_BLOCKS


def _block_means(hu: np.ndarray) -> np.ndarray:
    """(BLOCKS, BLOCKS) means over equal parts of a slice; of a smaller slice pixels, repeated."""
    rows, columns = (np.linspace(0, n, BLOCKS, endpoint=False).astype(int) for n in hu.shape)
    sums = np.add.reduceat(np.add.reduceat(hu.astype(np.float64), rows, 0), columns, 1)
    heights, widths = np.diff([*rows, hu.shape[0]]), np.diff([*columns, hu.shape[1]])
    return sums / np.outer(np.maximum(heights, 1), np.maximum(widths, 1))


def _is_more_raw(a: Scan, b: Scan) -> bool:
    """Whether `b` is the copy of `a`: masked, resampled to cubes, or interpolated between slices.

    A masked copy has more equal neighbours, a smoothed one less noise; interpolated slices share
    their noise with their neighbours.
    """
    if _is_cubic(a) != _is_cubic(b):
        return _is_cubic(b)
    if (n_a := a.rows * a.columns) != (n_b := b.rows * b.columns):
        return n_a > n_b
    try:
        of_a, of_b = _sample(a, b), _sample(b, a)
    except Skip:
        return False
    flat = [np.mean([_flat_share(hu) for hu in sample]) for sample in (of_a, of_b)]
    if abs(flat[0] - flat[1]) > FLAT:
        return flat[0] < flat[1]
    new = [_least_news(sample) for sample in (of_a, of_b)]
    if min(new) < INTERPOLATED <= max(new):
        return new[0] > new[1]
    if any(np.array_equal(hu, other) for hu in of_a for other in of_b):
        return len(a.slices) > len(b.slices)  # unchanged, perhaps cropped
    rough = [min(_roughness(hu) for hu in sample) for sample in (of_a, of_b)]
    if min(rough) <= SMOOTH * max(rough):
        return rough[0] > rough[1]
    return len(a.slices) > len(b.slices)


def _is_cubic(scan: Scan) -> bool:
    """Whether the spacing is the same in all directions, as after resampling."""
    z = [item.z_mm for item in scan.slices if item.z_mm is not None]
    if len(z) < 2:
        return False
    return bool(np.allclose([*scan.spacing_mm, abs(z[1] - z[0])], scan.spacing_mm[0], rtol=1e-3))


def _sample(scan: Scan, other: Scan) -> list[np.ndarray]:
    """The slices in the middle of `scan`, where the one with fewer slices has COMPARED."""
    n, fewer = len(scan.slices), min(len(scan.slices), len(other.slices))
    half = min(COMPARED, fewer) / fewer / 2
    read = readers.reader(scan)
    return [read(i) for i in range(int((0.5 - half) * n), int(np.ceil((0.5 + half) * n)))]


def _flat_share(hu: np.ndarray) -> float:
    return float((hu[:, 1:] == hu[:, :-1]).mean())


def _least_news(slices: Sequence[np.ndarray]) -> float:
    """The least noise that a slice does not share with its two neighbours, relative to its own."""
    found = [1.0]
    for before, hu, after in zip(slices, slices[1:], slices[2:], strict=False):
        if np.array_equal(before, hu) or np.array_equal(hu, after):
            return 0.0
        mean = (before.astype(np.float32) + after) / 2
        found.append(_roughness(hu - mean, hu) / max(_roughness(hu), 1e-6))
    return min(found)


def _roughness(values: np.ndarray, hu: np.ndarray | None = None) -> float:
    """The mean absolute second difference where `hu` is soft tissue: it grows with the noise."""
    f, hu = values.astype(np.float32), values if hu is None else hu
    second = 4 * f[1:-1, 1:-1] - f[:-2, 1:-1] - f[2:, 1:-1] - f[1:-1, :-2] - f[1:-1, 2:]
    soft = (hu[1:-1, 1:-1] > -300) & (hu[1:-1, 1:-1] < 200)
    return float(np.abs(second[soft]).mean()) if soft.any() else 0.0
