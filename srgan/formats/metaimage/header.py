"""MetaImage (.mhd with .raw or .zraw, .mha): its header; `planes` reads the slices."""

import contextlib
import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from srgan.formats.dicom.header import OWN_MODEL
from srgan.formats.scan import Scan, Slice
from srgan.system.errors import Skip

MAX_HEADER = 64 << 10  # bytes
MAX_SIDE = 4096
MAX_VOXELS = 1 << 30  # 4096 slices of 512 x 512
MAX_INFLATED = 640 << 20  # bytes; all slices are held in memory, as int16: 1280 of 512 x 512
MAX_SPACING_MM = 100.0
MAX_ORIGIN_MM = 1e5
MAX_ANGLE = 20.0  # degrees between the slice normal and z

TYPES = {"MET_SHORT": "i2", "MET_INT": "i4", "MET_FLOAT": "f4", "MET_DOUBLE": "f8"}
NOT_HU = {
    "MET_CHAR": "8 bits cannot hold HU",
    "MET_UCHAR": "8 bits cannot hold HU",
    "MET_USHORT": "unsigned, no value below 0",
    "MET_UINT": "unsigned, no value below 0",
}
IDENTITY = "1 0 0 0 1 0 0 0 1"


@dataclass(frozen=True, slots=True)
class Header:
    """A volume of axial slices as its header describes it."""

    path: Path
    data_path: Path  # equal to path where the data follow the header
    size: tuple[int, int, int]  # columns, rows, slices: the order of the file
    spacing_mm: tuple[float, float, float]  # in the same order
    z_mm: float  # of the first slice along the slice axis
    dtype: str  # NumPy's, with its byte order
    compressed: bool
    offset: int  # bytes before the voxels in the data file

    @property
    def nbytes(self) -> int:
        """Bytes of the voxels once inflated."""
        return math.prod(self.size) * np.dtype(self.dtype).itemsize


def read_header(path: Path) -> Header:
    """Read and check the header of a .mhd or .mha, and the size of its data file.

    Raises Skip where it is no volume of axial CT slices, or where header and data disagree.
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            start = file.read(MAX_HEADER)
    except OSError as error:
        raise Skip("cannot be read", error.strerror or type(error).__name__) from None
    fields, end = parse_fields(start)
    if fields.get("Comment", "").lower().startswith(OWN_MODEL):
        raise Skip("output of this program")
    dtype = _check_voxels(fields)
    size = tuple(int(n) for n in _numbers(fields, "DimSize", 3))
    if not all(n > 0 for n in size):
        raise Skip("no usable size", "DimSize is not positive")
    if max(size) > MAX_SIDE or math.prod(size) > MAX_VOXELS:
        raise Skip("too large", "DimSize asks for more than this program reads")
    spacing = _numbers(fields, "ElementSpacing", 3)
    if not all(0 < s < MAX_SPACING_MM for s in spacing):
        detail = f"ElementSpacing is not three numbers from 0 to {MAX_SPACING_MM:g} mm"
        raise Skip("no pixel spacing", detail)
    data_path, offset = _data_file(path, fields, end)
    header = Header(
        path=path,
        data_path=data_path,
        size=size,
        spacing_mm=spacing,
        z_mm=_first_z(fields),
        dtype=dtype,
        compressed=_flag(fields, "CompressedData"),
        offset=offset,
    )
    _check_data_size(header, fields)
    return header


def parse_fields(start: bytes) -> tuple[dict[str, str], int]:
    """The `Name = value` lines up to ElementDataFile, and the position of the byte after them."""
    if not start:
        raise Skip("empty file")
    fields, position = {}, 0
    while position < len(start):
        end = start.find(b"\n", position)
        if end < 0 and len(start) >= MAX_HEADER:
            raise Skip("not a MetaImage header", f"no end within {MAX_HEADER >> 10} KiB")
        end = len(start) if end < 0 else end
        line = start[position:end].decode("utf-8", "surrogateescape").strip(" \t\r")
        position = end + 1
        name, equals, value = line.partition("=")
        if not line:
            continue
        if not equals or not name.strip().isidentifier():
            raise Skip("not a MetaImage header")
        fields[name.strip()] = value.strip()
        if name.strip() == "ElementDataFile":
            return fields, position
    raise Skip("not a MetaImage header", "ElementDataFile is missing")


def _numbers(fields: dict[str, str], name: str, count: int, default: str = "") -> tuple:
    """`count` numbers: int where written as int, NaN for what is not a number."""
    text = fields.get(name, default)
    if not text:
        raise Skip("damaged header", f"{name} is missing")
    values = []
    for word in text.split()[: count + 1]:
        value: float = math.nan
        for kind in (int, float):
            with contextlib.suppress(ValueError):
                value = kind(word)
                break
        values.append(value)
    if len(values) != count:
        raise Skip("damaged header", f"{name} is not {count} numbers")
    if name == "DimSize" and not all(isinstance(v, int) for v in values):
        raise Skip("damaged header", f"{name} is not {count} whole numbers")
    return tuple(values)


def _flag(fields: dict[str, str], name: str, default: str = "False") -> bool:
    return fields.get(name, default).lower() in ("true", "1", "t")


def _check_voxels(fields: dict[str, str]) -> str:
    """One signed channel of a three-dimensional image; returns NumPy's name of the voxel type."""
    if fields.get("ObjectType", "Image").lower() != "image":
        raise Skip("not a MetaImage header", "ObjectType is not Image")
    if fields.get("NDims") != "3":
        raise Skip("no volume of axial slices", f"NDims is {fields.get('NDims', 'missing')}")
    if fields.get("ElementNumberOfChannels", "1") != "1":
        raise Skip("more than one sample per pixel", "ElementNumberOfChannels is not 1")
    if not _flag(fields, "BinaryData", "True"):
        raise Skip("voxel type is not read", "BinaryData is False")
    kind = fields.get("ElementType", "")
    if kind in NOT_HU:
        raise Skip("not HU", f"{kind}: {NOT_HU[kind]}")
    if kind not in TYPES:
        raise Skip("voxel type is not read", f"ElementType {kind or 'is missing'}")
    big = _flag(fields, "BinaryDataByteOrderMSB") or _flag(fields, "ElementByteOrderMSB")
    return (">" if big else "<") + TYPES[kind]


def _first_z(fields: dict[str, str]) -> float:
    """Check that slices are axial; the first slice's place along the slice axis, in mm."""
    matrix = next((n for n in ("TransformMatrix", "Rotation", "Orientation") if n in fields), "")
    values = _numbers(fields, matrix, 9, IDENTITY)
    if not all(abs(v) < 2 for v in values):
        raise Skip("not known to be axial", "TransformMatrix is no orientation")
    across, down, along = np.array(values, float).reshape(3, 3)
    normal = np.cross(across, down)
    length = np.linalg.norm(normal)
    if abs(length - 1) > 0.05 or np.linalg.norm(along) < 0.5:
        raise Skip("not known to be axial", "TransformMatrix is no orientation")
    anatomy = fields.get("AnatomicalOrientation", "RAI").upper()
    if not matrix and (len(anatomy) != 3 or anatomy[2] not in "IS"):
        raise Skip("not axial", f"AnatomicalOrientation is {anatomy}")
    if abs(normal[2]) / length < math.cos(math.radians(MAX_ANGLE)):
        raise Skip("not axial", "the slice normal by TransformMatrix is not along z")
    name = next((n for n in ("Offset", "Position", "Origin") if n in fields), "Offset")
    origin = _numbers(fields, name, 3, "0 0 0")
    return float(np.dot(along, origin)) if all(abs(v) < MAX_ORIGIN_MM for v in origin) else 0.0


def _data_file(path: Path, fields: dict[str, str], end: int) -> tuple[Path, int]:
    """Where the voxels lie: after the header, or in a file of a plain name beside it.

    What the header names is in no message: it may be a path of another machine.
    """
    name = fields["ElementDataFile"]
    before = fields.get("HeaderSize", "0")
    if not before.isdecimal() or not before.isascii() or len(before) > 12:
        raise Skip("damaged header", "HeaderSize is not a number of bytes")
    if name.upper() == "LOCAL":
        if int(before):
            raise Skip("damaged header", "HeaderSize with data in the same file")
        return path, end
    if name.upper().split(" ")[0] == "LIST" or "%" in name:
        raise Skip("data in several files", "ElementDataFile is a list or a pattern")
    plain = name not in ("", ".", "..") and not set(name) & set('/\\:*?"<>|\0')
    if not plain:
        raise Skip("data file outside the folder", "ElementDataFile is not a plain file name")
    return path.parent / name, int(before)


def _check_data_size(header: Header, fields: dict[str, str]) -> None:
    """The data file is there, regular, in the header's folder, and as long as the header says."""
    try:
        if not header.data_path.is_file():
            raise Skip("data file is missing", header.data_path.name)
        size = os.path.getsize(header.data_path) - header.offset
        # Both may be links to a pair that lies elsewhere; the data alone may not.
        folders = header.path.parent.resolve(), header.path.resolve().parent
        if header.data_path.resolve().parent not in folders:
            raise Skip("data file outside the folder", "the data file is a link that leaves it")
    except (OSError, ValueError, RuntimeError):  # RuntimeError: a loop of links
        raise Skip("data file is missing", "it cannot be looked up") from None
    if header.compressed:
        if header.nbytes > MAX_INFLATED:
            raise Skip("too large", f"compressed, of more than {MAX_INFLATED >> 20} MiB")
        if header.offset and header.data_path != header.path:
            raise Skip("damaged header", "HeaderSize with compressed data")
        if fields.get("CompressedDataSize", str(size)) != str(size):
            raise Skip("damaged pixel data", "CompressedDataSize is not the data file's size")
    elif size != header.nbytes:
        word = "shorter" if size < header.nbytes else "longer"
        raise Skip("damaged pixel data", f"the data file is {word} than the header says")


def scan_of(header: Header, series_uid: str, patient_id: str) -> Scan:
    """The scan of a header: its slices in the order of the file."""
    columns, rows, n = header.size
    return Scan(
        kind="metaimage",
        series_uid=series_uid,
        patient_id=patient_id,
        slices=tuple(
            Slice(header.path, i, header.z_mm + i * header.spacing_mm[2]) for i in range(n)
        ),
        rows=rows,
        columns=columns,
        spacing_mm=(header.spacing_mm[1], header.spacing_mm[0]),
        files=tuple(dict.fromkeys((header.path, header.data_path))),
    )
