"""Several files under one series UID: which is the scan, and which are masks or copies of it.

LUNA16's lung masks have the names of its scans, and masked, interpolated and converted copies are
mostly written under the name of their source.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from srgan.dataset import low_dose_series
from srgan.dataset.hu_sample import Reader, checked
from srgan.dataset.patients import without_words
from srgan.dataset.slice_quotas import evenly_spaced
from srgan.formats import readers
from srgan.formats.scan import Scan, Skipped, tidy_id
from srgan.masks import flat_shares
from srgan.system.errors import Skip, one_line, plural
from srgan.system.progress import Progress

COMPARED = 5  # neighbouring slices in the middle of the shorter of two volumes
SPREAD = 8  # slices of a volume, evenly spaced: a mask may leave the middle as it is
FLAT = 0.05  # more pixels equal to their neighbours by this share: a masked or cut-off copy
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
    different pixels are all kept, and get their places as series UIDs (see `_by_place`). A volume
    whose name adds words to a series UID (`SERIESUID_resampled`) has that UID.
    """
    uids = {scan.series_uid for scan in scans}
    by_uid: dict[str, list[Scan]] = {}
    for scan in scans:
        uid = without_words(scan.series_uid, uids) if scan.is_volume else scan.series_uid
        by_uid.setdefault(uid, []).append(replace(scan, series_uid=uid))
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
            originals, others = _one_scan(same, folder, bar)
            skipped += others
            (several if sum(scan.is_volume for scan in originals) > 1 else kept).extend(originals)
    return _by_place(several, kept, folder), skipped


def _one_scan(
    same: Sequence[Scan], folder: Path, bar: Progress
) -> tuple[list[Scan], list[Skipped]]:
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
                skipped += _compared(_Volume.of(scan, read, folder), originals)
        except Skip as skip:
            skipped += [Skipped(path, skip.reason, skip.detail) for path in scan.files]
    return series or [each.scan for each in originals], skipped


def _copies(scan: Scan, original: Scan) -> list[Skipped]:
    title = readers.FORMATS[original.kind].title
    detail = f"the original is {original.files[0]}, {plural(len(original.slices), 'slice')}"
    return [Skipped(path, f"same scan as {title}", one_line(detail, 1000)) for path in scan.files]


def _by_place(several: Sequence[Scan], others: Sequence[Scan], folder: Path) -> list[Scan]:
    """All scans; volumes of one name with different pixels have their places as series UIDs.

    several: those volumes. Where they lie in many folders of few volumes (`s0001/ct.nii.gz`,
    `s0002/ct.nii.gz`), each folder is a patient; in few folders of many, each name is one. Where
    neither is plain, whatever shares a folder or a name is one patient's: nobody must be in two
    parts of the split.
    """
    in_folder = Counter(scan.files[0].parent for scan in (*several, *others) if scan.is_volume)
    folders: dict[str, set[Path]] = {}
    for scan in several:
        folders.setdefault(scan.series_uid, set()).add(scan.files[0].parent)
    placed, owners = [], {}
    for scan in several:
        here, of_name = scan.files[0].parent, folders[scan.series_uid]
        most = max(in_folder[each] for each in of_name)
        ids = []
        if 2 * most > len(of_name):
            ids.append(scan.series_uid)
        if 2 * len(of_name) > most:
            # What lies below another's folder is the same patient's.
            outermost = next(p for p in (*reversed(here.parents), here) if p in of_name)
            owners[here] = tidy_id(_place(outermost, folder))
            ids.append(owners[here])
        uid = tidy_id(f"{_place(here, folder)}/{scan.files[0].name}")
        placed.append(replace(scan, series_uid=uid, patient_ids=scan.patient_ids or tuple(ids)))
    return placed + [
        replace(scan, patient_ids=(owners[scan.files[0].parent],))
        if scan.is_volume and not scan.patient_ids and scan.files[0].parent in owners
        else scan
        for scan in others
    ]


def _place(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)


# ---- two volumes ----


@dataclass(frozen=True, eq=False)
class _Volume:
    """A volume and what is kept of its middle, two slices and their mean: it may take 640 MiB."""

    scan: Scan
    dose: str | None  # "low" or "normal", where names say so
    shape: tuple[int, int]
    thinned: np.ndarray  # every fourth pixel both ways
    blocks: np.ndarray  # (3, BLOCKS * BLOCKS) means of blocks, less their mean, of length 1

    @classmethod
    def of(cls, scan: Scan, read: Reader, folder: Path) -> "_Volume":
        """Raises Skip where the middle slice cannot be read."""
        n = len(scan.slices)
        hu = read(n // 2)
        # Of an even number the middle lies between two slices, in copies with an odd one on one.
        two = np.stack([_block_means(each).ravel() for each in (read((n - 1) // 2), hu)])
        blocks = np.stack([*two, two.mean(0)])
        blocks -= blocks.mean(1, keepdims=True)
        blocks /= np.maximum(np.linalg.norm(blocks, axis=1, keepdims=True), 1e-6)
        dose = low_dose_series.dose_in_names(scan, folder)
        return cls(scan, dose, hu.shape, hu[::4, ::4].copy(), blocks)


def _compared(volume: _Volume, originals: list[_Volume]) -> list[Skipped]:
    """Put a volume into its place among the originals; returns the files of the copy, if any."""
    for i, original in enumerate(originals):
        if not _are_copies(volume, original):
            continue
        if "low" in (doses := (volume.dose, original.dose)) and doses[0] != doses[1]:
            is_original = doses[1] == "low"
        else:
            is_original = _is_more_raw(volume.scan, original.scan)
        if is_original:
            originals[i], volume = volume, original
        if volume.dose == "low" and originals[i].dose != "low":
            return low_dose_series.left_out(volume.scan, originals[i].scan)
        return _copies(volume.scan, originals[i].scan)
    originals.append(volume)
    return []


def _are_copies(a: _Volume, b: _Volume) -> bool:
    """Whether two volumes show the same slices, perhaps masked or on another grid."""
    if a.shape == b.shape:
        body = (a.thinned > -900) | (b.thinned > -900)
        if body.any() and (a.thinned == b.thinned)[body].mean() >= SAME_PIXELS:
            return True
    return float((a.blocks @ b.blocks.T).max()) >= SAME_BLOCKS


def _block_means(hu: np.ndarray) -> np.ndarray:
    """(BLOCKS, BLOCKS) means over equal parts of a slice, which may cut through pixels."""
    rows, columns = map(_parts_of, hu.shape)
    return rows @ hu.astype(np.float64) @ columns.T


@lru_cache(8)
def _parts_of(n: int) -> np.ndarray:
    """(BLOCKS, n): the share that each of `n` pixels has in each of BLOCKS equal parts."""
    edges, pixels = np.linspace(0, n, BLOCKS + 1), np.arange(n)
    ends, starts = np.minimum(edges[1:, None], pixels + 1), np.maximum(edges[:-1, None], pixels)
    return np.maximum(ends - starts, 0) * BLOCKS / n


def _is_more_raw(a: Scan, b: Scan) -> bool:
    """Whether `b` is the copy of `a`: masked, resampled to cubes, or interpolated between slices.

    A masked or cut-off copy has more equal neighbours where it differs, a smoothed one less noise;
    interpolated slices share their noise with their neighbours.
    """
    if _is_cubic(a) != _is_cubic(b):
        return _is_cubic(b)
    if (n_a := a.rows * a.columns) != (n_b := b.rows * b.columns):
        return n_a > n_b
    try:
        of_a, spread_a = _samples(a, b)
    except Skip:  # a slice of it is not HU
        return False
    try:
        of_b, spread_b = _samples(b, a)
    except Skip:
        return True
    flat = flat_shares(spread_a, spread_b)
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


def _samples(scan: Scan, other: Scan) -> tuple[list[np.ndarray], np.ndarray]:
    """The slices in the middle, where the scan with fewer slices has COMPARED; some of all."""
    n, fewer = len(scan.slices), min(len(scan.slices), len(other.slices))
    half = min(COMPARED, fewer) / fewer / 2
    read = readers.reader(scan)
    middle = [read(i) for i in range(int((0.5 - half) * n), int(np.ceil((0.5 + half) * n)))]
    return middle, np.stack([read(i) for i in evenly_spaced(n, SPREAD)])


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
