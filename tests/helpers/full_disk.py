"""A disk without room: a limit of file sizes (RLIMIT_FSIZE), or a small tmpfs that is full."""

import contextlib
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from srgan.system.errors import TRY_AGAIN, UserError

resource = pytest.importorskip("resource", reason="no limit of file sizes on this system")
MEGABYTE = 1 << 20


@contextlib.contextmanager
def limited(folder: Path, room: int):
    """No file may grow beyond `room` bytes."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))


@contextlib.contextmanager
def full(folder: Path, room: int):
    """The folder's disk has `room` bytes left."""
    filler = folder / "filler"
    stat = os.statvfs(folder)
    filler.write_bytes(bytes(max(0, stat.f_bavail * stat.f_frsize - room)))
    try:
        yield
    finally:
        filler.unlink()


@contextlib.contextmanager
def small_disk(folder: Path, megabytes: int):
    """A tmpfs of its own at `folder`; skips where mounting is not allowed."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    if not shutil.which("mount") or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting a small tmpfs is not allowed here")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture(params=["limit", "disk"])
def without_room(request, tmp_path):
    """(a folder, how to take its room)."""
    folder = tmp_path / "disk"
    if request.param == "limit":
        folder.mkdir()
        yield folder, limited
    else:
        with small_disk(folder, 24):
            yield folder, full


def content(folder: Path) -> dict[Path, bytes]:
    """Every file but empty locks."""
    files = [p for p in folder.rglob("*") if p.is_file() and p.name != "filler"]
    return {p: p.read_bytes() for p in files if not p.name.startswith(".lock")}


def refused(without_room, room: int, write) -> bool:
    """Did `write` fail? Then with one line and exit code 75, and no temporary file is left."""
    folder, take = without_room
    try:
        with take(folder, room):
            write()
    except UserError as raised:
        error = raised
    else:
        return False
    assert error.exit_code == TRY_AGAIN
    assert re.search("File too large|No space left|GB (are )?free", str(error))
    assert not list(folder.rglob("*.part*"))
    return True


def check(without_room, write, rooms) -> None:
    """`write` is refused in all of the rooms, with what was there before whole; then it works."""
    folder, _ = without_room
    old = content(folder)
    for room in rooms:
        assert refused(without_room, room, write), room
        assert content(folder) == old, room
    write()
    assert content(folder) != old
