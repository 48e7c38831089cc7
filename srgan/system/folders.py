"""Folders that are complete or absent, whatever ends the program.

A folder NAME is filled as .NAME.xxxxxxxx.part, flushed to the disk, and renamed. Processes that
build the same folder wait for each other at the lock .lock-NAME beside it. What a killed run left
is removed by the next.
"""

import errno
import logging
import re
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from srgan.system import locks, signals
from srgan.system.errors import TRY_AGAIN, UserError
from srgan.system.files import clear_parts, sync, writing

log = logging.getLogger(__name__)
Loaded = TypeVar("Loaded")
DAMAGES = (  # what reading a folder may raise that was damaged or edited
    ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError, OverflowError,
    OSError,
)  # fmt: skip
_PART = re.compile(r"\.(.+)\.[0-9a-f]{8}\.part")


@contextmanager
def new(folder: Path, ours: re.Pattern | None = None) -> Iterator[Path]:
    """A temporary folder to fill, which takes the name `folder` at the end; on an error it goes.

    ours: names of the files that the program writes. Of a folder that has the name already these
    files are replaced, and all others stay: a user's notes. Without `ours` such a folder must be
    empty. Raises UserError (files.writing).
    """
    part = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.part")
    with signals.undone(lambda: shutil.rmtree(part, ignore_errors=True)):
        with writing(folder):
            part.mkdir()  # not its parents: a folder that vanished is reported, not made again
        yield part
        with writing(folder):
            _put_in_place(part, folder, ours)


def _put_in_place(part: Path, folder: Path, ours: re.Pattern | None) -> None:
    if folder.is_symlink() or folder.is_file():
        raise FileExistsError(errno.EEXIST, "something else has this name")
    sync(part)
    if ours is not None:
        remove(folder, ours)
    elif folder.exists():
        folder.rmdir()  # raises where it is not empty
    if folder.exists():  # with files of the user
        for path in part.iterdir():
            if (folder / path.name).is_dir():
                raise IsADirectoryError(errno.EISDIR, f"{path.name} in it is a folder")
        for path in sorted(part.iterdir(), key=lambda path: path.suffix == ".json"):
            path.rename(folder / path.name)  # last the index, without which it is not complete
        part.rmdir()
        sync(folder)
    else:
        part.rename(folder)
    sync(folder.parent)


def remove(folder: Path, ours: re.Pattern) -> None:
    """Delete the files with names that the program writes, and the folder if nothing is left."""
    if folder.is_symlink():
        return
    with suppress(OSError):
        for path in folder.iterdir():
            if ours.fullmatch(path.name) and not path.is_dir():
                path.unlink(missing_ok=True)
        folder.rmdir()


def open_or_build(
    folder: Path,
    load: Callable[[Path], Loaded | None],
    build: Callable[[Path], None],
    ours: re.Pattern,
) -> tuple[Loaded, bool]:
    """What `load` makes of a folder, which `build` fills first if it is absent or damaged.

    load: raises one of DAMAGES for a damaged folder, and returns None for one that has to be built
    again for another reason. ours: as in `new`. Returns what was loaded, and whether the folder was
    there already. Raises UserError: it cannot be written, or read back.
    """
    clear_stale(folder.parent)
    loaded, _ = _load(folder, load)
    if loaded is not None:
        return loaded, True
    waiting = f"another run builds {folder}: waiting for it"
    with locks.held(_lock_of(folder), lambda: log.info(waiting)) as is_locked:
        loaded, damage = _load(folder, load)  # another run may have built it meanwhile
        if loaded is None:
            if damage:
                log.warning(f"{folder} is corrupt ({damage}): rebuilt")
            clear_stale(folder.parent, folder.name if is_locked else None)
            with new(folder, ours) as part:
                build(part)
            loaded, damage = _load(folder, load)
    if loaded is None:
        raise UserError(
            f"{folder} could not be read back ({damage}): is the disk sound?", TRY_AGAIN
        )
    return loaded, False


def _load(folder: Path, load: Callable[[Path], Loaded | None]) -> tuple[Loaded | None, str]:
    """What was loaded, or why nothing was: empty where there is no damage."""
    if not folder.exists():
        return None, ""
    try:
        return load(folder), ""
    except DAMAGES as error:
        return None, fault(error)


def fault(error: Exception) -> str:
    """What is wrong with a damaged folder, from one of DAMAGES."""
    return str(error) if type(error) is ValueError else f"{type(error).__name__}: {error}"


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f".lock-{folder.name}")


def clear_stale(place: Path, own: str | None = None) -> None:
    """Remove what killed runs left half written in `place`.

    That are temporary files (files.write_whole), and temporary folders whose lock nobody holds or
    whose name is `own`, which we hold.
    """
    clear_parts(place)
    for path in place.glob(".*.part"):
        made = _PART.fullmatch(path.name)
        if made and (made[1] == own or locks.is_free(_lock_of(place / made[1]))):
            shutil.rmtree(path, ignore_errors=True)
