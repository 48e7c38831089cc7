"""Files that are mapped into memory: whose memory their pages count as."""

import mmap
from collections.abc import Iterable


def files_of(arrays: Iterable) -> list[mmap.mmap]:
    """The mapped files, each once, that arrays are views of; arrays in memory have none."""
    found = {}
    for array in arrays:
        while array is not None and not isinstance(array, mmap.mmap):
            array = getattr(array, "base", None)
        if array is not None:
            found[id(array)] = array
    return list(found.values())


def forget(files: Iterable[mmap.mmap]) -> None:
    """Give back the pages that were read, which count as memory of this process.

    They stay in the system's cache while there is room, and are mapped again when they are read.
    """
    for file in files:
        if hasattr(file, "madvise"):  # not on Windows
            file.madvise(mmap.MADV_DONTNEED)
