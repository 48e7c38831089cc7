"""SIGINT and SIGTERM. No other file changes the handlers of signals."""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from srgan.system.errors import INTERRUPTED, TERMINATED, Stopped, program

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """What a signal does, while `caught` holds.

    number: the signal that came, or 0. finishes_step: the program finishes a step and saves its
    state, and asks `number` then. exits_at_once: there is nothing to save, so the process exits
    where it stands (TensorFlow may swallow an exception while it traces). With neither, a signal
    raises Stopped, and so does a second one.
    """

    def __init__(self):
        self.number, self.finishes_step, self.exits_at_once = 0, False, False

    @property
    def exit_code(self) -> int:
        return INTERRUPTED if self.number == signal.SIGINT else TERMINATED

    def handle(self, number: int, _frame) -> None:
        first, self.number = not self.number, number
        if self.exits_at_once:
            self.exit_now()
        if not first or not self.finishes_step:
            raise Stopped(self.exit_code)
        # Not by print, which a handler must not call while another print is at work.
        os.write(2, b"\nstopping after this step; once more to stop at once\n")

    def exit_now(self) -> None:
        os.write(2, f"\n{program()}: {Stopped(self.exit_code)}\n".encode())
        os._exit(self.exit_code)


@contextmanager
def caught() -> Iterator[Stop]:
    """Signals go to the Stop that is yielded, also SIGINT where it was ignored before.

    (Shells ignore it for what they start in the background.)
    """
    stop, usual = Stop(), sys.unraisablehook

    def lost(unraisable) -> None:
        """Stopped was raised where Python drops exceptions: the callback of a weak reference."""
        if isinstance(unraisable.exc_value, Stopped):
            stop.exit_now()
        usual(unraisable)

    sys.unraisablehook = lost
    try:
        with _handled_by(stop.handle):
            yield stop
    finally:
        sys.unraisablehook = usual


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
def _handled_by(handler: Callable | int) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # signals go to the main thread
        return
    before = {number: signal.signal(number, handler) for number in SIGNALS}
    try:
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
