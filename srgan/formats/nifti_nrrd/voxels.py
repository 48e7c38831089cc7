"""The voxels of a NIfTI or NRRD volume, slice by slice, as int16 HU.

Compressed voxels are inflated once and held. Uncompressed ones are read when they are asked for,
without a memory map: a file that shrinks meanwhile must not end the process.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from srgan.formats import opened_once
from srgan.formats.nifti_nrrd import gzip_data
from srgan.formats.nifti_nrrd.volume import Volume
from srgan.formats.scan import Scan
from srgan.hounsfield import AIR_HU
from srgan.system.errors import Skip, reason

HU_RANGE = (int(AIR_HU), np.iinfo(np.int16).max)


def reader(read_header: Callable[[Path], Volume], scan: Scan) -> Callable[[int], np.ndarray]:
    """A function from an index into scan.slices to (rows, columns) int16 HU; it raises Skip."""
    return opened_once.reader(scan, lambda: _open(read_header(scan.slices[0].path), scan))


def _open(volume: Volume, scan: Scan) -> Callable[[int], np.ndarray]:
    """A function from the index in the file to a slice. Raises Skip where a voxel is no number."""
    if volume.geometry.size != (scan.columns, scan.rows, len(scan.slices)):
        raise Skip("changed", "the file is not the one that was catalogued")
    if volume.gzipped:
        held = [to_hu(volume, plane) for plane in inflate(volume)]
        return held.__getitem__
    if np.dtype(volume.dtype).kind == "f":
        for index in range(volume.geometry.size[2]):
            to_hu(volume, _plane(volume, index))
    return lambda index: to_hu(volume, _plane(volume, index))


def _plane(volume: Volume, index: int) -> np.ndarray:
    """Slice `index` of an uncompressed file: (rows, columns) in the voxels' own type."""
    columns, rows, _ = volume.geometry.size
    count, itemsize = rows * columns, np.dtype(volume.dtype).itemsize
    try:
        at = volume.offset + index * count * itemsize
        values = np.fromfile(volume.data_path, volume.dtype, count, offset=at)
    except OSError:
        values = np.empty(0)
    if len(values) != count:
        raise Skip("changed", "the data file became shorter, or cannot be read")
    return values.reshape(rows, columns)


def inflate(volume: Volume) -> Iterator[np.ndarray]:
    """Each plane of compressed data: (rows, columns) in the voxels' own type.

    Raises Skip where they are damaged, end early, or inflate to another size.
    """
    columns, rows, _ = volume.geometry.size
    size = rows * columns * np.dtype(volume.dtype).itemsize
    before, total, voxels = volume.inflated_offset, 0, bytearray()
    try:
        with open(volume.data_path, "rb") as file:
            file.seek(volume.offset)
            for piece in gzip_data.pieces(file):
                voxels += piece[before:]
                before = max(before - len(piece), 0)
                if total + len(voxels) > volume.nbytes:
                    raise Skip("damaged pixel data", "inflates to more than the header says")
                while len(voxels) >= size:
                    plane = np.frombuffer(voxels[:size], volume.dtype)
                    del voxels[:size]
                    total += size
                    yield plane.reshape(rows, columns)
    except OSError as error:
        raise Skip("cannot be read", reason(error)) from None
    if total != volume.nbytes:
        raise Skip("damaged pixel data", "inflates to less than the header says")


def to_hu(volume: Volume, values: np.ndarray) -> np.ndarray:
    """(rows, columns) voxels to int16 HU, scaled, rounded once and clipped to HU_RANGE.

    Raises Skip where one is not a number. Whether they can be HU is not judged here.
    """
    if (volume.slope, volume.intercept) != (1.0, 0.0):
        with np.errstate(over="ignore", invalid="ignore"):
            values = values * np.float64(volume.slope) + np.float64(volume.intercept)
    low, high = HU_RANGE
    if values.dtype.kind == "f":
        if not np.isfinite(values).all():
            raise Skip("not HU", "voxels that are not numbers")
        return np.rint(np.clip(values, low, high)).astype(np.int16)
    return np.clip(values, low if values.dtype.kind == "i" else 0, high).astype(np.int16)
