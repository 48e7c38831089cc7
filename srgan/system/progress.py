"""Progress of long jobs: a row with a bar on a terminal, now and then a line elsewhere."""

import logging
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from srgan.system.log import on_terminal, show_progress, size

log = logging.getLogger(__name__)
Item = TypeVar("Item")
LINE_EVERY_S = 30.0  # where there is no terminal
DRAW_EVERY_S = 0.1
WIDEST_BAR = 24  # characters, a fifth of a narrow row


def progress(items: Iterable[Item], total: int, text: str) -> Iterator[Item]:
    """The items of a loop; the user sees how many of `total` are done."""
    with Progress(total, text) as bar:
        yield from bar.over(items)


class Progress:
    """Several loops that are one job, or steps that differ in cost; see `progress` for one loop."""

    def __init__(self, total: int, text: str = ""):
        self.total, self.text, self.done = total, text, 0
        self._last_line = time.monotonic()
        self._first: tuple[float, float] | None = None  # time and work of the first update
        self._drawn: float | None = None  # when the row was drawn last

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *error) -> None:
        if self._drawn is not None:
            show_progress("")

    def over(self, items: Iterable[Item]) -> Iterator[Item]:
        """The items of one of the loops; each is done when the next one is asked for."""
        for item in items:
            yield item
            self.update(self.done + 1)

    def update(self, done: int, work: float | None = None) -> None:
        """work: share of the whole job that is done, where its steps differ in cost.

        Set `text` before to change what is shown. The time left is measured from the first update
        on: what comes before it (reading, compiling) comes once.
        """
        self.done, now = done, time.monotonic()
        work = done / self.total if work is None else work
        self._first = started, before = self._first or (now, work)
        left_s = (now - started) * (1 - work) / max(work - before, 1e-6)
        counts = f"{done}/{self.total}, {_clock(left_s)} left"
        if on_terminal():
            if self._drawn is None or now - self._drawn >= DRAW_EVERY_S:
                self._drawn = now
                show_progress(_row(self.text, counts, work, size().columns - 1))
        elif now - self._last_line >= LINE_EVERY_S:
            self._last_line = now
            log.info(f"{self.text} {counts}")


def _row(text: str, counts: str, work: float, room: int) -> str:
    """A row of at most `room` characters; where it is short, the text is cut first."""
    width = min(WIDEST_BAR, room // 5)
    full = round(width * min(work, 1.0))
    bar = f"{'#' * full}{'.' * (width - full)} "
    text = text[: max(room - len(bar) - len(counts) - 1, 0)]
    return f"{bar}{text} {counts}"[:room] if text else f"{bar}{counts}"[:room]


def _clock(seconds: float) -> str:
    """ "02:40", and from an hour on "1:02:40"."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes:02}:{seconds:02}"
