"""Chests that differ from patient to patient, with noise of its own in each slice, as files."""

from pathlib import Path

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

SPACING_MM = (2.5, 0.8, 0.8)  # between slices, rows, columns


def chest(patient: int, slices: int = 12, size: int = 96) -> np.ndarray:
    """(slices, size, size) int16 HU: body, lungs and vessels change slowly along the body."""
    rng = np.random.default_rng(patient)
    z, rows, columns = np.ogrid[:slices, :size, :size]
    z, rows, columns = z / slices, rows / size - 0.5, columns / size - 0.5

    def ellipse(row, column, half_rows, half_columns):
        squares = ((rows - row) / half_rows) ** 2 + ((columns - column) / half_columns) ** 2
        return np.broadcast_to(squares < 1, (slices, size, size))

    hu = np.full((slices, size, size), -1000.0)
    depth, width = rng.uniform((0.28, 0.33), (0.42, 0.47))
    shift = rng.uniform(-0.08, 0.08)
    hu[ellipse(shift, 0.02 * z, depth + 0.02 * z, width)] = rng.uniform(20, 60)
    for side in (-1, 1):
        lung = ellipse(
            shift + rng.normal(0, 0.04), side * rng.uniform(0.17, 0.22), 0.2 + 0.05 * z, 0.12
        )
        hu[lung] = rng.uniform(-880, -820)
        for _ in range(12):  # vessels
            row, column, turn = rng.normal(0, 0.08, 3)
            hu[ellipse(row + turn * z, side * 0.2 + column / 2, 0.02, 0.02)] = 60
    hu[ellipse(rng.uniform(0.15, 0.25), 0, 0.05, 0.05)] = 500
    noise = ndimage.gaussian_filter(rng.normal(0, 60, hu.shape), (0, 0.6, 0.6))
    return to_hu(ndimage.gaussian_filter(hu, (0, 1.2, 1.2)) + noise)


def to_hu(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), -1024, 3071).astype(np.int16)


def body(hu: np.ndarray) -> np.ndarray:
    """True inside of the skin, lungs too."""
    inside = ndimage.binary_opening(hu > -300, np.ones((1, 3, 3)))
    return np.stack([ndimage.binary_fill_holes(image) for image in inside])


def lungs(hu: np.ndarray) -> np.ndarray:
    return body(hu) & (ndimage.gaussian_filter(hu.astype(float), (0, 1, 1)) < -500)


def save(path: Path, volume: np.ndarray, spacing_mm=SPACING_MM, origin_mm=(0, 0, 0)) -> Path:
    """Write a volume in the format that the name tells; a .mhd gets its .raw."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(volume)
    image.SetSpacing([float(mm) for mm in spacing_mm[::-1]])
    image.SetOrigin([float(mm) for mm in origin_mm])
    sitk.WriteImage(image, str(path))
    return path
