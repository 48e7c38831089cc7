"""Writing files so that they are complete or absent, with a full disk told in one line."""

import errno
import json
import os
import stat
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

from srgan.errors import BAD_INPUT, TRY_AGAIN, UserError

_LATER = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOENT, errno.ESTALE}


@contextmanager
def told(path: Path):
    """Turn an OSError of writing to `path` into a UserError with the promised exit code."""
    try:
        yield
    except OSError as error:
        code = TRY_AGAIN if error.errno in _LATER else BAD_INPUT
        raise UserError(f"cannot write {path}: {error.strerror or error}", code) from error


def write_whole(path: Path, write: Callable[[Path], None]) -> None:
    """`write` a temporary file beside `path`, flush it to the disk, rename it into place."""
    part = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        write(part)
        sync(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_json(path: Path, value: dict) -> None:
    """Strict JSON: NaN and infinity are refused with a ValueError."""
    text = json.dumps(value, indent=1, allow_nan=False) + "\n"
    write_whole(path, lambda part: part.write_text(text, encoding="utf-8"))


def read_bounded(path: Path, limit: int = 64 << 20) -> bytes:
    """All of a regular file of at most `limit` bytes; raises OSError for any other."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(handle, "rb") as file:
        if not stat.S_ISREG(os.fstat(handle).st_mode):  # a pipe or a device may never end
            raise OSError(errno.EINVAL, "not a regular file")
        data = file.read(limit + 1)
    if len(data) > limit:
        raise OSError(errno.EINVAL, f"larger than {limit >> 20} MiB")
    return data


def sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
