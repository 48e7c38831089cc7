"""Where a point in the patient lies in a scan: the nearest slice, and the pixel in it.

Points are in mm as DICOM and MetaImage have them: towards the patient's left, back and head.
"""

from dataclasses import dataclass

import numpy as np

from srgan.formats.dicom import header as dicom_header
from srgan.formats.metaimage import header as metaimage_header
from srgan.formats.scan import Scan
from srgan.system.errors import Skip

LONE_SLICE_MM = 1.25  # on either side of a scan of one slice


@dataclass(frozen=True)
class Place:
    """A point in a scan; pixel centres have whole coordinates."""

    position: int  # in scan.slices
    row_px: float
    column_px: float
    off_mm: float  # from the slice to the point, along the normal


def locate(scan: Scan, point_mm: tuple[float, float, float]) -> Place | None:
    """The place of a point, or None where it lies outside the scan or in a gap between slices.

    Raises Skip where a header cannot be read.
    """
    point = np.array(point_mm, np.float64)
    here = _in_slices if scan.kind == "dicom" else _in_volume
    place = here(scan, point)
    half = np.array([scan.rows, scan.columns]) / 2
    middle = np.array([place.row_px, place.column_px]) - (half - 0.5)
    reach = LONE_SLICE_MM
    if len(scan.slices) > 1:
        reach = np.median(np.diff([item.z_mm for item in scan.slices])) / 2 + 1e-3
    inside = (np.abs(middle) <= half).all() and abs(place.off_mm) <= reach
    return place if inside else None


def _in_volume(scan: Scan, point: np.ndarray) -> Place:
    """By the header's origin, axes and spacing."""
    header = metaimage_header.read_header(scan.slices[0].path)
    spacing = np.array(header.spacing_mm, float)
    steps = np.array(header.axes, float) * spacing[:, None]
    try:
        column, row, along = np.linalg.solve(steps.T, point - np.array(header.origin_mm, float))
    except np.linalg.LinAlgError:
        raise Skip("not known to be axial", "TransformMatrix is no orientation") from None
    position = int(np.clip(np.rint(along), 0, len(scan.slices) - 1)) if np.isfinite(along) else 0
    return Place(position, float(row), float(column), float((along - position) * spacing[2]))


def _in_slices(scan: Scan, point: np.ndarray) -> Place:
    """Along the normal to the nearest file, then by that file's own position and directions."""
    _, across, down = dicom_header.read_plane(scan.slices[0].path)
    normal = np.cross(across, down)
    normal /= np.linalg.norm(normal) * (1 if normal[2] >= 0 else -1)  # as Slice.z_mm
    off = normal @ point - np.array([item.z_mm for item in scan.slices])
    position = int(np.abs(off).argmin())
    origin, across, down = dicom_header.read_plane(scan.slices[position].path)
    row_mm, column_mm = scan.spacing_mm
    row, column = (point - origin) @ down / row_mm, (point - origin) @ across / column_mm
    return Place(position, float(row), float(column), float(off[position]))
