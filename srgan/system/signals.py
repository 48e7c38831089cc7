"""SIGINT, SIGTERM and SIGHUP. No other file changes the handlers of signals.

A signal never raises an exception: libraries swallow it or make another one of it. It lets the
program finish its step, or ends the process where it stands, after what is half written is removed.
A signal that was ignored when the program began stays ignored: SIGINT in what a shell starts in the
background, SIGHUP under nohup.
"""

import os
import signal
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from srgan.system.errors import HUNG_UP, INTERRUPTED, TERMINATED, program

EXIT_CODES = {signal.SIGINT: INTERRUPTED, signal.SIGTERM: TERMINATED}
if hasattr(signal, "SIGHUP"):  # not on Windows
    EXIT_CODES[signal.SIGHUP] = HUNG_UP

_stderr = 2  # where a handler's words go
_undo: list[Callable[[], None]] = []  # what a process that ends now has to do, the last first


class Stop:
    """What a signal does, while `caught` holds.

    number: the signal that came, or 0. finishes_step: the program finishes a step and saves its
    state, and asks `number` then. Otherwise, and at a second signal, the process ends at once.
    """

    def __init__(self):
        self.number, self.finishes_step = 0, False

    @property
    def exit_code(self) -> int:
        return EXIT_CODES[self.number]

    def handle(self, number: int, _frame) -> None:
        first, self.number = not self.number, number
        if self.exit_code == HUNG_UP:
            _leave_terminal()
        if not first or not self.finishes_step:
            self._exit_now()
        _say("stopping after this step; once more to stop at once")

    def _exit_now(self) -> None:
        try:
            _end_processes()
            for undo in reversed(_undo):
                with suppress(Exception):
                    undo()
            _say(f"{program()}: stopped; what was saved before is whole")
        finally:
            os._exit(self.exit_code)


def end_now(line: str, exit_code: int) -> None:
    """End the process from any thread, with this line, whatever its main thread is at.

    What is half written stays, as after a kill: the next start removes it.
    """
    late = threading.Timer(3, os._exit, (exit_code,))  # where stderr takes no words
    late.daemon = True
    late.start()
    try:
        _end_processes()
        new_row = "\n" if os.isatty(_stderr) else ""  # below the row of progress
        os.write(_stderr, f"{new_row}{program()}: {line}\n".encode())
    finally:
        os._exit(exit_code)


def _say(line: str) -> None:
    """Not by print, which a handler must not call while another print is at work."""
    with suppress(OSError):  # stderr on a full disk
        os.write(_stderr, f"\n{line}\n".encode())


@contextmanager
def stderr_is(handle: int) -> Iterator[None]:
    """What a handler says goes to this open file meanwhile: stderr itself is silenced."""
    global _stderr
    before, _stderr = _stderr, handle
    try:
        yield
    finally:
        _stderr = before


def _leave_terminal() -> None:
    """What is written to a terminal that is gone goes nowhere from here on, without an error."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):
        with suppress(OSError):
            if stat.S_ISCHR(os.fstat(number).st_mode) and not os.isatty(number):
                os.dup2(nowhere, number)


def _end_processes() -> None:
    """End those of the pool: they would write into folders that are removed."""
    if "multiprocessing" in sys.modules:
        children = sys.modules["multiprocessing"].active_children()
        for child in children:
            child.kill()
        for child in children:
            child.join(1)


@contextmanager
def undone(undo: Callable[[], None]) -> Iterator[None]:
    """`undo` is called where an exception ends the block, or a signal the process."""
    _undo.append(undo)
    try:
        yield
    except BaseException:
        with postponed():
            undo()
        raise
    finally:
        _undo.remove(undo)


@contextmanager
def caught() -> Iterator[Stop]:
    """Signals go to the Stop that is yielded, but for those that were ignored before."""
    stop = Stop()
    with _handled_by(stop.handle):
        yield stop


def take_back() -> None:
    """Handle the signals again that a library took for itself, which Python does not notice."""
    for number in EXIT_CODES:
        handler = signal.getsignal(number)
        if callable(handler):
            signal.signal(number, handler)


@contextmanager
def postponed() -> Iterator[None]:
    """Signals act at the end. A process that is started meanwhile begins with SIGINT blocked."""
    seen = []
    try:
        with _handled_by(lambda number, frame: seen.append(number)), _interrupts_blocked():
            yield
    finally:
        if seen:
            signal.raise_signal(seen[0])


def leave_interrupts_to_parent() -> None:
    """In a child process: Ctrl-C reaches all processes of a terminal, and the parent handles it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _handled_by(handler: Callable) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # signals go to the main thread
        return
    before = {number: signal.getsignal(number) for number in EXIT_CODES}
    before = {number: old for number, old in before.items() if old != signal.SIG_IGN}
    try:
        for number in before:
            signal.signal(number, handler)
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old or signal.SIG_DFL)


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
