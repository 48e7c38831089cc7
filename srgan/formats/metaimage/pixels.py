"""Planes of a MetaImage volume as int16 HU.

SimpleITK reads them, by a header that is written here from what was checked: in the scan's own
header it could find another data file. A call takes a millisecond or two, so small planes are read
many at a time. Compressed voxels are inflated here, up to a bound and once.
"""

import contextlib
import tempfile
import zlib
from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from srgan.formats.metaimage.header import TYPES, Header, read_header
from srgan.formats.scan import Scan
from srgan.hounsfield import AIR_HU
from srgan.system.errors import Skip
from srgan.system.files import writing

sitk.ProcessObject.SetGlobalWarningDisplay(False)

MIN_SPAN = 100  # a slice whose values span less is not HU
CHUNK = 1 << 20  # bytes that are inflated at once
BLOCK = 512 << 10  # bytes that are read at once where few planes are wanted: one of 512 x 512
CHECKED = 8 << 20  # where all are


def reader(scan: Scan) -> Callable[[int], np.ndarray]:
    """A function from an index into scan.slices to (rows, columns) int16 HU; it raises Skip.

    The volume is opened at the first slice. What is wrong with all of it is found out once.
    """

    @cache
    def volume() -> Callable[[int], np.ndarray] | Skip:
        try:
            return _open(scan)
        except Skip as skip:
            return skip
        except MemoryError:
            return Skip("too large", "the compressed volume does not fit into memory")

    def read(index: int) -> np.ndarray:
        if isinstance(opened := volume(), Skip):
            raise opened.with_traceback(None)
        return opened(scan.slices[index].index)

    return read


def _open(scan: Scan) -> Callable[[int], np.ndarray]:
    """A function from a place in the file to a slice. Raises Skip where the volume is not usable.

    Compressed data are inflated now, and kept as long as the function.
    """
    header = read_header(scan.slices[0].path)
    if header.size != (scan.columns, scan.rows, len(scan.slices)):
        raise Skip("changed", "the file is not the one that was catalogued")
    if header.compressed:
        return _inflated(header)
    if header.dtype[1] == "f":
        step = _planes_in(header, CHECKED)
        for first in range(0, header.size[2], step):
            _check_finite(_planes(header, first, step))
    step = _planes_in(header, BLOCK)

    @lru_cache(maxsize=1)
    def block(number: int) -> np.ndarray:
        return _planes(header, number * step, step)

    return lambda at: values_to_hu(block(at // step)[at % step])


def _inflated(header: Header) -> Callable[[int], np.ndarray]:
    slices: list[np.ndarray | Skip] = []
    for plane in inflate(header):
        _check_finite(plane)
        try:
            slices.append(values_to_hu(plane))
        except Skip as skip:  # of this slice alone
            slices.append(skip)

    def read(at: int) -> np.ndarray:
        if isinstance(hu := slices[at], Skip):
            raise hu.with_traceback(None)
        return hu

    return read


def inflate(header: Header) -> Iterator[np.ndarray]:
    """Each plane of a compressed data file: (rows, columns) in the voxels' own type.

    Raises Skip where the data are not zlib, end early, or inflate to another size.
    """
    columns, rows, _ = header.size
    size = rows * columns * np.dtype(header.dtype).itemsize
    unpack = zlib.decompressobj()
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
        raise Skip("damaged pixel data", "the compressed data are not zlib or damaged") from None
    except OSError as error:
        raise Skip("cannot be read", error.strerror or type(error).__name__) from None
    if total != header.nbytes or rest:
        raise Skip("damaged pixel data", "the compressed data are not of the size of the header")


def _check_finite(values: np.ndarray) -> None:
    """One voxel that is not a number makes the whole volume doubtful, not its slice alone."""
    if not np.isfinite(values).all():
        raise Skip("not HU", "voxels that are not numbers")


def _planes_in(header: Header, n_bytes: int) -> int:
    """How many planes are read at once."""
    return max(1, n_bytes * header.size[2] // header.nbytes)


def _planes(header: Header, first: int, count: int) -> np.ndarray:
    """Up to `count` planes of uncompressed data: (planes, rows, columns) in the voxels' own type.

    Raises UserError (files.writing) where there is no room for a header: no fault of the scan.
    """
    columns, rows, n = header.size
    with contextlib.ExitStack() as stack:
        with writing("to a temporary folder (TMPDIR)"):
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="srgan-"))
            path = _plain_header(header, Path(folder))
        source = sitk.ImageFileReader()
        source.SetImageIO("MetaImageIO")
        source.SetFileName(str(path))
        source.SetExtractIndex((0, 0, first))
        source.SetExtractSize((columns, rows, min(count, n - first)))
        try:
            return sitk.GetArrayFromImage(source.Execute())
        except RuntimeError:  # SimpleITK's for a file that ends early or went
            raise Skip("changed", "the data file became shorter, or cannot be read") from None


def _plain_header(header: Header, folder: Path) -> Path:
    """A header in `folder` that says what was checked and no more, and names the data by a link."""
    name, data = "voxels.raw", header.data_path.resolve()
    try:
        (folder / name).symlink_to(data)
    except OSError:  # Windows, where links are a right of their own
        name = data
    lines = {
        "ObjectType": "Image",
        "NDims": 3,
        "BinaryData": True,
        "BinaryDataByteOrderMSB": header.dtype[0] == ">",
        "DimSize": " ".join(map(str, header.size)),
        "HeaderSize": header.offset,
        "ElementType": {dtype: name for name, dtype in TYPES.items()}[header.dtype[1:]],
        "ElementDataFile": name,
    }
    path = folder / "plain.mhd"
    text = "".join(f"{field} = {value}\n" for field, value in lines.items())
    path.write_text(text, encoding="utf-8")
    return path


def values_to_hu(values: np.ndarray) -> np.ndarray:
    """(rows, columns) voxels of any signed type to int16 HU, rounded once, below -1024 to -1024.

    Raises Skip where they cannot be HU: not a number, none below 0, or a span under 100.
    """
    low, high = values.min(), values.max()
    if not (np.isfinite(low) and np.isfinite(high)):
        raise Skip("not HU", "voxels that are not numbers")
    if low >= 0:
        raise Skip("not HU", "no value below 0")
    if float(high) - float(low) < MIN_SPAN:
        raise Skip("not HU", f"values span less than {MIN_SPAN}")
    hu = np.clip(values, AIR_HU, np.iinfo(np.int16).max)
    return (hu if hu.dtype.kind == "i" else np.rint(hu, out=hu)).astype(np.int16)
