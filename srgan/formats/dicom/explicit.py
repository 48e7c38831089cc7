"""Elements of DICOM as bytes in Explicit VR Little Endian, and what of a header can be kept.

A value that was read is copied as it is, valid or not: text stays in the file's character set, and
numbers of a big-endian file are turned. So one element costs microseconds, and none the others.
"""

import struct
from collections.abc import Iterable

import numpy as np
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element
from pydicom.valuerep import VR

LONG = {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"}
KNOWN_VR = {vr.value for vr in VR if len(vr.value) == 2}
MAX_SHORT = 0xFFFE  # bytes of a value, even, whose length has 16 bits
# Bytes of a number in a value; OB has single ones, and texts are the same in each byte order.
NUMBER_BYTES = {"AT": 2, "US": 2, "SS": 2, "OW": 2, "UL": 4, "SL": 4, "FL": 4, "OF": 4, "OL": 4}
NUMBER_BYTES |= {"FD": 8, "OD": 8, "SV": 8, "UV": 8, "OV": 8}
BINARY = {*NUMBER_BYTES, "OB", "UN", "UI"}  # filled with a zero where the length is odd
STALE = {
    0x00080014, 0x00080015,  # InstanceCreatorUID, InstanceCoercionDateTime
    0x00080024, 0x00080025, 0x00080034, 0x00080035,  # dates and times of overlays and curves
    0x00080054, 0x00080056, 0x00081190,  # where the source can be had
    0x00081111,  # ReferencedPerformedProcedureStepSequence: the step that made the source
    0x0008114A,  # ReferencedInstanceSequence
    0x00081195,  # TransactionUID
    0x00081250,  # RelatedSeriesSequence
    0x00082112,  # SourceImageSequence: of the source's own source
    0x00083001,  # AlternateRepresentationSequence
    0x00280106, 0x00280107, 0x00280108, 0x00280109,  # smallest and largest pixel value
    0x00280120, 0x00280121,  # padding, which is written anew where there is any
    0x00280110, 0x00280111,  # smallest and largest pixel value in plane
    0x00283000, 0x00283010,  # ModalityLUTSequence beside slope and intercept, VOILUTSequence
    0x00287FE0,  # PixelDataProviderURL
    0x00409096,  # RealWorldValueMappingSequence
    0x00880130, 0x00880140,  # storage media file set
    0x00880200,  # IconImageSequence
    0x04000500,  # EncryptedAttributesSequence
    0x4FFE0001,  # MACParametersSequence
    0xFFFAFFFA,  # DigitalSignaturesSequence
    0xFFFCFFFC,  # DataSetTrailingPadding
}  # fmt: skip
CURVES_AND_OVERLAYS = (0x50, 0x60)  # groups 50xx and 60xx

Elements = dict[int, bytes]  # by tag; whole elements


def element(tag: int, vr: str, value: bytes) -> bytes:
    """One element. Raises ValueError where the value does not fit."""
    if len(value) % 2:
        value += b"\0" if vr in BINARY else b" "
    start = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
    if vr in LONG:
        return start + struct.pack("<HL", 0, len(value)) + value
    if len(value) > MAX_SHORT:
        raise ValueError(f"{len(value)} bytes")
    return start + struct.pack("<H", len(value)) + value


def sequence(tag: int, items: Iterable[bytes]) -> bytes:
    return element(tag, "SQ", b"".join(map(_item, items)))


def with_item(elements: Elements, tag: int, item: bytes) -> bytes:
    """The sequence of the elements with one item more."""
    before = elements.get(tag, b"")
    items = before[12:] if before[4:6] == b"SQ" else b""
    return element(tag, "SQ", items + _item(item))


def _item(content: bytes) -> bytes:
    return struct.pack("<HHL", 0xFFFE, 0xE000, len(content)) + content


def joined(elements: Elements) -> bytes:
    return b"".join(elements[tag] for tag in sorted(elements))


def new(dataset: Dataset) -> Elements:
    """The elements of a data set that was made here, of ASCII text."""
    return {int(item.tag): _written(item, None) for item in dataset}


def kept(dataset: Dataset, signed: bool) -> Elements:
    """What a derived slice keeps of the header of its source, and of the items in it.

    Not what is private, stale, or cannot be written. signed: PixelRepresentation, which tells the
    VR of a pixel's value in an implicit file.
    """
    elements = {}
    for key, item in list(dataset.items()):
        tag = int(key)
        group = tag >> 16
        stale = tag in STALE or group < 8 or group >> 8 in CURVES_AND_OVERLAYS or not tag & 0xFFFF
        if stale or group & 1:
            continue
        try:
            copy = _copied(dataset, tag, item, signed)
        except Exception:  # of pydicom, whatever: one element is lost
            continue
        if copy:
            elements[tag] = copy
    return elements


def _copied(dataset: Dataset, tag: int, item, signed: bool) -> bytes | None:
    vr = _known_vr(tag, item.VR, signed)
    if vr == "SQ":
        item = dataset[tag]
        if item.VR != "SQ":
            return None
        return sequence(tag, (joined(kept(part, signed)) for part in item.value))
    if vr is None:
        return None
    if not isinstance(item, RawDataElement):
        return _written(item, dataset.get("SpecificCharacterSet"))
    value = item.value or b""
    if not item.is_little_endian and vr in NUMBER_BYTES:
        value = np.frombuffer(value, f">u{NUMBER_BYTES[vr]}").byteswap().tobytes()
    return element(tag, vr, value)


def _known_vr(tag: int, vr: str | None, signed: bool) -> str | None:
    """The VR to write, or None for an element that nobody knows."""
    if vr in (None, "UN"):
        try:
            vr = dictionary_VR(tag)
        except KeyError:
            return None
        vr = {"US or SS": "SS" if signed else "US", "OB or OW": "OW"}.get(vr, vr)
    return vr if vr in KNOWN_VR else None


def _written(item, character_set) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = False, True
    write_data_element(buffer, item, character_set)
    return buffer.getvalue()
