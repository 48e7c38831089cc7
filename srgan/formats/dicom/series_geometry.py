"""Where a DICOM series lies as a volume: its slices are parallel, evenly spaced and not sheared.

A volume file holds one spacing and one direction for all slices, so for a series with gaps, or
scanned with a tilted gantry, there is none.
"""

from pathlib import Path

import numpy as np

from srgan.formats import volume_geometry
from srgan.formats.dicom.header import Frame, read_frame
from srgan.formats.scan import Scan
from srgan.formats.volume_geometry import Fields, Geometry
from srgan.system.errors import Skip

# From where an even grid has a slice, along and across the normal: headers round to 0.1 mm.
MOST_OFF_MM = 0.06
MOST_OFF = 0.05  # or this share of the distance between slices
SAME_DIRECTION = 1e-3  # of unit vectors
FIELDS = Fields("the series", "the spacing", "ImageOrientationPatient")
NO_GAP = "a volume file cannot leave a slice out, DICOM can"
NO_VOLUME = "a volume file cannot hold them, DICOM can"


def geometry(scan: Scan) -> Geometry:
    """The volume of a DICOM series, with its slices in the order of the scan.

    Raises Skip where the slices make up no volume, or a header cannot be read.
    """
    frames = [_frame(item.path) for item in scan.slices]
    planes = np.array([frame.plane for frame in frames], float).reshape(-1, 3, 3)
    positions, (across, down) = planes[:, 0], planes[0, 1:]
    if np.abs(planes[:, 1:] - planes[0, 1:]).max() > SAME_DIRECTION:
        raise Skip("slices are not parallel", NO_VOLUME)
    normal = np.cross(across, down)
    normal /= np.linalg.norm(normal) * (1 if normal[2] >= 0 else -1)  # as Slice.z_mm
    step_mm = _step_mm(positions, normal, frames[0].thickness_mm)
    row_mm, column_mm = scan.spacing_mm
    return volume_geometry.checked(
        (scan.columns, scan.rows, len(scan.slices)),
        (column_mm, row_mm, step_mm),
        np.array([across, down, normal]),
        positions[0],
        FIELDS,
    )


def _frame(path: Path) -> Frame:
    """Raises Skip, which names the file: no slice can be left out."""
    try:
        return read_frame(path)
    except Skip as skip:
        detail = f"{path.name}: {skip.detail}" if skip.detail else path.name
        raise Skip(skip.reason, f"{detail}; {NO_GAP}") from None


def _step_mm(positions: np.ndarray, normal: np.ndarray, thickness_mm: float | None) -> float:
    """The distance between slices; of a single one its thickness, or 1 mm. Raises Skip.

    positions: (slices, 3), in mm.
    """
    n = len(positions)
    if n == 1:
        return thickness_mm or 1.0
    offsets = positions - positions[0]
    step_mm = float(offsets[-1] @ normal) / (n - 1)
    most_mm = max(MOST_OFF_MM, MOST_OFF * step_mm)
    along = offsets @ normal
    if np.abs(along - np.arange(n) * step_mm).max() > most_mm:
        raise Skip("slices are not evenly spaced", NO_VOLUME)
    if np.linalg.norm(offsets - along[:, None] * normal, axis=1).max() > most_mm:
        raise Skip("slices are sheared, as by a tilted gantry", NO_VOLUME)
    return step_mm
