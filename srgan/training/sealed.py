"""Sealed folders: complete or absent, every file under its SHA-256 in a manifest."""

import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from srgan import __version__
from srgan.system.errors import UserError, reason
from srgan.system.files import read_bounded, sync, write_json, writing

FORMAT = 1
MANIFEST = "manifest.json"
MOST_BYTES = 256 << 20  # of a file of weights; a generator has 3 to 6 MB
MOST_OF_STATE = 32 << 30  # of one file: hashed in a minute
MOST_OF_MANIFEST = 8 << 20  # 70 bytes for each slice that was trained on
PART = re.compile(r"\.(step|srresnet|srgan)-\d{7,}\.part")
KEPT = re.compile(r"\.(step|srresnet|srgan)-\d{7,}\.kept")  # a user's files, see _replace
_OURS = re.compile(
    r"manifest\.json|generator\.(npz|weights\.h5)|state\.(index|data-\d{5}-of-\d{5})"
)


class Corrupt(UserError):
    """A folder that is not what was written into it."""


def write(target: Path, fill: Callable[[Path], None], manifest: dict) -> None:
    """`fill` a folder under a temporary name; flush, hash and rename it.

    What the program did not write stays in a folder that had the name before. Raises UserError
    (files.writing); nothing is left behind then.
    """
    part = target.with_name(f".{target.name}.part")
    with writing(target):
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()  # not its parents: a folder that vanished is told, not made again
        try:
            fill(part)
            files = sorted(p for p in part.iterdir() if p.is_file())
            for path in files:
                sync(path)
            body = {"format": FORMAT, "version": __version__, "name": target.name, **manifest}
            body["files"] = {p.name: sha256_of(p) for p in files}
            write_json(part / MANIFEST, {**body, "sha256": _digest(body)})
            if (part / MANIFEST).stat().st_size > MOST_OF_MANIFEST:  # it would never be read again
                raise UserError(f"{target} would have too large a manifest: take fewer scans")
            sync(part)
            _replace(part, target)
            sync(target.parent)
        finally:
            shutil.rmtree(part, ignore_errors=True)


def _replace(part: Path, target: Path) -> None:
    """The same step is written again after a resume: the old files go, a user's are kept."""
    if target.is_symlink() or target.is_file():
        raise FileExistsError(errno.EEXIST, "something else has this name")
    remove(target)
    if not target.exists():
        part.rename(target)
        return
    kept = target.with_name(f".{target.name}.kept")
    target.rename(kept)
    part.rename(target)
    bring_back(kept)


def bring_back(kept: Path) -> None:
    """A user's files to the folder that they lay in, unless a name is taken. Raises OSError."""
    target = kept.with_name(kept.name[1:].removesuffix(".kept"))
    target.mkdir(exist_ok=True)
    for path in kept.iterdir():
        if not os.path.lexists(target / path.name):
            path.rename(target / path.name)
    with suppress(OSError):
        kept.rmdir()


def read(folder: Path) -> dict:
    """The manifest of a folder whose every file is whole.

    Raises Corrupt naming the fault, UserError where another version wrote it.
    """
    try:
        manifest = json.loads(read_bounded(folder / MANIFEST, MOST_OF_MANIFEST))
        body = {k: v for k, v in manifest.items() if k != "sha256"}
        if manifest["sha256"] != _digest(body):
            raise Corrupt(f"{folder} is corrupt: {MANIFEST} was altered")
        if manifest["format"] != FORMAT:
            raise UserError(
                f"{folder} was written by version {manifest.get('version')} in format "
                f"{manifest['format']}; this is version {__version__}, which reads {FORMAT}"
            )
        if manifest.get("name", folder.name) != folder.name:
            raise Corrupt(f"{folder} is corrupt: it was written as {manifest['name']}")
        for name, digest in manifest["files"].items():
            if Path(name).name != name or not _is_whole(folder / name, digest):
                raise Corrupt(f"{folder} is corrupt: {name} is not what was written")
    except FileNotFoundError as error:
        raise Corrupt(f"{folder} is corrupt: {MANIFEST} is missing") from error
    except OSError as error:
        raise Corrupt(f"{folder} cannot be read: {reason(error)}") from error
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Corrupt(f"{folder} is corrupt: {type(error).__name__}: {error}") from error
    return manifest


def _is_whole(path: Path, digest: str) -> bool:
    """Is it a file of a size that is worth hashing, and of that content?"""
    most = MOST_OF_STATE if path.name.startswith("state.") else MOST_BYTES
    return path.is_file() and path.stat().st_size <= most and sha256_of(path) == digest


def content(folder: Path, manifest: dict, name: str) -> bytes:
    """A file's bytes, which are those that were hashed. Raises Corrupt."""
    try:
        found = read_bounded(folder / name, MOST_BYTES)
    except OSError as error:
        raise Corrupt(f"{folder} cannot be read: {reason(error)}") from error
    if hashlib.sha256(found).hexdigest() != manifest["files"].get(name):
        raise Corrupt(f"{folder} is corrupt: {name} is not what was written")
    return found


def is_ours(folder: Path) -> bool:
    """Does it hold a file that the program writes?"""
    try:
        return any(_OURS.fullmatch(p.name) for p in folder.iterdir())
    except OSError:
        return False


def remove(folder: Path) -> None:
    """Delete what the program wrote in it, and the folder if nothing else is left."""
    if folder.is_symlink():
        return
    with suppress(OSError):
        for path in folder.iterdir():
            if _OURS.fullmatch(path.name):
                path.unlink(missing_ok=True)
        folder.rmdir()


def sha256_of(path: Path) -> str:
    """Of a file's content, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(body: dict) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
