"""One writer at a time: locks that the system releases when their holder dies."""

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import filelock

from srgan.system.errors import TRY_AGAIN, UserError
from srgan.system.files import writing

POLL_S = 0.2
TEXT_AT = 1  # who holds it is written behind the first byte, which Windows locks


@contextmanager
def held(path: Path, on_wait: Callable[[], None] = lambda: None) -> Iterator[bool]:
    """Hold the lock of the file `path`; wait while another process holds it.

    Yields whether the file system has locks. on_wait: called once where there is need to wait. The
    file stays behind, empty.
    """
    handle = _open(path)
    try:
        is_locked = _try_to_lock(handle)
        if is_locked is False:
            on_wait()
        while is_locked is False:  # asking again and again lets a signal in
            time.sleep(POLL_S)
            is_locked = _try_to_lock(handle)
        yield is_locked is True
    finally:
        os.close(handle)


@contextmanager
def sole(path: Path, flag: str) -> Iterator[bool]:
    """Hold the lock of the file `path`, at once or not at all.

    Yields whether the file system has locks. flag: the setting that names the folder. Raises
    UserError (exit code 75) that says who holds it, since when.
    """
    handle, is_locked = _open(path), False
    try:
        is_locked = _try_to_lock(handle)
        if is_locked is False:
            raise UserError(
                f"{path.parent} is held by another run ({_holder(handle)}): wait for it, or name "
                f"another {flag}",
                TRY_AGAIN,
            )
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        with suppress(OSError):  # on a full disk it holds without these words
            os.ftruncate(handle, 0)
            text = f" process {os.getpid()} on {socket.gethostname()} since {since}"
            os.write(handle, text.encode())
        yield is_locked is True
    finally:
        if is_locked is not False:  # it names this machine, and a report may be given away
            with suppress(OSError):
                os.ftruncate(handle, 0)
        os.close(handle)


def _holder(handle: int) -> str:
    os.lseek(handle, TEXT_AT, os.SEEK_SET)
    return os.read(handle, 200).decode(errors="replace").strip() or "it has just begun"


def is_free(path: Path) -> bool:
    """Does nobody hold the lock of this file? False where that cannot be known."""
    try:
        handle = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        return _try_to_lock(handle) is True
    finally:
        os.close(handle)


def _open(path: Path) -> int:
    """The lock's file, made where it is absent, and its folder. Raises UserError."""
    with writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)


def _try_to_lock(handle: int) -> bool | None:
    """True: we hold it now. False: another process does. None: the file system has no locks."""
    try:
        return filelock.lock_descriptor(handle, blocking=False)
    except OSError:
        return None
