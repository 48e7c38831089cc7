"""Series of DICOM slices: grouped from headers into scans, then read slice by slice."""

from collections import Counter
from collections.abc import Callable, Iterable

import numpy as np

from srgan.formats.dicom.header import Header, read_plane, read_slice
from srgan.formats.scan import Place, Scan, Skipped, Slice
from srgan.system.errors import Skip, one_line

SAME_POSITION_MM = 0.01


def group(
    headers: Iterable[Header],
    patients: dict[str, str] | None = None,
    require_patient: bool = True,
) -> tuple[list[Scan], list[Skipped]]:
    """Headers to scans: one for each series and patient, slices sorted along the normal.

    patients: series_uid to patient_id, for files without a PatientID. What is left out (no patient
    where one is required, another size than the series, a position or an instance twice) comes back
    as Skipped.
    """
    skipped, series, first = [], {}, {}
    for header in sorted(headers, key=lambda h: str(h.path)):
        patient = header.patient_id or (patients or {}).get(header.series_uid, "")
        if not patient and require_patient:
            detail = f"name the patient of series {header.series_uid} with --patients"
            skipped.append(Skipped(header.path, "no PatientID", detail))
        elif header.uid and header.uid in first:
            detail = f"same SOPInstanceUID as {first[header.uid].name}"
            skipped.append(Skipped(header.path, "duplicate instance", one_line(detail)))
        else:
            first[header.uid] = header.path
            series.setdefault((header.series_uid, patient), []).append(header)
    scans = []
    for (series_uid, patient), members in series.items():
        scan, left_out = _scan(series_uid, patient, members)
        scans.append(scan)
        skipped += left_out
    return scans, skipped


def _scan(series_uid: str, patient: str, members: list[Header]) -> tuple[Scan, list[Skipped]]:
    """The scan of one series: slices of its commonest size and spacing, one at each position."""
    skipped = []
    sizes = Counter((h.rows, h.columns, h.spacing_mm) for h in members)
    size = max(sizes, key=lambda s: (sizes[s], s))
    kept: list[Header] = []
    for header in sorted(members, key=lambda h: (h.z_mm, h.instance, str(h.path))):
        if (header.rows, header.columns, header.spacing_mm) != size:
            detail = f"{header.rows} x {header.columns}, the series has {size[0]} x {size[1]}"
            skipped.append(Skipped(header.path, "size differs from its series", detail))
        elif kept and header.z_mm - kept[-1].z_mm < SAME_POSITION_MM:
            detail = f"same position as {kept[-1].path.name}"
            skipped.append(Skipped(header.path, "duplicate position", one_line(detail)))
        else:
            kept.append(header)
    currents = [h.tube_current_ma for h in kept if h.tube_current_ma is not None]
    scan = Scan(
        kind="dicom",
        series_uid=series_uid,
        patient_id=patient or "unknown",
        slices=tuple(Slice(h.path, 0, h.z_mm, h.uid) for h in kept),
        rows=size[0],
        columns=size[1],
        spacing_mm=size[2],
        files=tuple(h.path for h in kept),
        kvp=kept[0].kvp,
        tube_current_ma=float(np.median(currents)) if currents else None,
        kernel=kept[0].kernel,
    )
    return scan, skipped


def reader(scan: Scan) -> Callable[[int], np.ndarray]:
    """A function from an index into scan.slices to (rows, columns) int16 HU; it raises Skip."""

    def read(index: int) -> np.ndarray:
        item = scan.slices[index]
        header, hu = read_slice(item.path)
        if hu.shape != (scan.rows, scan.columns) or header.uid != item.uid:
            raise Skip("changed", "the file is not the one that was catalogued")
        return hu

    return read


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
