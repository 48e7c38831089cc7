"""Inflate compressed data in pieces, so that nobody holds more than what a header promised."""

import zlib
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from srgan.formats.volumes.volume import Volume
from srgan.system.errors import Skip, reason

GZIP = b"\x1f\x8b"  # the first bytes
CHUNK = 1 << 20  # bytes that are inflated at once
READ = 1 << 16  # bytes of the file that are read at once
MAX_MEMBERS = 1 << 16  # of one gzip file; most have one, some a member for each 64 KiB


def planes(volume: Volume) -> Iterator[np.ndarray]:
    """Each plane of a compressed volume: (rows, columns) in the voxels' own type.

    Raises Skip where the data are damaged, end early, or inflate to another size.
    """
    columns, rows, _ = volume.geometry.size
    size = rows * columns * np.dtype(volume.dtype).itemsize
    before, total, voxels = volume.inflated_offset, 0, bytearray()
    try:
        with open(volume.data_path, "rb") as file:
            file.seek(volume.offset)
            for piece in pieces(file, zlib_too=volume.kind == "metaimage"):
                voxels += piece[before:]
                before = max(before - len(piece), 0)
                if total + len(voxels) > volume.nbytes:
                    raise Skip("damaged pixel data", "inflates to more than the header says")
                while len(voxels) >= size:
                    plane = np.frombuffer(voxels[:size], volume.dtype)
                    del voxels[:size]
                    total += size
                    yield plane.reshape(rows, columns)
    except OSError as error:
        raise Skip("cannot be read", reason(error)) from None
    if total != volume.nbytes:
        raise Skip("damaged pixel data", "inflates to less than the header says")


def pieces(file: BinaryIO, zlib_too: bool = False) -> Iterator[bytes]:
    """What the rest of a file inflates to, in pieces of at most CHUNK.

    The data are gzip, in one or more members; zlib_too: one stream of zlib or gzip, as ITK reads
    MetaImage. Raises Skip where they are not, are damaged or end early, and OSError.
    """
    kinds, bits = ("zlib or gzip", 32) if zlib_too else ("gzip", 16)
    most = 1 if zlib_too else MAX_MEMBERS
    data = file.read(READ)
    try:
        for _ in range(most):
            unpack = zlib.decompressobj(bits + zlib.MAX_WBITS)
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
        detail = f"the compressed data are not {kinds} or damaged"
        raise Skip("damaged pixel data", detail) from None
    raise Skip("damaged pixel data", f"more than {most} pieces of {kinds}")


def first_bytes(file: BinaryIO, count: int) -> bytes:
    """The first bytes that gzip data inflate to: fewer where there are not so many.

    Raises as `pieces`.
    """
    found = b""
    for piece in pieces(file):
        found += piece[: count - len(found)]
        if len(found) == count:
            break
    return found
