"""Read the slices of a volume that is opened once, when the first slice is asked for."""

from collections.abc import Callable
from functools import cache

import numpy as np

from srgan.formats.scan import Scan
from srgan.system.errors import Skip

ReadSlice = Callable[[int], np.ndarray]


def reader(scan: Scan, open_volume: Callable[[], ReadSlice]) -> ReadSlice:
    """A function from an index into scan.slices to (rows, columns) int16 HU; it raises Skip.

    open_volume: makes a function from the index in the file to a slice, or raises Skip. It is
    called once: a fault of the whole volume is found once and raised for every slice.
    """

    @cache
    def opened() -> ReadSlice | Skip:
        try:
            return open_volume()
        except Skip as skip:
            return skip
        except MemoryError:
            return Skip("too large", "the compressed volume does not fit into memory")

    def read(index: int) -> np.ndarray:
        if isinstance(read_slice := opened(), Skip):
            raise read_slice.with_traceback(None)
        return read_slice(scan.slices[index].index)

    return read
