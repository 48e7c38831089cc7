"""Small MetaImage volumes made for tests."""

from pathlib import Path

import numpy as np

from srgan.formats import readers
from srgan.formats.volumes.metaimage import read_header
from srgan.formats.volumes.volume import scan_of

FIELDS = {
    "ObjectType": "Image",
    "NDims": "3",
    "BinaryData": "True",
    "BinaryDataByteOrderMSB": "False",
    "CompressedData": "False",
    "TransformMatrix": "1 0 0 0 1 0 0 0 1",
    "Offset": "-10 -20 -30",
    "ElementSpacing": "0.7 0.8 2.5",
    "DimSize": "6 5 4",
    "ElementType": "MET_SHORT",
}


def volume() -> np.ndarray:
    """(4, 5, 6) int16 HU; each slice reaches from air to bone."""
    ramp = np.linspace(-1024, 1000, 30).round().astype(np.int16).reshape(5, 6)
    return np.stack([ramp + i for i in range(4)])


def write(folder: Path, data: bytes | None = None, data_file=None, **changes) -> Path:
    """Write scan.mhd and scan.raw; None in `changes` takes a field away."""
    fields = {k: v for k, v in (FIELDS | changes).items() if v is not None}
    fields["ElementDataFile"] = "scan.raw" if data_file is None else data_file
    path = folder / "scan.mhd"
    path.write_text("".join(f"{k} = {v}\n" for k, v in fields.items()))
    path.with_suffix(".raw").write_bytes(volume().tobytes() if data is None else data)
    return path


def write_compressed(folder: Path, data: bytes, **changes) -> Path:
    return write(folder, data, CompressedData="True", **changes)


def reader(path: Path):
    """A function from an index to a slice, as (rows, columns) int16 HU."""
    return readers.FORMATS["metaimage"].reader(scan_of(read_header(path), "1.2", "P"))


def read(path: Path) -> np.ndarray:
    """All slices: (slices, rows, columns) int16 HU."""
    read_slice, n = reader(path), read_header(path).geometry.size[2]
    return np.stack([read_slice(i) for i in range(n)])
