"""The folder that --output names: complete or absent, whatever ends the run."""

import contextlib
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from srgan.system import folders, locks, signals
from srgan.system.errors import UserError
from srgan.system.files import writing

LOCK = ".lock"  # in the hidden folder, as long as it is filled
WITHOUT_LOCK_S = 60  # a run makes its lock at once, and renames the folder at once without it


@contextlib.contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A hidden folder beside `folder` that takes its name at the end; on an error nothing is left.

    Raises UserError where `folder` holds something or cannot be made.
    """
    place = folder.resolve()
    with writing(folder):
        if place.is_dir() and any(place.iterdir()):
            raise UserError(f"--output {folder} is not empty: name a new folder")
        if place.exists() and not place.is_dir():
            raise UserError(f"--output {folder} is a file: name a new folder")
        new_parents = [p for p in place.parents if not p.exists()]

    def undo():
        for parent in new_parents:
            with contextlib.suppress(OSError):
                parent.rmdir()

    with signals.undone(undo):
        with writing(folder):
            place.parent.mkdir(parents=True, exist_ok=True)
            _clear_stale(place)
        with folders.new(place) as part:
            with locks.held(part / LOCK):
                yield part
            with writing(folder):
                (part / LOCK).unlink()


def _clear_stale(place: Path) -> None:
    """Remove what killed runs left of a folder of this name."""
    name = re.compile(rf"\.{re.escape(place.name)}\.[0-9a-f]{{8}}\.part")
    for path in place.parent.iterdir():
        if name.fullmatch(path.name) and _is_left(path):
            shutil.rmtree(path, ignore_errors=True)


def _is_left(part: Path) -> bool:
    """Has the run ended that filled this hidden folder? Without a lock it is about to go on."""
    if (part / LOCK).exists():
        return locks.is_free(part / LOCK)
    try:
        return time.time() - part.stat().st_mtime > WITHOUT_LOCK_S
    except OSError:
        return False
