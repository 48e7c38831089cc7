"""Progress of long jobs: one line that is redrawn on a terminal, now and then a line elsewhere."""

import sys
import time

BAR = 24


def log(text: str) -> None:
    """One plain line on stderr; results go to stdout."""
    clear()
    print(text, file=sys.stderr, flush=True)


def clear() -> None:
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


class Progress:
    """Call it with (done, total, text); it draws at most ten times a second."""

    def __init__(self):
        self.start = self.drawn = time.monotonic()
        self.total = None

    def __call__(self, done: int, total: int, text: str = "") -> None:
        now = time.monotonic()
        if total != self.total or done <= 1:
            self.start, self.total = now, total
        finished = done >= total
        every = 0.1 if sys.stderr.isatty() else 30.0
        if now - self.drawn < every and not (finished and sys.stderr.isatty()):
            return
        self.drawn = now
        left = (now - self.start) * (total - done) / max(done, 1)
        line = f"{text} {done}/{total}, {duration(left)} left"
        if sys.stderr.isatty():
            filled = "#" * (BAR * done // max(total, 1))
            print(f"\r\x1b[K[{filled:-<{BAR}}] {line}", end="", file=sys.stderr, flush=True)
            if finished:
                clear()
        else:
            print(line, file=sys.stderr, flush=True)
