"""The elements of a DICOM file before its pixel data, as bytes, text and numbers.

A length in the file is compared with what is left of the file before anything is read, and a
deflated data set is inflated up to a limit: a wrong length does not become an allocation.
"""

import math
import os
import struct
import zlib
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO

import pydicom
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from srgan.formats.decimals import WITH_COMMA, decimal_comma
from srgan.system.errors import Skip

# What is wrong in a header is found here; pydicom's own warnings would only fill the terminal.
pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"
UNCOMPRESSED = {IMPLICIT_LITTLE, EXPLICIT_LITTLE, DEFLATED, EXPLICIT_BIG}
MAX_FILE = 256 << 20  # bytes; a slice of 4096 x 4096 is 32 MiB
MAX_HEADER = 32 << 20  # bytes read before the pixel data, private elements included
# Reads of the file, two or three an element: 0.2 s. Slices of six scanners take up to 640, an ECG
# 3,600. Zeros where elements should be (a broken download) would be read for minutes.
MAX_READS = 30_000
MAX_VALUE = 64 << 10  # bytes of an element in TAGS
MAX_INFLATED = 64 << 20  # bytes of a deflated data set; one slice of 4096 x 4096 is 32 MiB

BLANKS = " \0\t\r\n"
UNDEFINED = 0xFFFFFFFF
AFTER_META = 0x00030000
FIRST_PIXEL_DATA = 0x7FE00008  # FloatPixelData, the first of three such elements
PIXEL_DATA = 0x7FE00010
DIRECTORY_RECORDS = 0x00041220
DICOMDIR = "1.2.840.10008.1.3.10"  # Media Storage Directory

TAGS = {
    "SpecificCharacterSet": 0x00080005,
    "ImageType": 0x00080008,
    "SOPClassUID": 0x00080016,
    "SOPInstanceUID": 0x00080018,
    "ContentTime": 0x00080033,
    "Modality": 0x00080060,
    "SeriesDescription": 0x0008103E,
    "PatientID": 0x00100020,
    "SliceThickness": 0x00180050,
    "KVP": 0x00180060,
    "EchoNumbers": 0x00180086,
    "TriggerTime": 0x00181060,
    "GantryDetectorTilt": 0x00181120,
    "ExposureTime": 0x00181150,
    "XRayTubeCurrent": 0x00181151,
    "Exposure": 0x00181152,
    "ExposureInuAs": 0x00181153,
    "ConvolutionKernel": 0x00181210,
    "DiffusionBValue": 0x00189087,
    "ContributingEquipmentSequence": 0x0018A001,
    "StudyInstanceUID": 0x0020000D,
    "SeriesInstanceUID": 0x0020000E,
    "AcquisitionNumber": 0x00200012,
    "InstanceNumber": 0x00200013,
    "ImagePositionPatient": 0x00200032,
    "ImageOrientationPatient": 0x00200037,
    "FrameOfReferenceUID": 0x00200052,
    "TemporalPositionIdentifier": 0x00200100,
    "SamplesPerPixel": 0x00280002,
    "PhotometricInterpretation": 0x00280004,
    "NumberOfFrames": 0x00280008,
    "Rows": 0x00280010,
    "Columns": 0x00280011,
    "PixelSpacing": 0x00280030,
    "BitsAllocated": 0x00280100,
    "BitsStored": 0x00280101,
    "HighBit": 0x00280102,
    "PixelRepresentation": 0x00280103,
    "PixelPaddingValue": 0x00280120,
    "PixelPaddingRangeLimit": 0x00280121,
    "RescaleIntercept": 0x00281052,
    "RescaleSlope": 0x00281053,
    "RescaleType": 0x00281054,
}
KNOWN = frozenset(TAGS.values())
DECIMALS = (  # texts of decimal numbers, DS
    "SliceThickness",
    "KVP",
    "TriggerTime",
    "GantryDetectorTilt",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "RescaleIntercept",
    "RescaleSlope",
)
META_TAGS = {
    "MediaStorageSOPClassUID": 0x00020002,
    "TransferSyntaxUID": 0x00020010,
    "ImplementationClassUID": 0x00020012,
}


@dataclass(frozen=True)
class Parsed:
    """A DICOM file up to its pixel data."""

    dataset: Dataset
    meta: Dataset
    source: BinaryIO  # holds the data set: the file itself, or what was inflated
    pixels: tuple[int, int, int] | None  # tag and length of the pixel data, position of their value


def parse(file: BinaryIO, whole: bool = False) -> Parsed:
    """Read the elements in TAGS, or `whole` all elements before the pixel data.

    Raises Skip where the file is no DICOM, ends early or asks for too much; pydicom raises others.
    """
    size = os.fstat(file.fileno()).st_size
    start = file.read(132)
    if not start:
        raise Skip("empty file")
    if start[128:] != b"DICM":
        if start[:2] not in (b"\x08\x00", b"\x02\x00"):
            raise Skip("not DICOM, MetaImage, NIfTI or NRRD")
        file.seek(0)
    if file.tell() == size:
        raise Skip("truncated", "nothing after the preamble")
    if size > MAX_FILE:
        raise Skip("too large", f"more than {MAX_FILE >> 20} MiB in one file")
    meta, _ = _elements(file, size, False, True, AFTER_META, META_TAGS)
    if text(meta, "MediaStorageSOPClassUID") == DICOMDIR:
        raise Skip("DICOMDIR", "an index, not an image")
    syntax = text(meta, "TransferSyntaxUID")
    implicit = syntax == IMPLICIT_LITTLE
    if not syntax:  # no meta group: explicit where the first element names a VR
        first = file.read(6)
        file.seek(-len(first), os.SEEK_CUR)
        implicit = not first[4:6].isalpha()
        syntax = IMPLICIT_LITTLE if implicit else EXPLICIT_LITTLE
        meta.TransferSyntaxUID = syntax
    source: BinaryIO = file
    if syntax == DEFLATED:
        source, size = _inflate(file)
    little = syntax != EXPLICIT_BIG
    tags = None if whole else TAGS
    dataset, pixels = _elements(source, size, implicit, little, FIRST_PIXEL_DATA, tags)
    _commas_to_points(dataset)
    return Parsed(dataset, meta, source, pixels)


def _elements(source, size: int, implicit: bool, little: bool, until: int, tags: dict | None):
    """Elements before tag `until`, and (tag, length, position of the value) of what comes there."""
    found = None

    def stop(tag: int, vr: str | None, length: int) -> bool:
        nonlocal found
        tag = int(tag)  # pydicom's tags are slow to compare
        if tag == DIRECTORY_RECORDS:
            raise Skip("DICOMDIR", "an index, not an image")
        if tag >= until:
            found = (tag, length, source.tell())
            return True
        if length != UNDEFINED and length > size - source.tell():
            raise Skip("truncated", "the file ends in its header")
        if tag in KNOWN and length != UNDEFINED and length > MAX_VALUE:
            raise Skip("damaged header", f"an element of {length} bytes")
        return False

    wanted = None if tags is None else list(tags.values())
    dataset = read_dataset(_Bounded(source), implicit, little, stop_when=stop, specific_tags=wanted)
    return dataset, found


class _Bounded:
    """A file that is read so often and so far: nested elements do not come by `stop`."""

    def __init__(self, file: BinaryIO):
        self.file, self.tell, self.seek = file, file.tell, file.seek
        self.reads = self.bytes = 0

    def read(self, length: int) -> bytes:
        self.reads += 1
        self.bytes += length
        if self.reads > MAX_READS or self.bytes > MAX_HEADER:
            raise Skip("too large", "more in the header than one slice has")
        return self.file.read(length)


def _commas_to_points(dataset: Dataset) -> None:
    """Write decimal commas as points in the elements of DECIMALS, where the header has such.

    Numbers with a point stay: a point never parts thousands in DICOM.
    """
    words = {name: _latin(dataset, name).split("\\") for name in DECIMALS}
    if not decimal_comma(word.strip(BLANKS) for of_name in words.values() for word in of_name):
        return
    for name, of_name in words.items():
        points = [_with_point(word) for word in of_name]
        if points != of_name:
            item = dataset.get_item(TAGS[name])
            dataset[TAGS[name]] = item._replace(value="\\".join(points).encode("latin-1"))


def _with_point(word: str) -> str:
    return word.replace(",", ".") if WITH_COMMA.fullmatch(word.strip(BLANKS)) else word


def _inflate(file: BinaryIO) -> tuple[BytesIO, int]:
    """The deflated data set after the meta group, MAX_INFLATED bytes at most, and its size."""
    packed = file.read(MAX_INFLATED + 1)
    unpack = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        data = unpack.decompress(packed, MAX_INFLATED + 1)
    except zlib.error:
        raise Skip("damaged pixel data", "the deflated data set is not deflate") from None
    if len(data) > MAX_INFLATED or len(packed) > MAX_INFLATED:
        raise Skip("too large", f"inflates to more than {MAX_INFLATED >> 20} MiB")
    if not unpack.eof:
        raise Skip("truncated", "the deflated data set ends early")
    return BytesIO(data), len(data)


def raw_bytes(dataset: Dataset, name: str) -> bytes:
    """The bytes of an element's value; empty where it is missing or empty."""
    tag = TAGS.get(name) or META_TAGS[name]
    if tag not in dataset:
        return b""
    value = dataset.get_item(tag).value
    return value if isinstance(value, bytes) else str(value or "").encode()


def text(dataset: Dataset, name: str) -> str:
    return _latin(dataset, name).strip(BLANKS)


def _latin(dataset: Dataset, name: str) -> str:
    return raw_bytes(dataset, name).decode("latin-1")


def numbers(dataset: Dataset, name: str) -> list[float]:
    """Decimal strings as floats; NaN for what is not a number, nothing for an empty value."""
    values = []
    for part in text(dataset, name).split("\\") if text(dataset, name) else []:
        try:
            values.append(float(part.strip(" \0")))
        except ValueError:
            values.append(math.nan)
    return values


def number(dataset: Dataset, name: str) -> float | None:
    """One finite decimal, or None."""
    values = numbers(dataset, name)
    return values[0] if len(values) == 1 and math.isfinite(values[0]) else None


def double(dataset: Dataset, name: str) -> str:
    """A number that is kept in eight bytes (FD), as text; empty where it is missing."""
    value = raw_bytes(dataset, name)
    order = "<d" if dataset.original_encoding[1] else ">d"
    return f"{struct.unpack(order, value)[0]:g}" if len(value) == 8 else ""


def unsigned(dataset: Dataset, name: str) -> int | None:
    """The 16 bits of a US or SS element as they are, or None where it is missing."""
    if TAGS[name] in dataset and isinstance(value := dataset.get_item(TAGS[name]).value, int):
        return value & 0xFFFF  # pydicom converts it where a sequence is looked into
    value = raw_bytes(dataset, name)
    order = "little" if dataset.original_encoding[1] else "big"
    return int.from_bytes(value[:2], order) if len(value) >= 2 else None
