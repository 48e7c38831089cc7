"""One writer at a time: a lock that the system lets go of when its holder dies."""

import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from srgan.system.errors import TRY_AGAIN, UserError
from srgan.system.files import writing

try:
    import fcntl
except ImportError:  # not on Windows: builders do not wait, temporary names keep them apart
    fcntl = None


@contextmanager
def held(path: Path, on_wait: Callable[[], None] = lambda: None) -> Iterator[bool]:
    """Wait for the lock of the file `path` and hold it; yields whether there are locks here.

    on_wait is called once where another process holds it. The file stays behind, empty.
    """
    handle = _opened(path)
    try:
        state = take(handle)
        if state is False:
            on_wait()
        while state is False:  # asking again and again lets a signal in
            time.sleep(0.2)
            state = take(handle)
        yield state is True
    finally:
        os.close(handle)


@contextmanager
def sole(path: Path, flag: str) -> Iterator[bool]:
    """Hold the lock of the file `path`, at once or not at all; yields whether there are locks here.

    Raises UserError (exit code 75) that says who holds it. flag: the setting that names the folder.
    """
    handle = _opened(path)
    try:
        state = take(handle)
        if state is False:
            holder = os.read(handle, 200).decode(errors="replace").strip()
            raise UserError(
                f"{path.parent} is held by another run ({holder or 'it has just begun'}): wait for "
                f"it, or name another {flag}",
                TRY_AGAIN,
            )
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        holder = f"process {os.getpid()} on {socket.gethostname()} since {since}"
        with suppress(OSError):  # on a full disk it holds without these words
            os.ftruncate(handle, 0)
            os.write(handle, holder.encode())
        yield state is True
    finally:
        os.close(handle)


def _opened(path: Path) -> int:
    """The file of a lock, made where it is not there, and its folder. Raises UserError."""
    with writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT, 0o666)


def is_free(path: Path) -> bool:
    """Does nobody hold the lock of this file? False where that cannot be known."""
    try:
        handle = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        return take(handle) is True
    finally:
        os.close(handle)


def take(handle: int) -> bool | None:
    """Ask for the lock of an open file. True: ours now. False: another's. None: no locks here."""
    if fcntl is None:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True
