"""NRRD volumes (.nrrd, .nhdr with a data file): is it a volume of axial CT slices?

Read are raw and gzip data, as ITK and 3D Slicer write them. SimpleITK serves the tests as the
measure, and does not read the files.
"""

import math
import re
from pathlib import Path

import numpy as np

from srgan.formats import volume_geometry
from srgan.formats.data_place import named_beside
from srgan.formats.volume_geometry import Fields, Geometry
from srgan.formats.volumes.volume import Volume, check_size, file_size
from srgan.system.errors import Skip, reason

MAX_HEADER = 1 << 20  # bytes; 3D Slicer writes long ones
MAGIC = re.compile(rb"NRRD000[1-5]\s*\n")
FIELD = re.compile(r"([^:=]+): (.*)", re.DOTALL)  # `key:=value` is a note
OFFSET = 4096  # bytes of the headers that are written
MAX_COMMENT = 1024  # characters in them
TYPES = {
    "i2": "short, short int, signed short, signed short int, int16, int16_t",
    "u2": "ushort, unsigned short, unsigned short int, uint16, uint16_t",
    "i4": "int, signed int, int32, int32_t",
    "u4": "uint, unsigned int, uint32, uint32_t",
    "i8": "longlong, long long, long long int, signed long long, signed long long int, int64, "
    "int64_t",
    "u8": "ulonglong, unsigned long long, unsigned long long int, uint64, uint64_t",
    "f4": "float",
    "f8": "double",
}
TYPES = {name: dtype for dtype, names in TYPES.items() for name in names.split(", ")}
EIGHT_BITS = (
    "signed char", "int8", "int8_t", "uchar", "unsigned char", "uint8", "uint8_t",
)  # fmt: skip
SPACES = {  # the signs that make their axes those of the patient (LPS)
    "left-posterior-superior": (1, 1, 1),
    "lps": (1, 1, 1),
    "right-anterior-superior": (-1, -1, 1),
    "ras": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1),
    "las": (1, -1, 1),
}
NOTE = "Comment:="  # in files that this program writes it names it
OF_SPACE = ("domain", "space", "none", "???")  # kinds of an axis that may be one of space
FIELDS = Fields("sizes", "space directions", "space directions")
ORDERS = {"little": "<", "big": ">"}
OTHER_NAMES = {"datafile": "data file", "byteskip": "byte skip", "lineskip": "line skip"}


def read_header(path: Path) -> Volume:
    """Read and check the header of a .nrrd or .nhdr, and the size of uncompressed data.

    Raises Skip where it is no volume of axial CT slices, or where header and data disagree.
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            start = file.read(MAX_HEADER)
    except OSError as error:
        raise Skip("cannot be read", reason(error)) from None
    fields, end = parse_fields(start)
    dtype = _voxel_type(fields)
    size = _size(fields)
    gzipped = _is_gzipped(fields)
    geometry = _geometry(size, fields)
    name = fields.get("data file")
    data_path = path if name is None else named_beside(path, "data file", name)
    begin = end if data_path == path else 0
    nbytes = geometry.n_voxels * np.dtype(dtype).itemsize
    offset = begin + _bytes_to_skip(fields, data_path, begin + nbytes, gzipped)
    comment = fields.get(NOTE, "")
    volume = Volume("nrrd", path, data_path, geometry, dtype, gzipped, offset, comment=comment)
    return check_size(volume)


def parse_fields(start: bytes) -> tuple[dict[str, str], int]:
    """The fields of a header, their names in lower case, and where it ends. Raises Skip."""
    if not start:
        raise Skip("empty file")
    if not MAGIC.match(start):
        raise Skip("not an NRRD header")
    fields, position = {}, start.index(b"\n") + 1
    while position < len(start):
        end = start.find(b"\n", position)
        if end < 0 and len(start) >= MAX_HEADER:
            raise Skip("not an NRRD header", f"no end within {MAX_HEADER >> 20} MiB")
        end = len(start) if end < 0 else end
        line = start[position:end].decode("utf-8", "surrogateescape").rstrip("\r")
        position = end + 1
        if not line:
            break  # the data follow
        match = FIELD.fullmatch(line)
        if line.startswith(NOTE):
            fields[NOTE] = line.removeprefix(NOTE)
        if line.startswith("#") or (not match and ":=" in line):
            continue
        if not match:
            raise Skip("not an NRRD header", "a line that is no field")
        name = match[1].strip().lower()
        name = OTHER_NAMES.get(name, name)
        if name in fields:
            raise Skip("damaged header", f"{name} is there twice")
        fields[name] = match[2].strip()
        if name == "data file" and match[2].split(" ")[0] == "LIST":
            break  # names of files follow
    return fields, min(position, len(start))


def _voxel_type(fields: dict[str, str]) -> str:
    """NumPy's name, with the byte order. Unsigned types are judged by their values."""
    kind = fields.get("type", "").lower()
    if kind in EIGHT_BITS:
        raise Skip("not HU", "8 bits cannot hold HU")
    if kind not in TYPES:
        raise Skip("voxel type is not read", f"type {kind or 'is missing'}")
    if fields.get("endian", "").lower() not in ORDERS:
        raise Skip("damaged header", "endian is not little or big")
    return ORDERS[fields["endian"].lower()] + TYPES[kind]


def _size(fields: dict[str, str]) -> tuple[int, ...]:
    """Columns, rows and slices."""
    words = fields.get("sizes", "").split()
    if not all(word.isdecimal() and word.isascii() and len(word) < 12 for word in words):
        raise Skip("damaged header", "sizes are not whole numbers")
    if fields.get("dimension") != str(len(words)):
        raise Skip("damaged header", "dimension does not fit sizes")
    kinds = fields.get("kinds", "").lower().split() or ["domain"] * len(words)
    if len(kinds) != len(words):
        raise Skip("damaged header", "kinds do not fit sizes")
    if len(words) == 4 and (set(kinds) - {*OF_SPACE, "time"} or "none" in _directions(fields)):
        raise Skip("more than one sample per pixel", "one axis is not an axis of space")
    if len(words) != 3 or set(kinds) - set(OF_SPACE):
        raise Skip("no volume of axial slices", f"{len(words)} axes, not three of space")
    return tuple(map(int, words))


def _is_gzipped(fields: dict[str, str]) -> bool:
    encoding = fields.get("encoding", "").lower()
    if encoding not in ("raw", "gzip", "gz"):
        raise Skip("encoding is not read", f"encoding {encoding or 'is missing'}, not raw or gzip")
    return encoding != "raw"


def _geometry(size: tuple[int, ...], fields: dict[str, str]) -> Geometry:
    space, units = fields.get("space", "").lower(), fields.get("space units", "").lower()
    if space not in SPACES:
        raise Skip("not known to be axial", f"space is {space or 'missing'}, not LPS, RAS or LAS")
    if set(re.findall(r'[^\s"]+', units)) - {"mm", "millimeter", "millimeters"}:
        raise Skip("no pixel spacing", "space units are not mm")
    axes = [_vector(text) for text in _directions(fields)]
    if len(axes) != 3 or any(len(axis) != 3 for axis in axes):
        raise Skip("not known to be axial", "space directions are not three vectors")
    origin = _vector(fields.get("space origin", "(0,0,0)"))
    if len(origin) != 3:
        raise Skip("damaged header", "space origin is not three numbers")
    axes = np.array(axes, float) * SPACES[space]
    spacing_mm = [math.hypot(*axis) for axis in axes.tolist()]
    origin = np.array(origin) * SPACES[space]
    return volume_geometry.checked(size, spacing_mm, axes, origin, FIELDS)


def _directions(fields: dict[str, str]) -> list[str]:
    return re.findall(r"\([^()]*\)|none", fields.get("space directions", "").lower())


def _vector(text: str) -> list[float]:
    """The numbers of "(1,0,0)"; an empty list where one is not a number."""
    try:
        return [float(word) for word in text.strip(" ()").split(",")]
    except ValueError:
        return []


def _bytes_to_skip(fields: dict[str, str], data_path: Path, needed: int, gzipped: bool) -> int:
    """Bytes before the voxels; with `byte skip: -1` they are the last of the file."""
    skip, lines = fields.get("byte skip", "0"), fields.get("line skip", "0")
    if lines != "0" or not re.fullmatch(r"-1|[0-9]{1,12}", skip, re.ASCII):
        raise Skip("damaged header", "line skip or byte skip is not read")
    if gzipped and skip != "0":
        raise Skip("damaged header", "byte skip with compressed data")
    return max(file_size(data_path) - needed, 0) if skip == "-1" else int(skip)


def new_header(geometry: Geometry, dtype: str, _: str, comment: str) -> bytes:
    """A header of OFFSET bytes of little-endian, uncompressed HU.

    dtype: NumPy's name of the voxel type, without a byte order. A long comment is cut.
    """
    steps = np.array(geometry.axes, float) * np.array(geometry.spacing_mm, float)[:, None]
    fields = {
        "type": next(name for name, known in TYPES.items() if known == dtype),
        "dimension": 3,
        "space": "left-posterior-superior",
        "sizes": " ".join(map(str, geometry.size)),
        "space directions": " ".join(map(_vector_text, steps)),
        "kinds": "domain domain domain",
        "endian": "little",
        "encoding": "raw",
        "space origin": _vector_text(geometry.known_origin_mm),
    }
    lines = [f"{name}: {value}" for name, value in fields.items()]
    lines.append(NOTE + comment[:MAX_COMMENT])
    text = "\n".join(["NRRD0004", *lines, "# "])
    return text.ljust(OFFSET - 2).encode("ascii", "replace") + b"\n\n"


def _vector_text(vector: np.ndarray) -> str:
    return f"({','.join(map(str, vector.tolist()))})"
