"""The page's viewer of one slice: two pictures beside a divider, windows in HU, maps on top.

The HU are packed without loss and unpacked by page.js. No canvas is read back, so neither colour
management nor a browser's guard against fingerprinting changes a value. A still picture is shown
where scripts are off, and in print.
"""

import base64
import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from srgan.evaluation.study_slice import crop
from srgan.hounsfield import HU_MAX, HU_MIN, WINDOWS, Window, Windows
from srgan.resampling import area_mean, nearest

SHOWN = {  # the usual presets; the first is shown at the start and in print
    "lung": WINDOWS["lung"],
    "mediastinum": WINDOWS["mediastinum"],
    "bone": Window(-450.0, 1050.0),
    "full": WINDOWS["full"],
}
STILL = 512  # pixels at most, of a side of a still picture
GAP = 8  # pixels between the two halves of the still picture
ERROR_HU = 100.0  # the strongest colour of the map of errors, which the browser makes itself


@dataclass(frozen=True)
class Map:
    """Values to lay over one picture, kept in 254 steps. NaN is left clear.

    ends: the value that is left clear, and the one with the strongest colour. diverging: both ends
    have the strongest colour, and their middle is clear. The shape divides that of the pictures.
    """

    name: str  # "consistency", the same for every picture
    of: str  # the picture's name
    values: np.ndarray
    unit: str  # "expected SDs"
    ends: tuple[float, float]
    diverging: bool = False


@dataclass(frozen=True)
class Viewer:
    """One slice by every method. A smaller picture, such as the low dose, is enlarged by nearest.

    pictures: name to (rows, columns) HU, the normal dose first; kept at 1 HU in -1024 to 3071.
    shown: the names at the start, left and right. detail: rows and columns worth enlarging.
    spacing_mm: between rows, between columns. Raises ValueError for what cannot be shown.
    """

    title: str
    words: str
    pictures: Mapping[str, np.ndarray]
    maps: tuple[Map, ...]
    shown: tuple[str, str]
    detail: tuple[slice, slice]
    spacing_mm: tuple[float, float]
    windows: Windows

    def __post_init__(self):
        for name, picture in self.pictures.items():
            if not np.isfinite(picture).all():
                raise ValueError(f"{name}: HU that are not finite")
        for array in (*self.pictures.values(), *(each.values for each in self.maps)):
            _factor(self.shape, array.shape)
        unknown = {*self.shown, *(each.of for each in self.maps)} - set(self.pictures)
        if unknown:
            raise ValueError(f"no picture of {', '.join(sorted(unknown))}")

    @property
    def shape(self) -> tuple[int, int]:
        return next(iter(self.pictures.values())).shape

    def still_png(self) -> str:
        """The pictures of the start side by side in the first window: a PNG in base64.

        Means over blocks where they have more than STILL rows or columns.
        """
        import imageio.v3 as imageio

        low, high = next(iter(self.windows.values()))
        halves, smaller = [], -(-max(self.shape) // STILL)
        for name in self.shown:
            hu = self.pictures[name]
            large = nearest(hu, _factor(self.shape, hu.shape))
            grey = np.clip((large - low) / (high - low), 0, 1)
            halves.append(np.rint(255 * area_mean(crop(grey, smaller), smaller)).astype(np.uint8))
        gap = np.full((len(halves[0]), GAP), 255, np.uint8)
        png = imageio.imwrite("<bytes>", np.hstack([halves[0], gap, halves[1]]), extension=".png")
        return base64.b64encode(png).decode()

    def data(self) -> dict:
        """What page.js reads: JSON values."""
        return {
            "shape": self.shape,
            "windows": self.windows,
            "detail": [[part.start, part.stop] for part in self.detail],
            "error": ERROR_HU,
            "pictures": [
                {"name": name, "shape": hu.shape, "data": pack(hu_steps(hu))}
                for name, hu in self.pictures.items()
            ],
            "maps": [
                {
                    "name": each.name,
                    "of": each.of,
                    "unit": each.unit,
                    "ends": each.ends,
                    "diverging": each.diverging,
                    "shape": each.values.shape,
                    "data": pack(map_steps(each)),
                }
                for each in self.maps
            ],
        }


def _factor(shape: tuple[int, int], smaller: tuple[int, int]) -> int:
    factor = shape[0] // smaller[0]
    if (smaller[0] * factor, smaller[1] * factor) != tuple(shape):
        raise ValueError(f"{smaller} does not divide {shape}")
    return factor


def pack(values: np.ndarray) -> str:
    """uint16 values as base64 text for `unpack` in page.js: all high bytes, then all low bytes.

    Deflated. Apart from each other the bytes take a fifth less than in pairs.
    """
    planes = np.stack([values >> 8, values & 255]).astype(np.uint8)
    return base64.b64encode(zlib.compress(planes.tobytes())).decode()


def hu_steps(hu: np.ndarray) -> np.ndarray:
    """HU as whole steps from -1024: uint16 from 0 to 4095."""
    return np.rint(np.clip(hu, HU_MIN, HU_MAX) - HU_MIN).astype(np.uint16)


def map_steps(each: Map) -> np.ndarray:
    """uint16 from 1 to 255, from the first end to the second; 0 is clear."""
    first, second = each.ends
    fraction = (np.asarray(each.values, float) - first) / (second - first)
    steps = 1 + np.rint(254 * np.clip(np.nan_to_num(fraction), 0, 1))
    return np.where(np.isnan(fraction), 0, steps).astype(np.uint16)
