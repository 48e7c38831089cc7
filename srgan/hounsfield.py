"""Hounsfield units: windows, the networks' scale, air, body and lung, and two resamplings.

HU is the only currency between rooms. [-1, 1] exists between `pairs` and the networks alone.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy import ndimage

AIR_HU = -1024.0  # also what padding becomes
HU_MIN = -1024.0
HU_MAX = 3071.0
HU_SPAN = HU_MAX - HU_MIN  # 4095; divide by this and never by 4096


class Window(NamedTuple):
    """A display window in HU; its width is the data range of PSNR and SSIM."""

    low: float
    high: float

    @property
    def width(self) -> float:
        return self.high - self.low

    def __str__(self) -> str:
        """What stands beside a figure: its limits and data range."""
        return f"{self.low:g}..{self.high:g} HU, range {self.width:g}"


Windows = Mapping[str, Window]
WINDOWS = {
    "full": Window(HU_MIN, HU_MAX),
    "lung": Window(-1350.0, 150.0),  # level -600, width 1500
    "mediastinum": Window(-160.0, 240.0),  # level 40, width 400
}


def hu_to_fraction(hu):
    """HU to the fraction of full scale, x = (HU + 1024) / 4095; nothing is clipped."""
    return (hu - HU_MIN) / HU_SPAN


def fraction_to_hu(x):
    """The inverse of `hu_to_fraction`."""
    return x * HU_SPAN + HU_MIN


def hu_to_network(hu):
    """HU to the networks' range: -1024 HU is -1, 3071 HU is 1; nothing is clipped."""
    return (hu - HU_MIN) * (2.0 / HU_SPAN) - 1.0


def network_to_hu(y):
    """The inverse of `hu_to_network`."""
    return (y + 1.0) * (HU_SPAN / 2.0) + HU_MIN


def area_mean(image: np.ndarray, scale: int) -> np.ndarray:
    """Mean over blocks of scale x scale pixels of the last two axes.

    Shape (..., scale*h, scale*w) to (..., h, w). Low pixel i lies at high coordinate
    scale*i + (scale-1)/2. Raises ValueError where a size is not a multiple of scale.
    """
    rows, columns = image.shape[-2:]
    if rows % scale or columns % scale:
        raise ValueError(f"{rows} x {columns} is not a multiple of {scale}")
    blocks = (*image.shape[:-2], rows // scale, scale, columns // scale, scale)
    return image.reshape(blocks).mean((-3, -1), dtype=image.dtype)


@lru_cache(maxsize=16)
def _keys_matrix(n: int, scale: int) -> np.ndarray:
    """(scale*n, n) weights of cubic convolution, a = -0.5, aligned with the area mean.

    R. Keys, IEEE Trans. ASSP 29 (1981) 1153, equation 15; pixels beyond the edge repeat it.
    """
    position = (np.arange(scale * n) + 0.5) / scale - 0.5
    first = np.floor(position).astype(int) - 1
    matrix = np.zeros((scale * n, n))
    for tap in range(4):
        d = np.abs(position - (first + tap))
        near = 1.5 * d**3 - 2.5 * d**2 + 1
        far = -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2
        weight = np.where(d <= 1, near, np.where(d < 2, far, 0.0))
        np.add.at(matrix, (np.arange(scale * n), np.clip(first + tap, 0, n - 1)), weight)
    return matrix


def bicubic(image: np.ndarray, scale: int) -> np.ndarray:
    """Aligned bicubic enlargement (Keys, a = -0.5) of the last two axes; float64 inside.

    Shape (..., h, w) to (..., scale*h, scale*w), dtype float32.
    """
    rows, columns = (_keys_matrix(n, scale) for n in image.shape[-2:])
    return (rows @ image.astype(np.float64) @ columns.T).astype(np.float32)


def nearest(image: np.ndarray, scale: int) -> np.ndarray:
    """Each pixel of the last two axes repeated scale x scale times, dtype float32."""
    return image.repeat(scale, -2).repeat(scale, -1).astype(np.float32)


def has_body(hu: np.ndarray, share: float = 0.1, threshold_hu: float = -500.0) -> bool:
    """Is at least `share` of the slice above `threshold_hu` after an opening (table, noise)?

    hu: (rows, columns). The opening is by a cross, on every second pixel; spelled out it is five
    times as fast as SciPy's.
    """
    solid = np.pad(hu[::2, ::2] > threshold_hu, 2)
    eroded = np.logical_and.reduce(_cross(solid))
    return bool(np.logical_or.reduce(_cross(eroded)).mean() >= share)


def _cross(mask: np.ndarray) -> tuple[np.ndarray, ...]:
    """Each inner pixel of a mask, and its four neighbours."""
    shifts = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))
    rows, columns = mask.shape
    return tuple(mask[1 + r : rows - 1 + r, 1 + c : columns - 1 + c] for r, c in shifts)


def body_mask(hu: np.ndarray, threshold_hu: float = -400.0) -> np.ndarray:
    """The largest connected body with its lungs filled: (rows, columns) bool."""
    smooth = ndimage.gaussian_filter(hu.astype(np.float32), 1.0)
    solid = ndimage.binary_opening(smooth > threshold_hu, iterations=3)
    label, n = ndimage.label(solid)
    if n == 0:
        return solid
    largest = 1 + int(np.argmax(ndimage.sum_labels(solid, label, range(1, n + 1))))
    return ndimage.binary_fill_holes(label == largest)


def lung_mask(hu: np.ndarray, threshold_hu: float = -600.0) -> np.ndarray:
    """Lung inside the body: (rows, columns) bool; all False where the slice shows none."""
    inside = ndimage.binary_erosion(body_mask(hu), iterations=4)
    dark = ndimage.gaussian_filter(hu.astype(np.float32), 1.5) < threshold_hu
    return ndimage.binary_opening(dark & inside, iterations=6)
