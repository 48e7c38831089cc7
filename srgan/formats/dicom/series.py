"""Series of DICOM slices: grouped from headers into scans, then read slice by slice."""

from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import numpy as np

from srgan.formats.derived import SourceSlice
from srgan.formats.dicom import passes
from srgan.formats.dicom.header import Header, read_plane, read_slice, read_whole
from srgan.formats.dicom.pixels import is_padding, values_to_hu
from srgan.formats.scan import Place, Scan, Skipped, Slice
from srgan.system.errors import Skip
from srgan.system.progress import progress

SAME_SPACING = 1e-4  # relative; a second field of view differs by more, rounding by less


def group(headers: Iterable[Header]) -> tuple[list[Scan], list[Skipped]]:
    """Headers to scans: one for each series UID and size, slices sorted along the normal.

    A series with slices of several sizes or pixel spacings becomes several scans with its UID. One
    slice stays at each position: copies and other passes of the series come back as Skipped. The
    scans have no patient yet but the first of patient_ids, or "".
    """
    series: dict[str, list[Header]] = {}
    for header in sorted(headers, key=lambda h: str(h.path)):
        series.setdefault(header.series_uid, []).append(header)
    parts = [
        (members, spacing_mm, passes.places(part))
        for members in series.values()
        for spacing_mm, part in _parts(members)
    ]
    crowded = [place for *_, places in parts for place in places if len(place) > 1]
    scans, skipped = [], []
    for place in progress(crowded, len(crowded), "slices at one position"):
        skipped += passes.take_out_copies(place)
    for members, spacing_mm, places in parts:
        kept, left_out = passes.one_at_each_place([place for place in places if place])
        skipped += left_out
        if kept:
            scans.append(_scan(members, spacing_mm, kept))
    return scans, skipped


def _parts(members: list[Header]) -> list[tuple[tuple[float, float], list[Header]]]:
    """Slices of equal rows, columns and, but for rounding, pixel spacing; the commonest spacing."""
    sizes = Counter((h.rows, h.columns, h.spacing_mm) for h in members)
    part_of: dict[tuple, tuple] = {}
    parts: dict[tuple, list[Header]] = {}
    for size in sorted(sizes, key=lambda s: (-sizes[s], s)):
        part_of[size] = next((part for part in parts if _is_same(size, part)), size)
        parts.setdefault(part_of[size], [])
    for header in members:
        parts[part_of[header.rows, header.columns, header.spacing_mm]].append(header)
    largest_first = sorted(parts.items(), key=lambda item: -len(item[1]))
    return [(size[2], part) for size, part in largest_first]


def _is_same(size: tuple, other: tuple) -> bool:
    return size[:2] == other[:2] and same_spacing(size[2], other[2])


def same_spacing(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Are two pixel spacings equal, but for rounding?"""
    return all(abs(a - b) <= SAME_SPACING * b for a, b in zip(one, other, strict=True))


def _scan(members: list[Header], spacing_mm: tuple[float, float], kept: list[Header]) -> Scan:
    """The scan of some slices of a series. members: all of them, which name its patients."""
    patient_ids = tuple(sorted({h.patient_id for h in members} - {""}))
    return Scan(
        kind="dicom",
        series_uid=kept[0].series_uid,
        patient_id=patient_ids[0] if patient_ids else "",
        slices=tuple(Slice(h.path, 0, h.z_mm, h.uid, h.instance) for h in kept),
        rows=kept[0].rows,
        columns=kept[0].columns,
        spacing_mm=spacing_mm,
        files=tuple(h.path for h in kept),
        kvp=kept[0].kvp,
        tube_current_ma=_median(h.tube_current_ma for h in kept),
        exposure_mas=_median(h.exposure_mas for h in kept),
        kernel=kept[0].kernel,
        description=kept[0].description,
        study_uids=tuple(sorted({h.study_uid for h in members} - {""})),
        patient_ids=patient_ids,
        made_by=next((h.made_by for h in kept if h.made_by), ""),
    )


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.median(known)) if known else None


def reader(scan: Scan) -> Callable[[int], np.ndarray]:
    """A function from an index into scan.slices to (rows, columns) int16 HU; it raises Skip."""

    def read(index: int) -> np.ndarray:
        item = scan.slices[index]
        header, hu = read_slice(item.path)
        _check_same(scan, item, hu, header)
        return hu

    return read


def source_reader(scan: Scan, _: Path) -> Callable[[int], SourceSlice]:
    """A function from an index into scan.slices to all that a copy needs; it raises Skip."""
    return partial(_source_slice, scan)


def _source_slice(scan: Scan, index: int) -> SourceSlice:
    item = scan.slices[index]
    source = file_source(item.path)
    _check_same(scan, item, source.hu, source.dicom[0])
    return source


def _check_same(scan: Scan, item: Slice, hu: np.ndarray, header: Header) -> None:
    if hu.shape != (scan.rows, scan.columns) or header.uid != item.uid:
        raise Skip("changed", "the file is not the one that was catalogued")


def file_source(path: Path) -> SourceSlice:
    """All that a copy of one file needs. Raises Skip."""
    whole = header, _, values = read_whole(path)
    pixel_data = header.pixel_data
    exact_hu = values * pixel_data.slope + pixel_data.intercept
    return SourceSlice(
        values_to_hu(values, pixel_data), exact_hu, is_padding(values, pixel_data), whole
    )


def place_of(scan: Scan, point_mm: np.ndarray) -> Place:
    """Where a point lies: along the normal to the nearest slice, then by that slice's own header.

    Raises Skip where a header cannot be read.
    """
    _, across, down = read_plane(scan.slices[0].path)
    normal = np.cross(across, down)
    normal /= np.linalg.norm(normal) * (1 if normal[2] >= 0 else -1)  # as Slice.z_mm
    off = normal @ point_mm - np.array([item.z_mm for item in scan.slices])
    position = int(np.abs(off).argmin())
    origin, across, down = read_plane(scan.slices[position].path)
    row_mm, column_mm = scan.spacing_mm
    row, column = (point_mm - origin) @ down / row_mm, (point_mm - origin) @ across / column_mm
    return Place(position, float(row), float(column), float(off[position]))
