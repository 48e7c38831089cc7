"""Where a point in the patient lies in a scan: the nearest slice, and the pixel in it.

Points are in mm in the patient's coordinates (LPS): towards the left, the back and the head.
"""

import numpy as np

from srgan.formats.readers import FORMATS
from srgan.formats.scan import Place, Scan

LONE_SLICE_MM = 1.25  # on either side of a scan of one slice


def locate(scan: Scan, point_mm: tuple[float, float, float]) -> Place | None:
    """The place of a point, or None if it lies outside the scan or in a gap between slices.

    Raises Skip if a header cannot be read.
    """
    point = np.array(point_mm, np.float64)
    place = FORMATS[scan.kind].place_of(scan, point)
    half = np.array([scan.rows, scan.columns]) / 2
    middle = np.array([place.row_px, place.column_px]) - (half - 0.5)
    reach = LONE_SLICE_MM
    if len(scan.slices) > 1:
        reach = np.median(np.diff([item.z_mm for item in scan.slices])) / 2 + 1e-3
    inside = (np.abs(middle) <= half).all() and abs(place.off_mm) <= reach
    return place if inside else None
