"""The folder that --output names: complete or absent, whatever ends the run."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from srgan.system import folders, signals
from srgan.system.errors import UserError
from srgan.system.files import writing


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
        with folders.new(place) as part:
            yield part
