"""The voxels of a volume, slice by slice, as they are stored and as HU.

Compressed voxels are inflated once. Uncompressed ones are read when they are asked for, without a
memory map: a file that shrinks meanwhile must not end the process.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np

from srgan.formats.derived import SourceSlice
from srgan.formats.scan import Scan
from srgan.formats.volumes import inflate
from srgan.formats.volumes.volume import ReadHeader, Volume, of_scan
from srgan.hounsfield import AIR_HU
from srgan.system.errors import Skip

HU_RANGE = (int(AIR_HU), np.iinfo(np.int16).max)
ReadSlice = Callable[[int], np.ndarray]


@dataclass(frozen=True)
class Voxels:
    """Uncompressed voxels in a file, slice after slice."""

    path: Path
    dtype: str  # NumPy's, with its byte order
    rows: int
    columns: int
    offset: int = 0  # bytes before the first slice

    @classmethod
    def of(cls, volume: Volume) -> "Voxels":
        columns, rows, _ = volume.geometry.size
        return cls(volume.data_path, volume.dtype, rows, columns, volume.offset)

    def position(self, index: int) -> int:
        """The file's byte where slice `index` begins."""
        return self.offset + index * self.rows * self.columns * np.dtype(self.dtype).itemsize

    def read(self, index: int) -> np.ndarray:
        """Slice `index`: (rows, columns) in the voxels' own type. Raises Skip."""
        count = self.rows * self.columns
        try:
            values = np.fromfile(self.path, self.dtype, count, offset=self.position(index))
        except OSError:
            values = np.empty(0)
        if len(values) != count:
            raise Skip("changed", "the data file became shorter, or cannot be read")
        return values.reshape(self.rows, self.columns)

    def write(self, index: int, values: np.ndarray) -> None:
        """(rows, columns) as slice `index` of a file that is there. Raises OSError."""
        with open(self.path, "r+b") as file:
            file.seek(self.position(index))
            file.write(values.astype(self.dtype).tobytes())


def reader(read_header: ReadHeader, scan: Scan) -> ReadSlice:
    """A function from an index into scan.slices to (rows, columns) int16 HU; it raises Skip.

    The volume is opened once, when the first slice is asked for: a fault of the whole volume is
    found once and raised for every slice.
    """

    @cache
    def opened() -> ReadSlice | Skip:
        try:
            return _open(of_scan(read_header, scan))
        except Skip as skip:
            return skip
        except MemoryError:
            return Skip("too large", "the compressed volume does not fit into memory")

    def read(index: int) -> np.ndarray:
        if isinstance(read_slice := opened(), Skip):
            raise read_slice.with_traceback(None)
        return read_slice(scan.slices[index].index)

    return read


def _open(volume: Volume) -> ReadSlice:
    """A function from the index in the file to a slice. Raises Skip where a voxel is no number."""
    if volume.compressed:
        held = [to_hu(volume, plane) for plane in inflate.planes(volume)]
        return held.__getitem__
    voxels = Voxels.of(volume)
    if np.dtype(volume.dtype).kind == "f":
        for index in range(volume.geometry.size[2]):
            to_hu(volume, voxels.read(index))
    return lambda index: to_hu(volume, voxels.read(index))


def source_reader(
    read_header: ReadHeader, scan: Scan, folder: Path
) -> Callable[[int], SourceSlice]:
    """A function from an index into scan.slices to all that a copy needs; it raises Skip.

    Compressed voxels are inflated into a file in `folder`. Raises Skip and OSError.
    """
    volume = of_scan(read_header, scan)
    voxels = Voxels.of(volume)
    if volume.compressed:
        voxels = Voxels(folder / "source.raw", volume.dtype, scan.rows, scan.columns)
        with open(voxels.path, "wb") as file:
            file.writelines(plane.tobytes() for plane in inflate.planes(volume))
    return partial(_source_slice, volume, voxels, scan)


def _source_slice(volume: Volume, voxels: Voxels, scan: Scan, index: int) -> SourceSlice:
    values = voxels.read(scan.slices[index].index)
    return SourceSlice(to_hu(volume, values), scaled(volume, values))


def scaled(volume: Volume, values: np.ndarray) -> np.ndarray:
    """Voxels to HU, neither rounded nor clipped: in their own type, or float64 where scaled."""
    if not volume.is_scaled:
        return values
    with np.errstate(over="ignore", invalid="ignore"):
        return values * np.float64(volume.slope) + np.float64(volume.intercept)


def to_hu(volume: Volume, values: np.ndarray) -> np.ndarray:
    """(rows, columns) voxels to int16 HU, scaled, rounded once and clipped to HU_RANGE.

    Raises Skip where one is not a number. Whether they can be HU is not judged here.
    """
    values = scaled(volume, values)
    low, high = HU_RANGE
    if values.dtype.kind == "f":
        if not np.isfinite(values).all():
            raise Skip("not HU", "voxels that are not numbers")
        return np.rint(np.clip(values, low, high)).astype(np.int16)
    return np.clip(values, low if values.dtype.kind == "i" else 0, high).astype(np.int16)
