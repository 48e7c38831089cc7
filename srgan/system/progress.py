"""Progress of long jobs: a bar with the time left on a terminal, now and then a line elsewhere."""

import logging
import shutil
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tqdm import tqdm

from srgan.system.log import on_terminal

log = logging.getLogger(__name__)
Item = TypeVar("Item")
LINE_EVERY_S = 30.0  # where there is no terminal


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
        self._bar: tqdm | None = None

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *error) -> None:
        if self._bar is not None:
            self._bar.close()

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
        left = (now - started) * (1 - work) / max(work - before, 1e-6)
        line = f"{self.text} {done}/{self.total}, {tqdm.format_interval(round(left))} left"
        if on_terminal():
            self._draw(line, work)
        elif now - self._last_line >= LINE_EVERY_S:
            self._last_line = now
            log.info(line)

    def _draw(self, line: str, work: float) -> None:
        if self._bar is None:
            columns, rows = shutil.get_terminal_size()  # a terminal may say 0, and tqdm believes it
            self._bar = tqdm(
                total=1.0,
                desc=line,
                bar_format="{bar:24} {desc}",
                ncols=columns,
                nrows=rows,
                miniters=0,
                leave=False,
            )
        self._bar.set_description_str(line, refresh=False)
        self._bar.update(work - self._bar.n)
