"""Write files that are complete or absent; report a full disk in one line."""

import csv
import errno
import json
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from srgan.system.errors import BAD_INPUT, TRY_AGAIN, UserError, reason
from srgan.system.signals import undone

_REMEDY = {
    errno.ENOSPC: "make room there and start again",
    errno.EDQUOT: "make room there and start again",
    errno.EFBIG: "raise the limit of file sizes (ulimit -f) and start again",
    errno.EIO: "look after the disk and start again",
    errno.ENOENT: "is the folder still there?",
    errno.ESTALE: "is the folder still there?",
    None: "is there room?",  # from a library that does not pass on the number
}  # these may pass; for others (a read-only folder) the input must change
MOST_OF_JSON = 64 << 20  # bytes
_PART = re.compile(r"\..+\.(\d{1,9})\.part(\.\w+)?")


@contextmanager
def writing(path: Path | str):
    """Turn an OSError of writing to `path` into a UserError with the promised exit code.

    A shortage of memory is not the folder's fault: it stays what it is.
    """
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOMEM:
            raise
        later = error.errno in _REMEDY
        remedy = _REMEDY[error.errno] if later else "name a folder that can be written"
        raise UserError(
            f"cannot write {path}: {reason(error)}: {remedy}",
            TRY_AGAIN if later else BAD_INPUT,
        ) from error


def write_whole(path: Path, write: Callable[[Path], None]) -> None:
    """`write` a temporary file beside `path`, flush it to the disk, and rename it. OSError."""
    part = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    with undone(lambda: part.unlink(missing_ok=True)):
        write(part)
        sync(part)
        part.replace(path)


def clear_parts(folder: Path) -> None:
    """Remove temporary files of `write_whole` whose process no longer runs."""
    with suppress(OSError):
        for path in folder.iterdir():
            made = _PART.fullmatch(path.name)
            if made and path.is_file() and not _lives(int(made[1])):
                path.unlink()


def _lives(pid: int) -> bool:
    """Does a process run? True also if that cannot be known (on Windows, os.kill would end it)."""
    try:
        return os.name == "nt" or os.kill(pid, 0) is None
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence]) -> None:
    """A table in UTF-8 with a line of column names; None is an empty cell. Raises OSError."""

    def write(part: Path) -> None:
        with open(part, "w", newline="", encoding="utf-8", errors="backslashreplace") as file:
            csv.writer(file).writerows([columns, *rows])

    write_whole(path, write)


def write_json(path: Path, value: dict) -> None:
    """Strict JSON. Raises OSError, and ValueError for NaN and infinity."""
    text = json_text(value)
    write_whole(path, lambda part: part.write_text(text, encoding="utf-8"))


def json_text(value: dict) -> str:
    """What `write_json` writes. Raises ValueError for NaN and infinity."""
    return json.dumps(value, indent=1, allow_nan=False) + "\n"


def read_bounded(path: Path, limit: int = MOST_OF_JSON) -> bytes:
    """The content of a regular file of at most `limit` bytes. Raises OSError for any other."""
    without_waiting = getattr(os, "O_NONBLOCK", 0)  # for a writer of a pipe
    with open(
        path, "rb", opener=lambda name, flags: os.open(name, flags | without_waiting)
    ) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):  # a device may never end
            raise OSError(errno.EINVAL, "not a regular file")
        data = file.read(limit + 1)
    if len(data) > limit:
        raise OSError(errno.EINVAL, f"larger than {limit >> 20} MiB")
    return data


@contextmanager
def named_in_utf8(folder: Path) -> Iterator[Path]:
    """A name of the folder for libraries that take UTF-8 alone: if need be that of its handle."""
    if str(folder).encode(errors="replace") == os.fsencode(folder):
        yield folder
        return
    handle = os.open(folder, os.O_RDONLY)  # on Linux, where any bytes are a name
    try:
        yield Path(f"/proc/self/fd/{handle}")
    finally:
        os.close(handle)


def sync(path: Path) -> None:
    """Flush a file, or the names in a folder, to the disk. Raises OSError."""
    if os.name == "nt" and path.is_dir():
        return  # Windows flushes no folders
    handle = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
