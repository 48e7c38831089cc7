"""A MetaImage header as text: lines of `Name = value`, the last of which is ElementDataFile."""

import contextlib
import math
from collections.abc import Mapping
from pathlib import Path

from srgan.system.errors import Skip, reason

MAX_HEADER = 64 << 10  # bytes
MATRIX = ("TransformMatrix", "Rotation", "Orientation")  # three names for one thing, as in MetaIO
ORIGIN = ("Offset", "Position", "Origin")
TYPES = {"MET_SHORT": "i2", "MET_INT": "i4", "MET_FLOAT": "f4", "MET_DOUBLE": "f8"}


def read_fields(path: Path) -> tuple[dict[str, str], int]:
    """The fields of a .mhd or .mha, and the number of bytes that they take. Raises Skip."""
    try:
        with open(path, "rb") as file:  # in a .mha all the voxels follow
            return parse_fields(file.read(MAX_HEADER))
    except OSError as error:
        raise Skip("cannot be read", reason(error)) from None


def parse_fields(start: bytes) -> tuple[dict[str, str], int]:
    """The fields up to ElementDataFile, and the position of the byte after them. Raises Skip."""
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


def header_text(dtype: str, data_file: str, fields: Mapping[str, object]) -> bytes:
    """A header of an uncompressed, little-endian volume, as bytes of ASCII.

    dtype: NumPy's name of the voxel type, without a byte order; fields: the other lines, in order.
    """
    lines = {
        "ObjectType": "Image",
        "NDims": 3,
        "BinaryData": True,
        "BinaryDataByteOrderMSB": False,
        "CompressedData": False,
        **fields,
        "ElementType": next(name for name, known in TYPES.items() if known == dtype),
        "ElementDataFile": data_file,
    }
    return "".join(f"{k} = {v}\n" for k, v in lines.items()).encode("ascii", "replace")


def first_name(fields: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    """Which of several names for one field a header uses."""
    return next((name for name in names if name in fields), None)


def flag(fields: Mapping[str, str], name: str, default: str = "False") -> bool:
    return fields.get(name, default).lower() in ("true", "1", "t")


def numbers(fields: Mapping[str, str], name: str, count: int, default: str = "") -> tuple:
    """`count` numbers: int where written as int, NaN for what is not a number. Raises Skip."""
    text = fields.get(name, default)
    if not text:
        raise Skip("damaged header", f"{name} is missing")
    values = [_number(word) for word in text.split()[: count + 1]]
    if len(values) != count:
        raise Skip("damaged header", f"{name} is not {count} numbers")
    return tuple(values)


def _number(word: str) -> int | float:
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(word)
    return math.nan
