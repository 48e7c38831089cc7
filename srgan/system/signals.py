"""SIGINT and SIGTERM: the first asks for the end, or ends at once where nothing would be lost."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from srgan.system.errors import INTERRUPTED, TERMINATED, Stopped, program

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stop:
    """number: the signal that came, or 0. waits: there is a step to finish and a state to save.

    leaves: there is nothing to save and nothing to tidy, so the process ends where it stands; an
    exception could get lost in code that TensorFlow calls while it traces.
    """

    def __init__(self):
        self.number, self.waits, self.leaves = 0, False, False

    @property
    def exit_code(self) -> int:
        return INTERRUPTED if self.number == signal.SIGINT else TERMINATED

    def note(self, number: int, _frame) -> None:
        """The handler. Raises Stopped, unless there is something to finish first."""
        first, self.number = not self.number, number
        if self.leaves:
            self.leave()
        if not first or not self.waits:
            raise Stopped(self.exit_code)
        # Not by print, which a handler must not call while another print is at work.
        os.write(2, b"\nstopping after this step; once more to stop at once\n")

    def leave(self) -> None:
        os.write(2, f"\n{program()}: {Stopped(self.exit_code)}\n".encode())
        os._exit(self.exit_code)


@contextmanager
def caught() -> Iterator[Stop]:
    """Both signals are noted in what is yielded, as long as this lasts."""
    stop, told = Stop(), sys.unraisablehook

    def lost(unraisable) -> None:
        """Stopped was raised where Python drops exceptions: the callback of a weak reference."""
        if isinstance(unraisable.exc_value, Stopped):
            stop.leave()
        told(unraisable)

    sys.unraisablehook = lost
    before = {number: signal.signal(number, stop.note) for number in SIGNALS}
    try:
        yield stop
    finally:
        sys.unraisablehook = told
        for number, handler in before.items():
            signal.signal(number, handler)
