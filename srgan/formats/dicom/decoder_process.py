"""Decoding in a process of its own.

On a damaged frame a decoder may crash, hang, ask for any amount of memory, or write to the
terminal. Here each of these costs one slice: the process ends and the next frame gets a new one.
"""

import atexit
import json
import os
import signal
import struct
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
from pydicom.encaps import encapsulate
from pydicom.pixels import get_decoder
from pydicom.uid import UID

from srgan.system import signals
from srgan.system.errors import Skip

# Processor time for a frame, and as much again for each megapixel: 1.3 s at 512 x 512. JPEG 2000,
# the slowest, takes 0.05 s at 512 x 512 and 3 s at 4096 x 4096 (twice that where it is all noise).
CPU_LIMIT_S = 1.0
BUSY = 5  # the clock may show so many times more: for waiting, and where there is no CPU limit
START_LIMIT_S = 30.0  # by the clock, for the start of the process, which no file slows down
MEMORY_LIMIT = 768 << 20  # bytes beside Python and NumPy; JPEG 2000 of 4096 x 4096 takes 520 MiB
REPLY = struct.Struct("<?L")  # whether it was decoded, and how many bytes follow
MAX_MESSAGE = 200
START = (
    "import sys; sys.path.insert(0, sys.argv[1]); "
    "from srgan.formats.dicom import decoder_process; decoder_process.serve()"
)

_lock = threading.Lock()
_running: dict[int, subprocess.Popen] = {}  # by our own process id: a fork must not share a pipe


def decode(stream: bytes, rows: int, columns: int, **options) -> np.ndarray:
    """`run_decoder` in the other process: (rows, columns) uint16. Raises Skip."""
    request = {"length": len(stream), "rows": rows, "columns": columns, **options}
    with _lock:
        try:
            decoded, reply = _ask(json.dumps(request).encode() + b"\n" + stream, rows * columns * 2)
        except (OSError, struct.error, ValueError):
            detail = f"the decoder ended with status {stop()}"
            raise Skip("damaged pixel data", detail) from None
    if not decoded:
        raise Skip("damaged pixel data", reply.decode("utf-8", "replace"))
    return np.frombuffer(reply, np.uint16).reshape(rows, columns)


def _ask(request: bytes, size: int) -> tuple[bool, bytes]:
    """Send a request and read the reply: whether it was decoded, and its bytes.

    size: bytes of a decoded frame. Raises OSError, struct.error or ValueError where it fails.
    """
    seconds = BUSY * _cpu_limit_s(size // 2)
    worker = _running.get(os.getpid())
    if worker is None:
        worker, seconds = _start(), seconds + START_LIMIT_S
    timer = threading.Timer(seconds, worker.kill)
    timer.start()
    try:
        worker.stdin.write(request)
        worker.stdin.flush()
        decoded, length = REPLY.unpack(worker.stdout.read(REPLY.size))
        if length != size if decoded else length > MAX_MESSAGE:
            raise ValueError("a reply of the wrong size")
        reply = worker.stdout.read(length)
        if len(reply) != length:
            raise ValueError("a reply that ends early")
        return decoded, reply
    finally:
        timer.cancel()


def _start() -> subprocess.Popen:
    root = Path(__file__).resolve().parents[3]
    worker = subprocess.Popen(
        [sys.executable, "-P", "-c", START, str(root)],  # -P: no module of the current folder
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )
    _running.clear()
    _running[os.getpid()] = worker
    return worker


@atexit.register
def stop() -> int:
    """End this process's decoder, if it has one; returns the exit status, negative for a signal."""
    worker = _running.pop(os.getpid(), None)
    if worker is None:
        return 0
    with worker:
        status = worker.poll()
        if status is None:  # it may be ending just now: the pipe closes before there is a status
            try:
                worker.stdin.close()
                status = worker.wait(1)
            except (OSError, subprocess.TimeoutExpired):
                worker.kill()
                status = worker.wait()
    return status


def serve() -> None:
    """In the other process: decode what comes on stdin until it closes."""
    signals.leave_interrupts_to_parent()
    _limit_memory()
    source, sink = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "wb") as nowhere:  # decoders may write to stdout, too
        os.dup2(nowhere.fileno(), 1)
    while line := source.readline():
        request = json.loads(line)
        stream = source.read(request.pop("length"))
        _limit_cpu(_cpu_limit_s(request["rows"] * request["columns"]))
        try:
            reply = run_decoder(stream, **request).tobytes()
            sink.write(REPLY.pack(True, len(reply)) + reply)
        except Skip as skip:
            reply = skip.detail.encode()[:MAX_MESSAGE]
            sink.write(REPLY.pack(False, len(reply)) + reply)
        _limit_cpu(0)
        sink.flush()


def run_decoder(
    stream: bytes, syntax: str, rows: int, columns: int, bits_stored: int, signed: bool
) -> np.ndarray:
    """Decode a checked frame with pydicom: (rows, columns) uint16. Raises Skip and nothing else."""
    options = {
        "transfer_syntax_uid": UID(syntax),
        "rows": rows,
        "columns": columns,
        "samples_per_pixel": 1,
        "photometric_interpretation": "MONOCHROME2",
        "bits_allocated": 16,
        "bits_stored": bits_stored,
        "pixel_representation": int(signed),
        "number_of_frames": 1,
        "pixel_keyword": "PixelData",
    }
    try:
        decoder = get_decoder(UID(syntax))
        array, _ = decoder.as_array(encapsulate([stream]), index=0, raw=True, **options)
    except Exception as error:
        detail = f"{UID(syntax).name}: {type(error).__name__}"
        raise Skip("damaged pixel data", detail) from None
    if array.shape != (rows, columns) or array.dtype.itemsize != 2:
        raise Skip("damaged pixel data", f"decoded to {array.shape} of {array.dtype}")
    return array.view(np.uint16)


def _cpu_limit_s(pixels: int) -> float:
    return CPU_LIMIT_S * (1 + pixels / 1e6)


def _limit_cpu(seconds: float) -> None:
    """SIGPROF ends the process after so much processor time; 0 takes the limit away."""
    if hasattr(signal, "setitimer"):  # not on Windows
        signal.setitimer(signal.ITIMER_PROF, seconds)


def _limit_memory() -> None:
    """Allow MEMORY_LIMIT more of address space than is used now, where the system can do that."""
    try:
        import resource

        taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        limit = taken + MEMORY_LIMIT
        limit = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))
    except (ImportError, OSError, ValueError):
        return  # Windows, macOS: the limits on time remain
