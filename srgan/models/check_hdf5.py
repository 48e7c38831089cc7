"""What a file of weights may hold before anything is read from it."""

from pathlib import Path

import h5py

MAX_OBJECTS = 10_000


def check(path: Path, most_bytes: int) -> None:
    """Numbers alone, in this file alone, at most `most_bytes` of them once unpacked.

    HDF5 lets a file name others (external and soft links, external and virtual datasets) and say
    any size for a dataset that takes no room. Raises ValueError, or OSError where it is no HDF5.
    """
    seen, n_bytes = set(), 0
    with h5py.File(path, "r") as file:
        pending: list[h5py.Group] = [file]
        while pending:
            group = pending.pop()
            for name in group:
                if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                    raise ValueError("it holds a link")
                item = group[name]
                place = h5py.h5o.get_info(item.id).addr
                if place in seen:  # a group may hold itself
                    continue
                seen.add(place)
                if len(seen) > MAX_OBJECTS:
                    raise ValueError(f"it holds more than {MAX_OBJECTS} arrays and groups")
                if isinstance(item, h5py.Group):
                    pending.append(item)
                    continue
                n_bytes += _array_bytes(item)
                if n_bytes > most_bytes:
                    raise ValueError(f"it holds more than {most_bytes >> 20} MiB")


def _array_bytes(item) -> int:
    if not isinstance(item, h5py.Dataset) or item.dtype.kind not in "fiu":
        raise ValueError("it holds something else than numbers")
    if item.is_virtual or item.external:
        raise ValueError("an array of it lies in another file")
    return item.nbytes
