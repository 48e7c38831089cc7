"""A MetaImage header as text: lines of `Name = value`, the last of which is ElementDataFile.

Read as MetaIO reads it, which ITK uses: `Name: value` too, numbers over several lines, names that
nobody knows. Unlike there, a line of comment does not take the next line with it, the letter case
of a name does not count, and a comma may be decimal.
"""

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from srgan.formats.decimals import decimal_comma, to_number
from srgan.formats.volume_geometry import Geometry, Vector
from srgan.system.errors import Skip, reason

MAX_HEADER = 1 << 20  # bytes; the tags of a DICOM slice take 2 to 5 KB, private ones more
MAX_LINES = 20_000
MAX_COMMENT = 240  # characters; MetaIO keeps 255 bytes
MAX_LIST = 1000  # characters of numbers that lines may add to
# Names for one thing; the first that is there counts, as in MetaIO.
MATRIX = ("TransformMatrix", "Rotation", "Orientation")
ORIGIN = ("Origin", "Offset", "Position")
SPACING = ("ElementSpacing", "ElementSize")
BIG_ENDIAN = ("BinaryDataByteOrderMSB", "ElementByteOrderMSB")
SLOPE, INTERCEPT = "ElementToIntensityFunctionSlope", "ElementToIntensityFunctionOffset"
NUMBERS = {
    *MATRIX, *ORIGIN, *SPACING, SLOPE, INTERCEPT, "NDims", "DimSize", "ElementNumberOfChannels",
    "HeaderSize", "CompressedDataSize",
}  # fmt: skip
TEXTS = {
    *BIG_ENDIAN, "ObjectType", "Comment", "BinaryData", "CompressedData", "AnatomicalOrientation",
    "DistanceUnits", "Modality", "ElementType", "ElementDataFile",
}  # fmt: skip
TAGS = {  # of DICOM, as SimpleITK writes them into headers
    "ImageType": "0008|0008", "Modality": "0008|0060", "SeriesDescription": "0008|103e",
    "PatientID": "0010|0020", "KVP": "0018|0060", "XRayTubeCurrent": "0018|1151",
    "Exposure": "0018|1152", "ConvolutionKernel": "0018|1210", "StudyInstanceUID": "0020|000d",
    "SeriesInstanceUID": "0020|000e",
}  # fmt: skip
KNOWN = NUMBERS | TEXTS | set(TAGS.values())
OTHER_CASE = {n.lower(): n for n in KNOWN - {*MATRIX[1:], "Origin", "Position"}}
TYPES = {
    "MET_SHORT": "i2", "MET_INT": "i4", "MET_LONG": "i4", "MET_LONG_LONG": "i8",
    "MET_FLOAT": "f4", "MET_DOUBLE": "f8",
}  # fmt: skip
BLANK = " \t\r\v\f\ufeff"  # with the mark that some editors begin a file with


def read_fields(path: Path) -> tuple[dict[str, str], int]:
    """The known fields of a .mhd or .mha, and the number of bytes of the header. Raises Skip."""
    try:
        with open(path, "rb") as file:  # in a .mha all the voxels follow
            return parse_fields(file)
    except OSError as error:
        raise Skip("cannot be read", reason(error)) from None


def parse_fields(file: BinaryIO) -> tuple[dict[str, str], int]:
    """The known fields up to ElementDataFile, and the position after its line. Raises Skip.

    Of a field that is there twice the last counts.
    """
    fields, position, numbers_of = {}, 0, ""
    for line in _lines(file):
        position += len(line)
        text = line.rstrip(b"\n").decode("utf-8", "surrogateescape").strip(BLANK)
        name, value = _name_and_value(text)
        if name in KNOWN:
            numbers_of = name if name in NUMBERS else ""
            fields[name] = _without_comment(value) if numbers_of else value
            if name == "ElementDataFile":
                return fields, position
        elif name is not None:
            numbers_of = ""
        elif numbers_of and _are_numbers(more := _without_comment(text)):
            fields[numbers_of] = f"{fields[numbers_of]} {more}".strip()
            if len(fields[numbers_of]) > MAX_LIST:
                raise Skip("damaged header", f"{numbers_of} has too many numbers")
        elif (first := text[:99].split(" ")[0].lower()) in OTHER_CASE:
            raise Skip("damaged header", f"{OTHER_CASE[first]} stands without an equals sign")
    if not position:
        raise Skip("empty file")
    if not fields:
        raise Skip("not a MetaImage header", "no line of it is a field of MetaImage")
    raise Skip("not a MetaImage header", "ElementDataFile is missing")


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """The first lines of a file, with their ends; a line that is too long is cut."""
    left = MAX_HEADER
    for _ in range(MAX_LINES):
        line = file.readline(left)
        if not line:
            return
        left -= len(line)
        yield line


def _name_and_value(text: str) -> tuple[str | None, str]:
    """The parts of `Name = value` or `Name: value`; no name in a line that is neither."""
    marks = [at for at in (text.find("="), text.find(":")) if at >= 0]
    if not marks:
        return None, text
    name = text[: min(marks)].rstrip(BLANK)
    if name not in KNOWN:
        name = OTHER_CASE.get(name.lower(), name)
    return name, text[min(marks) :].lstrip("=:" + BLANK)


def _without_comment(text: str) -> str:
    """Numbers without what may follow them: a comment, or their unit."""
    for mark in ("#", ";", "//"):
        text = text.partition(mark)[0]
    return text.rstrip(BLANK).removesuffix(" mm")


def _are_numbers(text: str) -> bool:
    words = text.split() if len(text) <= MAX_LIST else ()
    return bool(words) and not any(math.isnan(to_number(word, "," in word)) for word in words)


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


def new_header(geometry: Geometry, dtype: str, data_file: str, comment: str) -> bytes:
    """A header with a volume's geometry; dtype and data_file as in `header_text`."""
    lines = {
        "Comment": comment[:MAX_COMMENT],
        "TransformMatrix": itertools.chain(*geometry.axes),
        "Offset": geometry.known_origin_mm.tolist(),
        "AnatomicalOrientation": [_letters(geometry.axes)],
        "ElementSpacing": geometry.spacing_mm,
        "DimSize": geometry.size,
    }
    text = {k: v if k == "Comment" else " ".join(map(str, v)) for k, v in lines.items()}
    return header_text(dtype, data_file, text)


def _letters(axes: Iterable[Vector]) -> str:
    """The side of the body that each axis comes from, where it is most along one: "RAI"."""
    mains = [max(range(3), key=lambda i: abs(axis[i])) for axis in axes]
    pairs = zip(axes, mains, strict=True)
    return "".join(("RL", "AP", "IS")[main][axis[main] < 0] for axis, main in pairs)


def first_name(fields: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    """Which of several names for one field a header uses."""
    return next((name for name in names if name in fields), None)


def flag(fields: Mapping[str, str], name: str, default: str = "False") -> bool:
    """Is it true? Its first letter decides, as in MetaIO."""
    return fields.get(name, default)[:1].lower() in ("t", "1")


def numbers(fields: Mapping[str, str], name: str, count: int, default: str = "") -> tuple:
    """`count` numbers: int where written as int, NaN for what is not a number. Raises Skip."""
    text = fields.get(name, default)
    if not text:
        raise Skip("damaged header", f"{name} is missing")
    words = text.split()[: count + 1]
    if len(words) != count:
        raise Skip("damaged header", f"{name} is not {count} numbers")
    comma = _has_decimal_comma(fields)
    return tuple(to_number(word, comma) for word in words)


def number(fields: Mapping[str, str], name: str, default: str) -> int | float:
    """One number; NaN where it is none."""
    words = fields.get(name, default).split()
    return to_number(words[0], _has_decimal_comma(fields)) if len(words) == 1 else math.nan


def _has_decimal_comma(fields: Mapping[str, str]) -> bool:
    texts = [fields[name] for name in fields.keys() & NUMBERS if "," in fields[name]]
    return any(decimal_comma(text.split(maxsplit=9)[:9]) for text in texts)
