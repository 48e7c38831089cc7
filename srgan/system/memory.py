"""Out of memory: how much is left, what a shortage looks like, and one line that says so.

A shortage shows in many ways. Python raises MemoryError, TensorFlow errors of its own, a library is
not loaded, and C++ code ends the process (SIGABRT, SIGSEGV) where it never looks whether it was
given memory. `told` makes one line of all of these. It cannot tell of SIGKILL, the kernel's own
way: so the training asks `room` before a stage begins.
"""

import ctypes
import errno
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from srgan.system.errors import BAD_INPUT, TRY_AGAIN, UserError, one_line, program

GB = 10**9
ULIMIT = "ulimit -v"
OTHERS_SHARE = 0.8  # of all memory: what needs less than this would fit, were it not for others
PHRASES = re.compile(
    r"out of memory|OOM when|bad_alloc|allocate memory|Unable to allocate|failed to map segment"
    r"|Failed to allocate|could not create a (primitive|memory)|can't start new thread"
    r"|std::length_error|RESOURCE_EXHAUSTED|OUT_OF_MEMORY|ALLOC_FAILED|resource allocation failed"
    r"|Dst tensor is not initialized|cudaMalloc",
    re.IGNORECASE,
)
ASKED = re.compile(r"(?<=allocate )[\d.]+ \w+|(?:a )?(?:tensor with )?shape ?\[[\d,]+\]")
FREE_SOME = (
    "close other programs or raise the limit; some stages have a process for each CPU, and take "
    "less with one (taskset -c 0 ...)"
)
ON_GPU = re.compile(r"device:GPU|GPU_\d|CUDA|CUDNN|CUBLAS|cublas|cudaMalloc|Dst tensor")
CRASHES = (signal.SIGABRT, signal.SIGSEGV)


@dataclass(frozen=True)
class Room:
    """Bytes that this process may still take, and of how many in all."""

    free: int
    limit: int
    of: str  # ULIMIT, "the control group" or "this machine"
    own: int = 0  # what it has taken

    def text(self) -> str:
        return f"{self.free / GB:.1f} GB of {self.limit / GB:.1f} GB ({self.of}) are free"

    def exit_code(self, need: int) -> int:
        """Of a stop for want of `need` more bytes: 75 where they would fit, were it not for others.

        A limit of ulimit -v is this process's own: there are no others.
        """
        fits = self.own + need <= OTHERS_SHARE * self.limit
        return TRY_AGAIN if fits and self.of != ULIMIT else BAD_INPUT


def rooms() -> list[Room]:
    """What each limit leaves, the tightest first; empty where the system does not say."""
    try:
        status = _table(Path("/proc/self/status"))
        machine = _table(Path("/proc/meminfo"))
        own = status["VmRSS"]
        swap = machine.get("SwapFree", 0)
        free, total = machine["MemAvailable"] + swap, machine["MemTotal"] + swap
        found = [Room(free, total, "this machine", own)]
    except (OSError, KeyError, ValueError):  # not Linux
        return []
    import resource

    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit != resource.RLIM_INFINITY:
        found.append(Room(limit - status["VmSize"], limit, ULIMIT, status["VmSize"]))
    for most, used in (("memory.max", "memory.current"), GROUP_1):
        with suppress(OSError, ValueError):  # "max", or no such group
            limit = int((GROUP / most).read_text())
            if limit < machine["MemTotal"]:
                free = limit - int((GROUP / used).read_text()) + _cached()
                found.append(Room(free, limit, "the control group", own))
    return sorted(found, key=lambda room: room.free)


GROUP = Path("/sys/fs/cgroup")  # as a container sees its own
GROUP_1 = ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes")


def is_limited() -> bool:
    """Has this process a limit of address space (ulimit -v)?"""
    return any(room.of == ULIMIT for room in rooms())


def _cached() -> int:
    """Bytes of the control group that the kernel gives back when they are needed: of files.

    Those that a program has mapped now, such as the code of TensorFlow, are not among them.
    """
    for name, prefix, mapped in (
        ("memory.stat", "", "file_mapped"),
        ("memory/memory.stat", "total_", "total_mapped_file"),
    ):
        with suppress(OSError, ValueError, KeyError):
            rows = (line.split() for line in (GROUP / name).read_text().splitlines())
            n_bytes = {word: int(number) for word, number in rows}
            files = n_bytes[f"{prefix}inactive_file"] + n_bytes[f"{prefix}active_file"]
            return max(0, files - n_bytes[mapped])
    return 0


def _table(path: Path) -> dict[str, int]:
    """ "VmRSS:  1024 kB" of each line, in bytes."""
    rows = (line.split() for line in path.read_text().splitlines())
    return {row[0][:-1]: 1024 * int(row[1]) for row in rows if row[2:] == ["kB"]}


def is_shortage(error: BaseException) -> bool:
    """Was this raised because memory was short?"""
    if isinstance(error, MemoryError) or getattr(error, "errno", None) == errno.ENOMEM:
        return True
    return not isinstance(error, UserError) and bool(PHRASES.search(str(error)))


def check_start(where: str) -> None:
    """Before NumPy and SciPy are loaded: OpenBLAS waits for ever where it gets no address space.

    Raises UserError. It takes some for each CPU.
    """
    wanted = int(0.3 * GB + 0.04 * GB * (os.cpu_count() or 1))
    for room in rooms():
        if room.of == ULIMIT and room.free < wanted:
            raise UserError(
                f"out of memory in {where}: its start takes {wanted / GB:.1f} GB, {room.text()}: "
                f"{FREE_SOME}"
            )


@contextmanager
def told(where: str, remedy: Callable[[], str]) -> Iterator[None]:
    """Where memory is short, UserError with one line; a crash of C++ code prints that and exits.

    where: "the GAN". remedy: what to do, asked for only then. A crash counts as a shortage where
    the address space has a limit, or hardly any memory is free: any other ends as it would have.
    """
    with _crashes_told(lambda found: _line(where, "a library crashed", found, remedy)):
        try:
            yield
        except Exception as error:
            if not is_shortage(error):
                raise
            found = [] if ON_GPU.search(str(error)) else rooms()
            code = BAD_INPUT
            if found and _is_tight(found[0]):
                code = found[0].exit_code(0)
            raise UserError(_line(where, _asked(error), found, remedy), code) from None


def _asked(error: Exception) -> str:
    asked, on_gpu = ASKED.search(str(error)), ON_GPU.search(str(error))
    place = " on the GPU" if on_gpu else ""
    return f"it asked for {asked[0]}{place}" if asked else place.strip()


def _line(where: str, what: str, found: list[Room], remedy: Callable[[], str]) -> str:
    facts = ", ".join(filter(None, [what, found[0].text() if found else ""]))
    return one_line(f"out of memory in {where}: {facts or 'no more is known'}: {remedy()}")


def _is_tight(room: Room) -> bool:
    return room.free < 0.1 * room.limit


@cache
def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None)
    libc.signal.restype, libc.signal.argtypes = ctypes.c_void_p, [ctypes.c_int, ctypes.c_void_p]
    return libc


@contextmanager
def _crashes_told(line: Callable[[list[Room]], str]) -> Iterator[None]:
    if sys.platform != "linux":
        yield
        return
    libc, before = _libc(), {}

    def crashed(number: int) -> None:
        for each in CRASHES:  # a crash in here ends the process
            libc.signal(each, None)
        found = rooms()
        if found and (found[0].of == ULIMIT or _is_tight(found[0])):
            os.write(2, f"{program()}: {line(found)}\n".encode(errors="backslashreplace"))
            os._exit(BAD_INPUT)

    handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(crashed)
    for number in CRASHES:
        before[number] = libc.signal(number, ctypes.cast(handler, ctypes.c_void_p))
    try:
        yield
    finally:
        for number, old in before.items():
            libc.signal(number, old)
