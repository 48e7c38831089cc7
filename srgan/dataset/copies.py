"""Several files under one series UID: which is the scan, and which are masks or copies of it.

LUNA16's lung masks have the names of its scans, and masked, interpolated and converted copies are
mostly written under the name of their source.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from srgan.dataset.hu_sample import Reader, checked
from srgan.formats import readers
from srgan.formats.scan import Scan, Skipped
from srgan.system.errors import Skip, one_line
from srgan.system.progress import progress

COMPARED = 5  # neighbouring slices in the middle of the shorter of two volumes
FLAT = 0.05  # more pixels equal to their neighbours by this share: a masked copy
# Noise of a slice's difference from its neighbours, as a share of its own: 0.43 to 1.4 in scans with
# slices of 0.8 mm and more, 0 to 0.35 where slices were interpolated linearly or by splines.
INTERPOLATED = 0.4
SMOOTH = 0.97  # this share of the other's roughness or less: a smoothed copy
BLOCKS = 32  # rows and columns of block means that are correlated
SAME_BLOCKS, SAME_PIXELS = 0.95, 0.05  # correlation; share of equal pixels that are not air


def choose(scans: Sequence[Scan]) -> tuple[list[Scan], list[Skipped], list[str]]:
    """The scans, one for each series UID; what else has that UID; and lines for the user.

    Pixels are read only where a UID is there more than once and a volume is among its files: what
    is not HU is skipped as that. A DICOM series, all its parts, wins over volumes. Of volumes the
    one wins that was masked or interpolated least. Volumes of one name with different pixels (every
    patient's folder holds a `ct.nii`) are all kept, with the folder in their series UID.
    """
    by_uid: dict[str, list[Scan]] = {}
    for scan in scans:
        by_uid.setdefault(scan.series_uid, []).append(scan)
    kept, skipped, doubtful, n_names = [], [], [], 0
    for same in by_uid.values():
        if len(same) > 1 and any(scan.is_volume for scan in same):
            doubtful.append(same)
        else:
            kept += same
    for same in progress(doubtful, len(doubtful), "scans of one name"):
        originals, others = _one_scan(same)
        n_names += sum(scan.is_volume for scan in originals) > 1
        kept += originals
        skipped += others
    lines = [f"{n_names} names are those of several different volumes: see docs/data.md"]
    return kept, skipped, lines if n_names else []


@dataclass(frozen=True, eq=False)
class _Candidate:
    """A scan whose sample is HU."""

    scan: Scan
    read: Reader


def _one_scan(same: Sequence[Scan]) -> tuple[list[Scan], list[Skipped]]:
    candidates, skipped = [], []
    for scan in sorted(same, key=lambda s: (s.is_volume, -len(s.slices), str(s.files[0]))):
        try:
            read = readers.reader(scan)
            checked(scan, read, range(len(scan.slices)))
            candidates.append(_Candidate(scan, read))
        except Skip as skip:
            skipped += [Skipped(path, skip.reason, skip.detail) for path in scan.files]
    series = [each.scan for each in candidates if not each.scan.is_volume]
    volumes = [each for each in candidates if each.scan.is_volume]
    if series:
        for each in volumes:
            skipped += _copies(each.scan, series[0])
        return series, skipped
    originals: list[_Candidate] = []
    for each in volumes:
        place = next((i for i, o in enumerate(originals) if _are_copies(each, o)), None)
        if place is None:
            originals.append(each)
        elif _is_more_raw(each, originals[place]):
            skipped += _copies(originals[place].scan, each.scan)
            originals[place] = each
        else:
            skipped += _copies(each.scan, originals[place].scan)
    found = [each.scan for each in originals]
    return ([_with_folder(scan) for scan in found] if len(found) > 1 else found), skipped


def _copies(scan: Scan, original: Scan) -> list[Skipped]:
    title = readers.FORMATS[original.kind].title
    detail = one_line(f"{original.files[0]} has {len(original.slices)} slices")
    return [Skipped(path, f"same scan as {title}", detail) for path in scan.files]


def _with_folder(scan: Scan) -> Scan:
    return replace(scan, series_uid=f"{scan.files[0].parent.name}/{scan.series_uid}")


# ---- two volumes ----


def _are_copies(a: _Candidate, b: _Candidate) -> bool:
    """Whether two volumes show the same slices, perhaps masked or on another grid."""
    try:
        first, second = _middle(a), _middle(b)
    except Skip:
        return True  # who cannot tell keeps one
    if first.shape == second.shape:
        body = (first > -900) | (second > -900)
        if (first == second)[body].mean() >= SAME_PIXELS:
            return True
    return np.corrcoef(_blocks(first).ravel(), _blocks(second).ravel())[0, 1] >= SAME_BLOCKS


def _middle(each: _Candidate) -> np.ndarray:
    return each.read(len(each.scan.slices) // 2)


def _blocks(hu: np.ndarray) -> np.ndarray:
    """(BLOCKS, BLOCKS) means over equal parts of a slice."""
    rows, columns = (np.linspace(0, n, BLOCKS, endpoint=False).astype(int) for n in hu.shape)
    sums = np.add.reduceat(np.add.reduceat(hu.astype(np.float64), rows, 0), columns, 1)
    return sums / np.outer(np.diff([*rows, hu.shape[0]]), np.diff([*columns, hu.shape[1]]))


def _is_more_raw(a: _Candidate, b: _Candidate) -> bool:
    """Whether `b` is the copy of `a`: masked, resampled to cubes, or interpolated between slices.

    A masked copy has more equal neighbours, an interpolated one less noise in some of its slices.
    """
    if _is_cubic(a.scan) != _is_cubic(b.scan):
        return _is_cubic(b.scan)
    pixels = [each.scan.rows * each.scan.columns for each in (a, b)]
    if pixels[0] != pixels[1]:
        return pixels[0] > pixels[1]
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
    rough = [min(_roughness(hu) for hu in sample) for sample in (of_a, of_b)]
    if min(rough) <= SMOOTH * max(rough):
        return rough[0] > rough[1]
    return len(a.scan.slices) > len(b.scan.slices)


def _is_cubic(scan: Scan) -> bool:
    """Whether the spacing is the same in all directions, as after resampling."""
    z = [item.z_mm for item in scan.slices if item.z_mm is not None]
    if len(z) < 2:
        return False
    return bool(np.allclose([*scan.spacing_mm, abs(z[1] - z[0])], scan.spacing_mm[0], rtol=1e-3))


def _sample(each: _Candidate, other: _Candidate) -> list[np.ndarray]:
    """The slices of `each` in the middle, where the volume with fewer slices has COMPARED."""
    n, fewer = len(each.scan.slices), min(len(each.scan.slices), len(other.scan.slices))
    half = min(COMPARED, fewer) / fewer / 2
    first, last = int((0.5 - half) * n), int(np.ceil((0.5 + half) * n))
    return [each.read(i) for i in range(first, last)]


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
