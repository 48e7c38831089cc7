"""Stored values of a DICOM slice: where they lie in the file, and how they become HU."""

import os
import struct
from dataclasses import dataclass
from sys import intern
from typing import BinaryIO

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import UID

from srgan.formats.dicom import compressed_frames
from srgan.formats.dicom.parse import (
    EXPLICIT_BIG,
    PIXEL_DATA,
    UNCOMPRESSED,
    UNDEFINED,
    number,
    text,
    unsigned,
)
from srgan.hounsfield import AIR_HU
from srgan.system.errors import Skip

GDCM_ROOT = "1.2.826.0.1.3680043.2.1143."  # of ImplementationClassUID
MAX_FRAGMENTS = 4096
# Bytes of a compressed frame: twice the picture's, and what small ones and their headers take.
# Lossless ones of noise take up to 1.07 times the picture's, of 16 x 24 pixels 1.34 times.
FRAME_SHARE, FRAME_SPARE = 2, 64 << 10


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


def read_stored(dataset: Dataset, meta: Dataset, source, place, rows: int, columns: int) -> Stored:
    """Bits, rescale, padding and the place of the pixel data, each checked. Raises Skip."""
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
    if syntax in compressed_frames.COMPRESSED and high != bits - 1:
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
    if syntax not in UNCOMPRESSED and syntax not in compressed_frames.COMPRESSED:
        raise Skip("transfer syntax is not read", f"{UID(syntax).name} ({syntax})")
    if place is None or place[0] != PIXEL_DATA:
        raise Skip("no pixel data")
    _, length, offset = place
    source.seek(0, os.SEEK_END)
    size = source.tell()
    if syntax in compressed_frames.COMPRESSED:
        if length != UNDEFINED:
            raise Skip("damaged pixel data", "compressed pixel data that are not in fragments")
        return _fragments(source, offset, size, FRAME_SHARE * need + FRAME_SPARE)
    if length == UNDEFINED:
        raise Skip("damaged pixel data", "uncompressed pixel data in fragments")
    if length != need:
        word = "shorter" if length < need else "longer"
        raise Skip("damaged pixel data", f"{word} than Rows and Columns say")
    if offset + length > size:
        raise Skip("truncated", "the file ends in the pixel data")
    return ((offset, length),)


def _fragments(source: BinaryIO, offset: int, size: int, most: int) -> tuple[tuple[int, int], ...]:
    """The fragments of one encapsulated frame, without the offset table that comes first.

    They hold `most` bytes together at the most.
    """
    parts = []
    while len(parts) <= MAX_FRAGMENTS:
        source.seek(offset)
        head = source.read(8)
        if len(head) < 8:
            raise Skip("truncated", "the file ends in the compressed pixel data")
        group, element, length = struct.unpack("<HHL", head)
        if (group, element) == (0xFFFE, 0xE0DD):
            total = sum(length for _, length in parts[1:])
            if not total:
                raise Skip("no pixel data", "the compressed pixel data are empty")
            if total > most:
                raise Skip("damaged pixel data", "larger compressed than the picture can be")
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


def read_values(source: BinaryIO, stored: Stored, rows: int, columns: int) -> np.ndarray:
    """(rows, columns) int32 stored values. Raises Skip where the pixel data are not whole."""
    pieces = []
    for offset, length in stored.parts:
        source.seek(offset)
        pieces.append(source.read(length))
    data = b"".join(pieces)
    if len(data) != sum(length for _, length in stored.parts):
        raise Skip("truncated", "the file ends in the pixel data")
    if stored.syntax in UNCOMPRESSED:
        order = ">u2" if stored.syntax == EXPLICIT_BIG else "<u2"
        words = np.frombuffer(data, order).reshape(rows, columns)
    else:
        words = compressed_frames.decode(
            data, stored.syntax, rows, columns, stored.bits_stored, stored.signed
        )
    return words_to_values(words, stored)


def words_to_values(words: np.ndarray, stored: Stored) -> np.ndarray:
    """uint16 words as they lie in the file to int32 values of the same shape.

    Bits outside BitsStored are masked, the sign is at HighBit.
    """
    bits = stored.bits_stored
    values = words.astype(np.int32) >> (stored.high_bit + 1 - bits) & ((1 << bits) - 1)
    if stored.signed:
        sign = 1 << (bits - 1)
        values = (values ^ sign) - sign
    return values


def values_to_words(values: np.ndarray, stored: Stored) -> np.ndarray:
    """The inverse of `words_to_values`: uint16, a sign filling the bits above HighBit."""
    return (values << (stored.high_bit + 1 - stored.bits_stored) & 0xFFFF).astype("<u2")


def is_padding(values: np.ndarray, stored: Stored) -> np.ndarray:
    """Where stored values are padding: bool of the same shape."""
    if stored.padding is None:
        return np.zeros(values.shape, bool)
    first, last = stored.padding
    return (values >= first) & (values <= last)


def values_to_hu(values: np.ndarray, stored: Stored) -> np.ndarray:
    """Stored values to int16 HU of the same shape: rescaled in float, rounded once.

    Padding and HU below -1024 become -1024; what is above 3071 (metal) stays.
    """
    hu = np.rint(values * stored.slope + stored.intercept)
    hu[is_padding(values, stored)] = AIR_HU
    return np.clip(hu, AIR_HU, np.iinfo(np.int16).max).astype(np.int16)
