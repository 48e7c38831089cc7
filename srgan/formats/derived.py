"""A scan that is made from another one, slice by slice: what is read of it, what is written.

The writers are `DicomTarget` and `VolumeTarget`; a format's `source_reader` gives what they need.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from srgan.hounsfield import HU_MAX, HU_MIN

OUTSIDE_HU = -1400.0  # below the noise of air: what scanners fill the corners with, from -1500 down


@dataclass(frozen=True)
class SourceSlice:
    """A slice of the source. Arrays are (rows, columns)."""

    hu: np.ndarray  # int16, as `readers.reader` gives it: padding and what lies below are -1024
    exact_hu: np.ndarray  # of any signed type, as the file has it
    kept: np.ndarray | None = None  # bool, padding
    dicom: Any = None  # of a DICOM file: what header.read_whole gives


@dataclass(frozen=True)
class Derived:
    """What the slices of a new scan have in common."""

    description: str  # 64 ASCII characters at most
    enlargement: int = 1  # rows and columns of the new scan for each of the source
    resampled: bool = False  # on a coarser grid on the way, or on a finer one


class Target(Protocol):
    """Where a new scan is written. Slices come in any order, from any process."""

    def write(self, index: int, source: SourceSlice, new_hu: np.ndarray, how: str) -> None:
        """Write slice `index` of the scan: (enlargement*rows, enlargement*columns) HU.

        how: what was done, with its parameters. Raises OSError, and Skip where the source's header
        cannot be copied.
        """

    def finish(self, how: str) -> None:
        """After the last slice: what the files need besides. how: of the scan. Raises OSError."""


def stored_hu(source: SourceSlice, new_hu: np.ndarray) -> np.ndarray:
    """The HU that a writer stores: float64, not rounded.

    On the source's grid the change is added to what the file had, so that nothing else is rounded
    or clipped: see `changed_hu`. On a finer grid it is new_hu in [-1024, 3071].
    """
    if new_hu.shape != source.hu.shape:
        return np.clip(new_hu.astype(np.float64), HU_MIN, HU_MAX)
    return changed_hu(source.exact_hu, new_hu - source.hu, source.kept)


def changed_hu(hu: np.ndarray, change: np.ndarray, kept: np.ndarray | None = None) -> np.ndarray:
    """HU with a change added: float64, clipped to [-1024, 3071], or as far as the source goes.

    hu, change: (rows, columns). A pixel may stay as far below -1024 as it was, and each may become
    as high as the highest of the slice (metal). Pixels in the mask `kept` and outside the field of
    view do not change.
    """
    changed = np.add(hu, change, dtype=np.float64)
    np.minimum(changed, max(HU_MAX, hu.max()), out=changed)
    np.maximum(changed, np.minimum(HU_MIN, hu), out=changed)
    outside = hu < OUTSIDE_HU
    np.copyto(changed, hu, where=outside if kept is None else outside | kept)
    return changed
