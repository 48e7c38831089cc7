"""An output folder that is complete or absent, whatever ends the run."""

import contextlib
import shutil
from collections.abc import Iterator
from os import getpid
from pathlib import Path

from srgan.system import signals
from srgan.system.errors import UserError
from srgan.system.files import sync, writing


@contextlib.contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A hidden folder beside `folder` that takes its name at the end; on an error nothing is left.

    Raises UserError where `folder` holds something or cannot be made.
    """
    place = folder.resolve()
    part = place.with_name(f".{place.name}.{getpid()}.part")
    with writing(folder):
        if place.is_dir() and any(place.iterdir()):
            raise UserError(f"--output {folder} is not empty: name a new folder")
        if place.exists() and not place.is_dir():
            raise UserError(f"--output {folder} is a file: name a new folder")
        new_parents = [p for p in place.parents if not p.exists()]
    try:
        with writing(folder):
            part.mkdir(parents=True)
        yield part
        with writing(folder):
            if place.exists():
                place.rmdir()  # empty; Windows renames onto nothing that exists
            part.rename(place)
            sync(place.parent)
    except BaseException:
        with signals.ignored():
            shutil.rmtree(part, ignore_errors=True)
            for parent in new_parents:
                with contextlib.suppress(OSError):
                    parent.rmdir()
        raise
