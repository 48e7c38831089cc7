"""Check a VGG19 .h5 file that the user names, before Keras reads it."""

from pathlib import Path

import h5py

MAX_OBJECTS = 10_000


def check(path: Path, most_bytes: int) -> None:
    """Raises ValueError unless the file holds nothing but numbers, at most `most_bytes` of them.

    An HDF5 file can refer to other files (links, external and virtual datasets) and can declare a
    huge dataset that takes no space in it. Raises OSError where it is no HDF5.
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
