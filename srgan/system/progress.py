"""Progress of long jobs: one line that is redrawn on a terminal, now and then a line elsewhere."""

import sys
import time
from contextlib import suppress

from srgan.system.errors import visible

BAR = 24


def log(text: str) -> None:
    """One plain line on stderr, whatever names are in it; results go to stdout."""
    clear()
    _say(f"{visible(text)}\n")


def _say(text: str) -> None:
    with suppress(OSError):  # a file of messages on a full disk ends no training
        print(text, end="", file=sys.stderr, flush=True)


def clear() -> None:
    if sys.stderr.isatty():
        _say("\r\x1b[K")


def duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


class Progress:
    """Call it with (done, total, text); it draws at most ten times a second.

    work: the share of all work that is done, where steps differ in cost.
    """

    def __init__(self):
        self.start = self.drawn = time.monotonic()
        self.total, self.first = None, 0.0

    def __call__(self, done: int, total: int, text: str = "", work: float | None = None) -> None:
        now = time.monotonic()
        work = done / max(total, 1) if work is None else work
        if total != self.total or done <= 1:
            self.start, self.total, self.first = now, total, work
        finished = done >= total
        every = 0.1 if sys.stderr.isatty() else 30.0
        if now - self.drawn < every and not (finished and sys.stderr.isatty()):
            return
        self.drawn = now
        left = (now - self.start) * (1 - work) / max(work - self.first, 1e-6)
        line = f"{text} {done}/{total}, {duration(left)} left"
        if sys.stderr.isatty():
            filled = "#" * (BAR * done // max(total, 1))
            _say(f"\r\x1b[K[{filled:-<{BAR}}] {line}")
            if finished:
                clear()
        else:
            _say(f"{line}\n")
