"""The checkpoint folder: the states and models in it, its lock, and old runs set aside.

Each folder in it is complete or absent (see sealed.py): `step-0001200/` is a state to resume from,
`srresnet-0001200/` and `srgan-0001800/` are models to test and use. Files that the program did not
write are never deleted.
"""

import logging
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from srgan.system import locks
from srgan.system.errors import UserError, reason
from srgan.system.files import clear_parts, writing
from srgan.training import sealed
from srgan.training.manifest import Manifest

log = logging.getLogger(__name__)

_NAME = re.compile(r"(step|srresnet|srgan)-(\d{7,})")
_TRIAL = re.compile(r"\.trial-\w{8}")  # a state that was saved to time it


@dataclass(frozen=True)
class Saved:
    """A whole state or model: every file of it is what was written."""

    path: Path
    manifest: Manifest


def saved_in(folder: Path, *kinds: str) -> list[Path]:
    """Folders of these kinds ("step", "srresnet", "srgan"), oldest first.

    Raises UserError where `folder` cannot be read; one that is not there holds none.
    """
    try:
        paths = [p for p in folder.iterdir() if p.is_dir()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UserError(f"cannot read {folder}: {reason(error)}") from error
    found = [p for p in paths if (m := _NAME.fullmatch(p.name)) and m[1] in kinds]
    return sorted(found, key=step_of)


def step_of(path: Path) -> int:
    """The step in the name of a state or model. Raises TypeError for another name."""
    return int(_NAME.fullmatch(path.name)[2])


def read(path: Path) -> Saved:
    """Check a state or model. Raises sealed.Corrupt, or UserError if another version wrote it."""
    content = sealed.read(path)
    try:
        return Saved(path, Manifest.from_dict(content))
    except ValueError as error:
        raise sealed.Corrupt(f"{path} is corrupt: manifest.json: {error}") from error


def newest_whole(paths: Sequence[Path]) -> tuple[Saved | None, dict[Path, sealed.Corrupt]]:
    """The last of these that is whole, and what is wrong with those after it.

    Raises UserError where another version wrote one of those.
    """
    faults = {}
    for path in reversed(paths):
        try:
            return read(path), faults
        except sealed.Corrupt as error:
            faults[path] = error
    return None, faults


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Hold the lock of a checkpoint folder, and remove what a killed run left half written.

    Raises UserError (exit code 75) while a living process holds it.
    """
    with locks.sole(folder / ".lock", "--checkpoint-dir") as is_locked:
        if is_locked:
            _clear(folder)
        else:
            log.warning(
                f"files cannot be locked in {folder}: make sure yourself that no second "
                f"training writes there"
            )
        yield


def _clear(folder: Path) -> None:
    clear_parts(folder)
    for path in sorted(folder.iterdir()):
        if sealed.PART.fullmatch(path.name) or _TRIAL.fullmatch(path.name):
            shutil.rmtree(path, ignore_errors=True)


def set_aside(folder: Path, patterns: Sequence[str]) -> Path | None:
    """Move the files that match into a new folder `aside-001` (the next free number) in `folder`.

    Returns the new folder, or None where nothing matches. Raises UserError.
    """
    with writing(folder):
        old = sorted({p for pattern in patterns for p in folder.glob(pattern)})
        if not old:
            return None
        number = 1
        while (aside := folder / f"aside-{number:03}").exists():
            number += 1
        aside.mkdir()
        for path in old:
            os.rename(path, aside / path.name)
    return aside
