"""Inflate gzip data in pieces, so that nobody holds more than what a header promised."""

import zlib
from collections.abc import Iterator
from typing import BinaryIO

from srgan.system.errors import Skip

GZIP = b"\x1f\x8b"  # the first bytes
CHUNK = 1 << 20  # bytes that are inflated at once
READ = 1 << 16  # bytes of the file that are read at once
MAX_MEMBERS = 1 << 16  # of one file; most have one, some a member for each 64 KiB


def pieces(file: BinaryIO) -> Iterator[bytes]:
    """What the rest of a file inflates to, in pieces of at most CHUNK.

    Raises Skip where the data are not gzip, are damaged or end early, and OSError.
    """
    data = file.read(READ)
    try:
        for _ in range(MAX_MEMBERS):
            unpack = zlib.decompressobj(16 + zlib.MAX_WBITS)
            while not unpack.eof:
                data = data or file.read(READ)
                if not data:
                    raise Skip("truncated", "the compressed data end early")
                piece = unpack.decompress(data, CHUNK)
                data = unpack.unconsumed_tail
                if piece:
                    yield piece
            data = unpack.unused_data or file.read(READ)
            if not data:
                return
    except zlib.error:
        raise Skip("damaged pixel data", "the compressed data are not gzip or damaged") from None
    raise Skip("damaged pixel data", f"more than {MAX_MEMBERS} pieces of gzip")


def first_bytes(file: BinaryIO, count: int) -> bytes:
    """The first bytes that a file inflates to; fewer where there are fewer. Raises as `pieces`."""
    found = b""
    for piece in pieces(file):
        found += piece[: count - len(found)]
        if len(found) == count:
            break
    return found
