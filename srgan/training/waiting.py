"""How long a training waits for its data."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

Batch = TypeVar("Batch")


@dataclass
class Waiting:
    """Seconds of the training loop, of all its runs so far, and how many of them it waited."""

    waited_s: float = 0.0  # for a batch
    loop_s: float = 0.0

    @property
    def share(self) -> float:
        return self.waited_s / self.loop_s if self.loop_s else 0.0

    def over(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        """The batches, timed. The time up to the first one does not count."""
        iterator, before = iter(batches), None
        while True:
            asked = time.monotonic()
            batch = next(iterator, None)
            now = time.monotonic()
            if before is not None:
                self.waited_s += now - asked
                self.loop_s += now - before
            if batch is None:
                return
            before = now
            yield batch
