"""The voxels of a MetaImage volume, slice by slice, as they are stored and as int16 HU.

Compressed voxels are inflated once, up to a bound. Uncompressed ones are read when they are asked
for, without a memory map: a file that shrinks meanwhile must not end the process.
"""

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from srgan.formats import opened_once
from srgan.formats.derived import SourceSlice
from srgan.formats.metaimage.header import Header, read_header
from srgan.formats.scan import Scan
from srgan.hounsfield import AIR_HU
from srgan.system.errors import Skip, reason

CHUNK = 1 << 20  # bytes that are inflated at once


@dataclass(frozen=True)
class Voxels:
    """Uncompressed voxels in a file, slice after slice."""

    path: Path
    dtype: str  # NumPy's, with its byte order
    rows: int
    columns: int
    offset: int = 0  # bytes before the first slice

    @classmethod
    def of(cls, header: Header) -> "Voxels":
        columns, rows, _ = header.size
        return cls(header.data_path, header.dtype, rows, columns, header.offset)

    def position(self, index: int) -> int:
        """The file's byte where slice `index` begins."""
        return self.offset + index * self.rows * self.columns * np.dtype(self.dtype).itemsize

    def read(self, index: int) -> np.ndarray:
        """Slice `index`: (rows, columns) in the voxels' own type.

        Raises OSError, and EOFError where the file became shorter.
        """
        count = self.rows * self.columns
        values = np.fromfile(self.path, self.dtype, count, offset=self.position(index))
        if len(values) != count:
            raise EOFError
        return values.reshape(self.rows, self.columns)

    def write(self, index: int, values: np.ndarray) -> None:
        """Raises OSError."""
        with open(self.path, "r+b") as file:
            file.seek(self.position(index))
            file.write(values.astype(self.dtype).tobytes())


def reader(scan: Scan) -> Callable[[int], np.ndarray]:
    """A function from an index into scan.slices to (rows, columns) int16 HU; it raises Skip."""
    return opened_once.reader(scan, partial(_open, scan))


def source_reader(scan: Scan, folder: Path) -> Callable[[int], SourceSlice]:
    """A function from an index into scan.slices to all that a copy needs; it raises Skip.

    Compressed voxels are inflated into a file in `folder`.
    """
    header = read_header(scan.files[0])
    voxels = Voxels.of(header)
    if header.compressed:
        voxels = Voxels(folder / "source.raw", header.dtype, scan.rows, scan.columns)
        with open(voxels.path, "wb") as file:
            file.writelines(plane.tobytes() for plane in inflate(header))
    return partial(_source_slice, voxels, scan)


def _source_slice(voxels: Voxels, scan: Scan, index: int) -> SourceSlice:
    try:
        values = voxels.read(scan.slices[index].index)
    except (OSError, EOFError):
        raise Skip("changed", "the data file became shorter, or cannot be read") from None
    return SourceSlice(values_to_hu(values), values)


def _open(scan: Scan) -> Callable[[int], np.ndarray]:
    """A function from the index in the file to a slice. Raises Skip where no slice is usable.

    Compressed data are inflated now and stay in memory as long as the function.
    """
    header = read_header(scan.slices[0].path)
    if header.size != (scan.columns, scan.rows, len(scan.slices)):
        raise Skip("changed", "the file is not the one that was catalogued")
    if header.compressed:
        return _inflated(header)
    voxels = Voxels.of(header)

    def values(index: int) -> np.ndarray:
        try:
            return voxels.read(index)
        except (OSError, EOFError):
            raise Skip("changed", "the data file became shorter, or cannot be read") from None

    if header.dtype[1] == "f":  # one voxel that is not a number refuses the whole volume
        for index in range(header.size[2]):
            values_to_hu(values(index))
    return lambda index: values_to_hu(values(index))


def _inflated(header: Header) -> Callable[[int], np.ndarray]:
    slices = [values_to_hu(plane) for plane in inflate(header)]
    return lambda index: slices[index]


def inflate(header: Header) -> Iterator[np.ndarray]:
    """Each plane of a compressed data file: (rows, columns) in the voxels' own type.

    Raises Skip where the data are neither zlib nor gzip, end early, or inflate to another size.
    """
    columns, rows, _ = header.size
    size = rows * columns * np.dtype(header.dtype).itemsize
    unpack = zlib.decompressobj(zlib.MAX_WBITS | 32)  # zlib or gzip, as ITK reads
    total, voxels = 0, bytearray()
    try:
        with open(header.data_path, "rb") as file:
            file.seek(header.offset)
            while not unpack.eof:
                chunk = unpack.unconsumed_tail or file.read(CHUNK)
                if not chunk:
                    raise Skip("truncated", "the compressed data end early")
                voxels += unpack.decompress(chunk, CHUNK)
                if total + len(voxels) > header.nbytes:
                    raise Skip("damaged pixel data", "inflates to more than the header says")
                while len(voxels) >= size:
                    plane = np.frombuffer(voxels[:size], header.dtype)
                    del voxels[:size]
                    total += size
                    yield plane.reshape(rows, columns)
            rest = unpack.unused_data or file.read(1)
    except zlib.error:
        raise Skip("damaged pixel data", "the data are not zlib or gzip, or damaged") from None
    except OSError as error:
        raise Skip("cannot be read", reason(error)) from None
    if total != header.nbytes or rest:
        raise Skip("damaged pixel data", "the compressed data are not of the size of the header")


def values_to_hu(values: np.ndarray) -> np.ndarray:
    """(rows, columns) voxels of any signed type to int16 HU, rounded once, below -1024 to -1024.

    Raises Skip where one is not a number. Whether the others can be HU is not judged here.
    """
    if not (np.isfinite(values.min()) and np.isfinite(values.max())):
        raise Skip("not HU", "voxels that are not numbers")
    hu = np.clip(values, AIR_HU, np.iinfo(np.int16).max)
    return (hu if hu.dtype.kind == "i" else np.rint(hu, out=hu)).astype(np.int16)
