"""One compressed frame of a DICOM file: is it whole, and which stored values does it hold?

Decoders return a picture for a truncated frame, with its lower part grey. So a frame is read from
marker to marker, and its size compared with the header's, before it is decoded.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from srgan.formats.dicom import decoder_process
from srgan.system.errors import Skip

JPEG = {
    "1.2.840.10008.1.2.4.50",  # baseline
    "1.2.840.10008.1.2.4.51",  # extended
    "1.2.840.10008.1.2.4.57",  # lossless, any predictor
    "1.2.840.10008.1.2.4.70",  # lossless, first predictor
}
JPEG_LS = {"1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81"}
JPEG_2000 = {"1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91"}
RLE = "1.2.840.10008.1.2.5"
COMPRESSED = JPEG | JPEG_LS | JPEG_2000 | {RLE}

JPEG_END = b"\xff\xd9"
J2K_START = b"\xff\x4f\xff\x51"
START_OF_TILE = 0xFF90
START_OF_SCAN = 0xFFDA
NOT_A_FRAME = {0xFFC4, 0xFFC8, 0xFFCC}  # between the frame markers FFC0 to FFCF, but tables
FILL = 0xFFFF
JPEG_LS_FRAME = 0xFFF7
MAX_SEGMENTS = 1 << 16  # of a frame, with fill bytes: JPEG 2000 has no more tiles
TRUNCATED = Skip("truncated", "the compressed pixel data end early")
TOO_MANY = Skip("damaged pixel data", f"more than {MAX_SEGMENTS} segments in the compressed frame")


class Frame(NamedTuple):
    """What the header of a compressed frame says."""

    rows: int
    columns: int
    components: int
    precision: int
    signed: bool


def decode(
    stream: bytes, syntax: str, rows: int, columns: int, bits_stored: int, signed: bool
) -> np.ndarray:
    """Decode one frame to stored values: (rows, columns) uint16, two's complement where signed.

    stream: the frame, not empty; syntax: one of COMPRESSED.
    Bits above `bits_stored` are undefined. Raises Skip where the frame is truncated, damaged or of
    another size than the header says, or where there is no decoder for `syntax`.
    """
    try:
        if syntax in JPEG_2000:
            stream, frame = _check_j2k(stream)
        elif syntax != RLE:
            frame = _check_jpeg(stream)
        else:
            frame = _check_rle(stream, rows, columns)
    except (struct.error, IndexError):
        raise TRUNCATED from None
    _check_frame(frame, rows, columns, bits_stored, signed)
    options = {"syntax": syntax, "bits_stored": bits_stored, "signed": signed}
    return decoder_process.decode(stream, rows=rows, columns=columns, **options)


def _check_frame(frame: Frame, rows: int, columns: int, bits_stored: int, signed: bool) -> None:
    if (frame.rows, frame.columns) != (rows, columns):
        found = f"{frame.rows} x {frame.columns}, the header says {rows} x {columns}"
        raise Skip("damaged pixel data", f"the compressed frame is {found}")
    if frame.components != 1:
        raise Skip("more than one sample per pixel", f"{frame.components} components")
    if frame.precision <= 8 or frame.precision > 16:
        raise Skip("cannot hold HU", f"the compressed frame has {frame.precision} bits")
    if signed and not frame.signed and frame.precision < bits_stored:
        # It is then unknown which bit is the sign.
        detail = f"{frame.precision} bits in the frame, BitsStored {bits_stored}, signed"
        raise Skip("damaged pixel data", detail)


def _segments(stream: bytes) -> Iterator[tuple[int, int]]:
    """(marker, its position) of each segment after the first marker; fill bytes are passed over."""
    position = 2
    for _ in range(MAX_SEGMENTS):
        marker, length = struct.unpack_from(">HH", stream, position)
        if marker == FILL:
            position += 1
        else:
            yield marker, position
            position += 2 + max(length, 2)
    raise TOO_MANY


def _check_jpeg(stream: bytes) -> Frame:
    """Read the markers of JPEG or JPEG-LS from SOI to SOS; the stream must end in EOI."""
    if stream[:2] != b"\xff\xd8":
        raise Skip("damaged pixel data", "the compressed frame does not begin as JPEG")
    if not stream.rstrip(b"\0").endswith(JPEG_END):
        raise TRUNCATED
    frame = None
    for marker, position in _segments(stream):
        if marker < 0xFF00:
            raise Skip("damaged pixel data", "a JPEG marker is missing")
        if marker == JPEG_LS_FRAME or (0xFFC0 <= marker <= 0xFFCF and marker not in NOT_A_FRAME):
            precision, rows, columns, n = struct.unpack_from(">BHHB", stream, position + 4)
            frame = Frame(rows, columns, n, precision, False)
        if marker == START_OF_SCAN:
            break
    if frame is None:
        raise Skip("damaged pixel data", "JPEG without a frame header")
    return frame


def _check_j2k(stream: bytes) -> tuple[bytes, Frame]:
    """The JPEG 2000 codestream without a JP2 wrapper; every tile-part must be there."""
    start = stream.find(J2K_START, 0, 1024)
    if start < 0:
        raise Skip("damaged pixel data", "the compressed frame does not begin as JPEG 2000")
    stream = stream[start:]
    x1, y1, x0, y0, tile_w, tile_h, tx0, ty0, n, depth = struct.unpack_from(">8LHB", stream, 8)
    frame = Frame(y1 - y0, x1 - x0, n, (depth & 0x7F) + 1, bool(depth & 0x80))
    position = next(at for marker, at in _segments(stream) if marker == START_OF_TILE)
    seen = set()
    for _ in range(MAX_SEGMENTS):
        if stream[position : position + 2] == JPEG_END:
            break
        marker, _, tile, length = struct.unpack_from(">HHHL", stream, position)
        if marker != START_OF_TILE or 0 < length < 14:
            raise Skip("damaged pixel data", "a JPEG 2000 tile-part is missing")
        seen.add(tile)
        # Length 0: the last tile-part, up to the end of the codestream.
        position = position + length if length else len(stream.rstrip(b"\0")) - 2
        if position + 2 > len(stream):
            raise TRUNCATED
    else:
        raise TOO_MANY
    tiles = -(-(x1 - tx0) // max(tile_w, 1)) * -(-(y1 - ty0) // max(tile_h, 1))
    if len(seen) != tiles:
        raise TRUNCATED
    return stream[: position + 2], frame


def _check_rle(stream: bytes, rows: int, columns: int) -> Frame:
    """The header of RLE (DICOM PS3.5 annex G) must name two byte planes; it has no size."""
    n, *offsets = struct.unpack_from("<16L", stream, 0)
    if n != 2 or not 64 <= offsets[0] < offsets[1] < len(stream):
        raise Skip("damaged pixel data", "the RLE header does not name two byte planes")
    return Frame(rows, columns, 1, 16, True)
