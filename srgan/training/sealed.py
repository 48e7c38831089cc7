"""Checkpoint folders: complete or absent, every file under its SHA-256 in manifest.json."""

import hashlib
import re
from collections.abc import Callable
from pathlib import Path

from srgan import __version__
from srgan.system import folders
from srgan.system.checksums import read_sealed_json, sha256_of_file, write_sealed_json
from srgan.system.errors import UserError, reason
from srgan.system.files import read_bounded, sync, writing

FORMAT = 3  # 2: ReLU in the fast form, whose weights have the same shapes
MANIFEST = "manifest.json"
README = "README.md"  # without a checksum: a user may edit or delete it
MOST_BYTES = 256 << 20  # of a file of weights; a generator has 3 to 6 MB
MOST_OF_STATE = 32 << 30  # of one file: hashed in a minute
MOST_OF_MANIFEST = 8 << 20  # 70 bytes for each slice that was trained on
PART = re.compile(r"\.(step|srresnet|srgan)-\d{7,}\.[0-9a-f]{8}\.part")  # of a killed run
OURS = re.compile(r"manifest\.json|generator\.npz|state\.(index|data-\d{5}-of-\d{5})")


class Corrupt(UserError):
    """A folder that is not what was written into it."""


def write(target: Path, fill: Callable[[Path], None], manifest: dict) -> None:
    """`fill` a folder under a temporary name; hash its files but the README, flush and rename it.

    Files of the user stay in a folder that had the name before. Raises UserError (files.writing);
    nothing is left behind then.
    """
    with folders.new(target, OURS) as part, writing(target):
        fill(part)
        files = sorted(p for p in part.iterdir() if p.is_file())
        for path in files:
            sync(path)
        sums = {p.name: sha256_of_file(p) for p in files if p.name != README}
        about = {"format": FORMAT, "version": __version__, "name": target.name, **manifest}
        write_sealed_json(part / MANIFEST, {**about, "files": sums})
        if (part / MANIFEST).stat().st_size > MOST_OF_MANIFEST:  # it would never be read again
            raise UserError(f"{target} would have too large a manifest: take fewer scans")


def read(folder: Path) -> dict:
    """The manifest of a folder whose every file is whole.

    Raises Corrupt naming the fault, UserError where another version wrote it.
    """
    try:
        manifest = read_sealed_json(folder / MANIFEST, MOST_OF_MANIFEST)
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
    except folders.DAMAGES as error:
        raise Corrupt(f"{folder} is corrupt: {folders.fault(error)}") from error
    return manifest


def _is_whole(path: Path, digest: str) -> bool:
    """Is it a file of a size that is worth hashing, and of that content?"""
    most = MOST_OF_STATE if path.name.startswith("state.") else MOST_BYTES
    return path.is_file() and path.stat().st_size <= most and sha256_of_file(path) == digest


def content(folder: Path, name: str, digest: str | None) -> bytes:
    """The bytes of a file, which must have this SHA-256. Raises Corrupt."""
    try:
        found = read_bounded(folder / name, MOST_BYTES)
    except OSError as error:
        raise Corrupt(f"{folder} cannot be read: {reason(error)}") from error
    if hashlib.sha256(found).hexdigest() != digest:
        raise Corrupt(f"{folder} is corrupt: {name} is not what was written")
    return found


def is_ours(folder: Path) -> bool:
    """Does it hold a file that the program writes?"""
    try:
        return any(OURS.fullmatch(p.name) for p in folder.iterdir())
    except OSError:
        return False


def remove(folder: Path) -> None:
    """Delete what the program wrote in it, and the folder if nothing else is left."""
    folders.remove(folder, OURS)
