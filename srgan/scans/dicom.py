"""DICOM CT: the header of one file, and one slice as int16 HU.

Only what is said to be an axial CT slice in HU is taken; whatever is missing or contradicts itself
is a Skip with its reason, because a wrong HU would never be noticed later.
"""

import math
import os
import struct
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from sys import intern
from typing import BinaryIO

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import UID

from srgan.errors import Skip
from srgan.hounsfield import AIR_HU
from srgan.scans import codestream
from srgan.scans.elements import (
    EXPLICIT_BIG,
    PIXEL_DATA,
    TAGS,
    UNCOMPRESSED,
    UNDEFINED,
    number,
    numbers,
    parse,
    text,
    unsigned,
)
from srgan.scans.scan import Scan

CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
GDCM_ROOT = "1.2.826.0.1.3680043.2.1143."  # of ImplementationClassUID

OWN_MODEL = "srgan-ct"  # ManufacturerModelName in the ContributingEquipmentSequence of our outputs
REFORMATS = {"REFORMATTED", "REFORMAT", "MPR", "MPVR", "CPR", "MIP", "MINIP", "VRT", "SSD"}
LOCALIZERS = {"LOCALIZER", "SCOUT", "TOPOGRAM"}

MAX_SIDE = 4096
MAX_FRAGMENTS = 4096
MAX_POSITION_MM = 1e5  # from the origin; also refuses what is not a number
MAX_ANGLE = 20.0  # degrees between the slice normal and z
MAX_GANTRY_TILT = 30.0  # what a gantry can do; GantryDetectorTilt may explain an angle up to it


@dataclass(frozen=True, slots=True)
class Stored:
    """How stored values lie in the file, and how they become HU."""

    syntax: str
    parts: tuple[tuple[int, int], ...]  # (offset, length) of the pixel data, or of its fragments
    bits_stored: int
    high_bit: int
    signed: bool
    padding: tuple[int, int] | None  # first and last stored value that is padding
    slope: float
    intercept: float


@dataclass(frozen=True, slots=True)
class Header:
    """One axial CT slice as its header describes it."""

    path: Path
    series_uid: str
    uid: str  # SOPInstanceUID
    patient_id: str  # stripped; may be empty
    instance: int
    rows: int
    columns: int
    spacing_mm: tuple[float, float]  # between rows, between columns
    z_mm: float  # along the slice normal, towards the head
    kvp: float | None
    tube_current_ma: float | None
    kernel: str
    stored: Stored


def read_header(path: Path) -> Header:
    """Read and check the header of one DICOM file; the pixels are only looked up, not read.

    Raises Skip where the file is not an axial CT slice in HU, or cannot be relied on.
    """
    return _read(Path(path), with_pixels=False)[0]


def read_slice(path: Path) -> tuple[Header, np.ndarray]:
    """Read one file: its header, and (rows, columns) int16 HU with padding and below as -1024.

    Raises Skip where the file is not usable or its pixel data are not whole.
    """
    return _read(Path(path), with_pixels=True)


def reader(scan: Scan) -> Callable[[int], np.ndarray]:
    """A function from an index into scan.slices to (rows, columns) int16 HU; it raises Skip."""

    def read(index: int) -> np.ndarray:
        item = scan.slices[index]
        header, hu = read_slice(item.path)
        if hu.shape != (scan.rows, scan.columns) or header.uid != item.uid:
            raise Skip("changed", "the file is not the one that was catalogued")
        return hu

    return read


def _read(path: Path, with_pixels: bool):
    """The one place where DICOM files are opened and parsed: what goes wrong becomes a Skip."""
    try:
        with open(path, "rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset, meta, source, place = parse(file)
            header = _header(path, dataset, meta, source, place)
            return header, _hu(source, header) if with_pixels else None
    except Skip:
        raise
    except OSError as error:
        raise Skip("cannot be read", error.strerror or type(error).__name__) from None
    except RecursionError:
        raise Skip("damaged header", "sequences nested too deep") from None
    except Exception as error:
        raise Skip("damaged header", type(error).__name__) from None


# ---- is it an axial CT slice in HU? ----


def _header(path: Path, dataset: Dataset, meta: Dataset, source, place) -> Header:
    _check_kind(dataset, meta)
    rows, columns = (unsigned(dataset, name) or 0 for name in ("Rows", "Columns"))
    if not (0 < rows <= MAX_SIDE and 0 < columns <= MAX_SIDE):
        raise Skip("no usable size", f"Rows x Columns is {rows} x {columns}")
    normal = _normal(dataset)
    position = numbers(dataset, "ImagePositionPatient")
    if len(position) != 3 or not all(abs(v) < MAX_POSITION_MM for v in position):
        raise Skip("no position", "ImagePositionPatient is missing or not three numbers in reach")
    series = text(dataset, "SeriesInstanceUID")
    if not series:
        raise Skip("no series", "SeriesInstanceUID is missing")
    return Header(
        path=path,
        series_uid=intern(series),
        uid=text(dataset, "SOPInstanceUID"),
        patient_id=intern(_patient(dataset)),
        instance=int(number(dataset, "InstanceNumber") or 0),
        rows=rows,
        columns=columns,
        spacing_mm=_spacing(dataset),
        z_mm=float(np.dot(normal, position)),
        kvp=number(dataset, "KVP"),
        tube_current_ma=number(dataset, "XRayTubeCurrent"),
        kernel=intern(text(dataset, "ConvolutionKernel")),
        stored=_stored(dataset, meta, source, place, rows, columns),
    )


def _check_kind(dataset: Dataset, meta: Dataset) -> None:
    """CT Image Storage with modality CT, one grey frame, a slice as the scanner made it."""
    kind, modality = text(dataset, "SOPClassUID"), text(dataset, "Modality")
    if kind != CT_IMAGE_STORAGE:
        raise Skip("not CT Image Storage", f"{UID(kind).name or 'no SOP class'} {modality}")
    if modality != "CT":
        raise Skip("not CT", f"Modality is {modality or 'missing'}")
    if (unsigned(dataset, "SamplesPerPixel") or 1) != 1:
        raise Skip("more than one sample per pixel", "a colour picture")
    frames = text(dataset, "NumberOfFrames")
    if frames not in ("", "1"):
        raise Skip("more than one frame", f"NumberOfFrames is {frames}")
    image_type = text(dataset, "ImageType").upper()
    words = set(image_type.replace("\\", " ").replace("_", " ").split())
    if words & LOCALIZERS:
        raise Skip("localizer", f"ImageType {image_type}")
    if words & REFORMATS:
        raise Skip("reformat", f"ImageType {image_type}")
    if "SCREEN SAVE" in image_type:
        raise Skip("screen capture", f"ImageType {image_type}")
    if TAGS["ContributingEquipmentSequence"] in dataset:
        for item in dataset.ContributingEquipmentSequence or ():
            if str(item.get("ManufacturerModelName", "")).lower().startswith(OWN_MODEL):
                raise Skip("output of this program")


def _normal(dataset: Dataset) -> np.ndarray:
    """The slice normal towards the head, within MAX_ANGLE of z or as the gantry was tilted."""
    values = numbers(dataset, "ImageOrientationPatient")
    if not values:
        raise Skip("not known to be axial", "ImageOrientationPatient is missing")
    if len(values) != 6 or not np.isfinite(values).all():
        raise Skip("not known to be axial", "ImageOrientationPatient is not six numbers")
    row, column = np.array(values).reshape(2, 3)
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    if not all(abs(n - 1) < 0.05 for n in lengths) or abs(row @ column) > 0.05:
        raise Skip("not known to be axial", "ImageOrientationPatient is no orientation")
    normal = np.cross(row, column)
    normal /= np.linalg.norm(normal) * (1 if normal[2] >= 0 else -1)
    angle = math.degrees(math.acos(min(1.0, normal[2])))
    tilt = min(abs(number(dataset, "GantryDetectorTilt") or 0.0), MAX_GANTRY_TILT)
    if angle > max(MAX_ANGLE, tilt + 1):
        planes = ("sagittal", "coronal", "oblique")
        plane = planes[int(np.argmax(np.abs(normal)))] if angle > 70 else "oblique"
        raise Skip("not axial", f"{plane}, the slice normal is {angle:.0f} degrees off z")
    return normal


def _spacing(dataset: Dataset) -> tuple[float, float]:
    values = numbers(dataset, "PixelSpacing")
    if not values:
        raise Skip("no pixel spacing", "PixelSpacing is missing")
    if len(values) != 2 or not all(math.isfinite(v) and v > 0 for v in values):
        raise Skip("no pixel spacing", "PixelSpacing is not two positive numbers")
    return values[0], values[1]


def _patient(dataset: Dataset) -> str:
    """PatientID in its character set, stripped; empty where it is missing."""
    try:
        value = dataset.get("PatientID") or ""
    except Exception:  # an unknown character set must not cost the patient
        return text(dataset, "PatientID")
    value = value if isinstance(value, str) else "\\".join(map(str, value))
    return value.strip(" \0\t\r\n")


def _stored(dataset: Dataset, meta: Dataset, source, place, rows: int, columns: int) -> Stored:
    """Bits, rescale, padding and the place of the pixel data, each checked."""
    allocated, bits, high, sign = (
        unsigned(dataset, name)
        for name in ("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation")
    )
    if allocated != 16:
        raise Skip("cannot hold HU", f"BitsAllocated is {allocated}, not 16")
    high = bits - 1 if high is None and bits else high
    if not bits or not 8 < bits <= 16 or not bits - 1 <= high <= 15 or sign not in (0, 1):
        detail = f"BitsStored {bits}, HighBit {high}, PixelRepresentation {sign}, 16 allocated"
        raise Skip("damaged header", detail)
    slope, intercept = _rescale(dataset, meta)
    syntax = intern(text(meta, "TransferSyntaxUID"))
    parts = _pixel_place(source, place, syntax, rows * columns * 2)
    if syntax in codestream.COMPRESSED and high != bits - 1:
        raise Skip("damaged header", f"compressed, HighBit {high}, BitsStored {bits}")
    padding = unsigned(dataset, "PixelPaddingValue")
    if padding is not None:
        limit = unsigned(dataset, "PixelPaddingRangeLimit")
        ends = [_signedness(v, bits, sign) for v in (padding, padding if limit is None else limit)]
        padding = (min(ends), max(ends))
    return Stored(syntax, parts, bits, high, bool(sign), padding, slope, intercept)


def _rescale(dataset: Dataset, meta: Dataset) -> tuple[float, float]:
    """RescaleSlope and RescaleIntercept, both there and finite, and said to give HU."""
    for name in ("RescaleSlope", "RescaleIntercept"):
        if not text(dataset, name):
            raise Skip("not HU", f"{name} is missing")
        if number(dataset, name) is None:
            raise Skip("not HU", f"{name} is not a finite number")
    slope, intercept = number(dataset, "RescaleSlope"), number(dataset, "RescaleIntercept")
    if slope == 0:
        raise Skip("not HU", "RescaleSlope is zero")
    unit = text(dataset, "RescaleType").upper()
    # GDCM writes US where its source had no RescaleType (which means HU): that says nothing.
    by_gdcm = unit == "US" and text(meta, "ImplementationClassUID").startswith(GDCM_ROOT)
    if unit and unit != "HU" and not unit.startswith("HOUN") and not by_gdcm:
        raise Skip("not HU", f"RescaleType is {unit}")
    return slope, intercept


def _pixel_place(source, place, syntax: str, need: int) -> tuple[tuple[int, int], ...]:
    """(offset, length) of the pixel data or of each fragment, all inside the file."""
    if syntax not in UNCOMPRESSED and syntax not in codestream.COMPRESSED:
        raise Skip("transfer syntax is not read", f"{UID(syntax).name} ({syntax})")
    if place is None or place[0] != PIXEL_DATA:
        raise Skip("no pixel data")
    _, length, offset = place
    source.seek(0, os.SEEK_END)
    size = source.tell()
    if syntax in codestream.COMPRESSED:
        if length != UNDEFINED:
            raise Skip("damaged pixel data", "compressed pixel data that are not in fragments")
        return _fragments(source, offset, size)
    if length == UNDEFINED:
        raise Skip("damaged pixel data", "uncompressed pixel data in fragments")
    if length != need:
        word = "shorter" if length < need else "longer"
        raise Skip("damaged pixel data", f"{word} than Rows and Columns say")
    if offset + length > size:
        raise Skip("truncated", "the file ends in the pixel data")
    return ((offset, length),)


def _fragments(source: BinaryIO, offset: int, size: int) -> tuple[tuple[int, int], ...]:
    """The fragments of one encapsulated frame, without the offset table that comes first."""
    parts = []
    while len(parts) <= MAX_FRAGMENTS:
        source.seek(offset)
        head = source.read(8)
        if len(head) < 8:
            raise Skip("truncated", "the file ends in the compressed pixel data")
        group, element, length = struct.unpack("<HHL", head)
        if (group, element) == (0xFFFE, 0xE0DD):
            if not sum(length for _, length in parts[1:]):
                raise Skip("no pixel data", "the compressed pixel data are empty")
            return tuple(parts[1:])
        if (group, element) != (0xFFFE, 0xE000):
            raise Skip("damaged pixel data", "a fragment is not where it should be")
        if length > size - offset - 8:
            raise Skip("truncated", "the file ends in the compressed pixel data")
        parts.append((offset + 8, length))
        offset += 8 + length
    raise Skip("damaged pixel data", f"more than {MAX_FRAGMENTS} fragments")


# ---- stored values to HU ----


def _signedness(value: int, bits: int, signed: int | bool) -> int:
    """The lowest `bits` of a stored word as a number."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if signed and value >> (bits - 1) else value


def _hu(source: BinaryIO, header: Header) -> np.ndarray:
    """(rows, columns) int16 HU: rescaled in float, rounded once, padding and below to air."""
    stored = header.stored
    data = b""
    for offset, length in stored.parts:
        source.seek(offset)
        data += source.read(length)
    if len(data) != sum(length for _, length in stored.parts):
        raise Skip("truncated", "the file ends in the pixel data")
    if stored.syntax in UNCOMPRESSED:
        order = ">u2" if stored.syntax == EXPLICIT_BIG else "<u2"
        words = np.frombuffer(data, order).reshape(header.rows, header.columns)
    else:
        size = header.rows, header.columns
        words = codestream.decode(data, stored.syntax, *size, stored.bits_stored, stored.signed)
    return words_to_hu(words, stored)


def words_to_hu(words: np.ndarray, stored: Stored) -> np.ndarray:
    """uint16 words as they are stored to int16 HU of the same shape.

    Bits outside BitsStored are masked, the sign is at HighBit, padding and HU below -1024 become
    -1024; what is above 3071 (metal) stays.
    """
    bits = stored.bits_stored
    values = words.astype(np.int32) >> (stored.high_bit + 1 - bits) & ((1 << bits) - 1)
    if stored.signed:
        sign = 1 << (bits - 1)
        values = (values ^ sign) - sign
    hu = np.rint(values * stored.slope + stored.intercept)
    if stored.padding is not None:
        first, last = stored.padding
        hu[(values >= first) & (values <= last)] = AIR_HU
    return np.clip(hu, AIR_HU, np.iinfo(np.int16).max).astype(np.int16)
