"""Folders that are complete or absent: damage, kills, full disks, and what a user put there.

What is checked here with a small folder holds for the store, its noise, its nodules, checkpoints
and the output of --run simulate; each has one light test of its own.
"""

import errno
import json
import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from srgan.system import files, folders, locks
from srgan.system.checksums import read_sealed_json, sha256_of_file, write_sealed_json
from srgan.system.errors import BAD_INPUT, TRY_AGAIN, UserError
from tests.conftest import ROOT
from tests.helpers import full_disk

without_room = full_disk.without_room
OURS = re.compile(r"index\.json|data\.bin")
DATA = bytes(range(256)) * 40


def build(part: Path) -> None:
    with files.writing(part):
        (part / "data.bin").write_bytes(DATA)
        files.sync(part / "data.bin")
        index = {"format": 1, "sum": sha256_of_file(part / "data.bin"), "numbers": [1, 2.5, "x"]}
        write_sealed_json(part / "index.json", index)


def load(folder: Path) -> bytes:
    index = read_sealed_json(folder / "index.json")
    if sha256_of_file(folder / "data.bin") != index["sum"]:
        raise ValueError("data.bin was changed")
    return (folder / "data.bin").read_bytes()


def open_or_build(folder: Path, load=load, build=build):
    return folders.open_or_build(folder, load, build, OURS)


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder that was built."""
    assert open_or_build(tmp_path / "store" / "abc") == (DATA, False)
    return tmp_path / "store" / "abc"


def never(part):
    pytest.fail("it was built again")


def names(place: Path) -> list[str]:
    return sorted(p.name for p in place.iterdir())


def test_a_folder_is_built_once_and_opened_again(folder, said):
    assert open_or_build(folder, build=never) == (DATA, True)
    assert names(folder.parent) == [".lock-abc", "abc"]
    assert names(folder) == ["data.bin", "index.json"]
    assert not said


def test_a_folder_that_load_declines_is_rebuilt_without_a_message(folder, said):
    def new(part):
        build(part)
        (part / "data.bin").write_bytes(b"new")
        write_sealed_json(part / "index.json", {"sum": sha256_of_file(part / "data.bin")})

    assert open_or_build(folder, lambda f: found if (found := load(f)) != DATA else None, new) == (
        b"new",
        False,
    )
    assert not said


def _write(name: str, content: str | bytes):
    content = content.encode() if isinstance(content, str) else content
    return lambda folder: (folder / name).write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        lambda f: (f / "index.json").unlink(),
        lambda f: (f / "data.bin").unlink(),
        lambda f: os.truncate(f / "data.bin", len(DATA) - 1),
        lambda f: os.truncate(f / "index.json", 1 << 40),
        lambda f: (f / "index.json").write_text((f / "index.json").read_text() + "}"),
        lambda f: (f / "index.json").write_text((f / "index.json").read_text().replace("2.5", "3")),
        _write("data.bin", DATA + b"more"),
        _write("data.bin", b"\xff" * len(DATA)),
        _write("index.json", b""),
        _write("index.json", "{"),
        _write("index.json", "[]"),
        _write("index.json", "null"),
        _write("index.json", '"x"'),
        _write("index.json", "9" * 10**5),
        _write("index.json", "{}"),
        _write("index.json", '{"sha256": ""}'),
        _write("index.json", '{"sha256": 3, "x": NaN}'),
        _write("index.json", "[" * 10**6),
        _write("index.json", "{" * 100),
        _write("index.json", b"\xff\xfe"),
    ],
)
def test_a_damaged_folder_is_rebuilt_with_one_message_and_keeps_the_users_files(
    folder, said, damage
):
    (folder / "notes.txt").write_text("mine")
    (folder / "more").mkdir()
    damage(folder)
    assert open_or_build(folder) == (DATA, False)
    (line,) = said
    assert re.fullmatch(rf"{folder} is corrupt \(.+\): rebuilt", line)
    assert names(folder) == ["data.bin", "index.json", "more", "notes.txt"]
    assert (folder / "notes.txt").read_text() == "mine"
    assert open_or_build(folder, build=never) == (DATA, True)
    assert names(folder.parent) == [".lock-abc", "abc"]


def test_a_flipped_bit_is_detected(folder):
    rng = random.Random(4)
    for path in (folder / "data.bin", folder / "index.json"):
        whole = path.read_bytes()
        for _ in range(100):
            content = bytearray(whole)
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
            path.write_bytes(content)
            with pytest.raises(folders.DAMAGES):
                load(folder)
        path.write_bytes(whole)
    load(folder)


def test_sealed_json_may_be_reformatted_and_refuses_nan(tmp_path):
    path = tmp_path / "a.json"
    write_sealed_json(path, {"b": [1.5, None], "a": "é"})
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(dict(sorted(content.items()))))
    assert read_sealed_json(path) == {"b": [1.5, None], "a": "é"}
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_sealed_json(path, {"a": float("nan")})
    assert read_sealed_json(path)["a"] == "é"


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit, ValueError, MemoryError])
@pytest.mark.parametrize("there", [False, True])
def test_a_build_that_is_stopped_leaves_nothing(tmp_path, stop, there):
    place = tmp_path / "store"
    place.mkdir()
    if there:
        build_damaged(place / "abc")

    def stopped(part):
        build(part)
        raise stop

    before = sorted(place.rglob("*"))
    with pytest.raises(stop):
        open_or_build(place / "abc", build=stopped)
    assert sorted(p for p in place.rglob("*") if p.name != ".lock-abc") == before


def build_damaged(folder: Path) -> None:
    folder.mkdir()
    build(folder)
    (folder / "data.bin").write_bytes(b"damaged")
    (folder / "notes.txt").write_text("mine")


KILLED = f"""
import os, shutil, signal, sys
from pathlib import Path
sys.path.insert(0, {str(ROOT)!r})
from tests.system.test_folders import DATA, build_damaged, names, open_or_build

place, with_notes = Path(sys.argv[1]), sys.argv[2] == "notes"
WRITES = ("open", "os.rename", "os.remove", "os.rmdir", "os.mkdir")
moment, killed = 0, True
while killed:
    moment += 1
    place.mkdir()
    if with_notes:
        build_damaged(place / "abc")
    child = os.fork()
    if child == 0:
        seen = 0
        def tick(event, arguments):
            global seen
            if event in WRITES and isinstance(arguments[0], (str, os.PathLike)):
                seen += os.fspath(arguments[0]).startswith(str(place))
                if seen == moment:
                    os.kill(os.getpid(), signal.SIGKILL)
        sys.addaudithook(tick)
        assert open_or_build(place / "abc")[0] == DATA
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    killed = status == -signal.SIGKILL
    assert killed or status == 0
    if with_notes:
        assert (place / "abc" / "notes.txt").read_text() == "mine", moment
    assert open_or_build(place / "abc")[0] == DATA, moment
    assert [n for n in names(place) if n != ".lock-abc"] == ["abc"], (moment, names(place))
    notes = ["notes.txt"] if with_notes else []
    assert names(place / "abc") == ["data.bin", "index.json", *notes], moment
    shutil.rmtree(place)
print(moment)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.parametrize("mode", ["new", "notes"])
def test_kill_9_at_every_write_leaves_nothing_and_loses_no_user_file(tmp_path, mode):
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path / "store"), mode],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 8


BUILDER = f"""
import sys, time
from pathlib import Path
sys.path.insert(0, {str(ROOT)!r})
from tests.system import test_folders
from srgan.system import log

def build(part):
    test_folders.build(part)
    print("builds", flush=True)
    time.sleep(1)

log.set_up()
made, was_there = test_folders.open_or_build(Path(sys.argv[1]), build=build)
print(len(made), was_there)
"""


def test_two_builders_at_once_wait_for_each_other(tmp_path):
    command = [sys.executable, "-c", BUILDER, str(tmp_path / "abc")]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    both = [subprocess.Popen(command, **pipes) for _ in range(2)]
    outputs = sorted(process.communicate() for process in both)
    assert [out for out, _ in outputs] == [f"{len(DATA)} False\n", f"builds\n{len(DATA)} False\n"]
    assert outputs[0][1] == f"another run builds {tmp_path / 'abc'}: waiting for it\n"
    assert outputs[1][1] == ""


def test_leftovers_of_killed_runs_are_removed_and_those_of_living_runs_stay(tmp_path):
    ours = [".aaa.01234567.part", ".bbb.89abcdef.part"]
    others = [".notes.part", ".ccc.01234567.part", "aaa.01234567.part", ".aaa.0123456.part"]
    for name in ours + others:
        (tmp_path / name).mkdir()
        (tmp_path / name / "index.json").touch()
    (tmp_path / ".lock-aaa").touch()  # its holder is dead; nobody ever held one of ccc
    (tmp_path / ".index.999999999.part.json").touch()  # a file of a process that is gone
    with locks.held(tmp_path / ".lock-bbb"):
        open_or_build(tmp_path / "abc")
        left = set(names(tmp_path))
        assert left & {*ours, *others} == {ours[1], *others}
        assert ".index.999999999.part.json" not in left
    open_or_build(tmp_path / "abc")
    assert set(names(tmp_path)) & {*ours, *others} == set(others)


def test_a_full_disk_is_reported_and_nothing_is_left(without_room):
    place, take = without_room
    for_the_data_alone = (12_288,) if take is full_disk.full else ()
    rooms = (0, 4096, 10_200, *for_the_data_alone)
    full_disk.check(without_room, lambda: open_or_build(place / "abc"), rooms)


def test_a_full_disk_keeps_the_users_files(without_room):
    place, _ = without_room
    build_damaged(place / "abc")
    for room in (0, 4096, 10_200):
        assert full_disk.refused(without_room, room, lambda: open_or_build(place / "abc"))
        assert (place / "abc" / "notes.txt").read_text() == "mine"
    assert open_or_build(place / "abc") == (DATA, False)


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (errno.ENOSPC, TRY_AGAIN),
        (errno.EDQUOT, TRY_AGAIN),
        (errno.EFBIG, TRY_AGAIN),
        (errno.EIO, TRY_AGAIN),
        (errno.EROFS, BAD_INPUT),
        (errno.EACCES, BAD_INPUT),
    ],
)
@pytest.mark.parametrize("call", ["mkdir", "rename", "write_bytes"])
def test_the_error_number_decides_the_exit_code(tmp_path, monkeypatch, call, number, code):
    def refuse(*_, **__):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, call, refuse)
    with pytest.raises(UserError, match=f"cannot write .*{os.strerror(number)}") as refused:
        open_or_build(tmp_path / "abc")
    assert refused.value.exit_code == code
    assert names(tmp_path) in ([], [".lock-abc"])


def test_a_place_that_vanished_is_reported_and_not_made_again(tmp_path):
    with (
        pytest.raises(UserError, match="No such file") as refused,
        folders.new(tmp_path / "gone" / "abc", OURS),
    ):
        pytest.fail("it is not there")
    assert refused.value.exit_code == TRY_AGAIN
    assert not (tmp_path / "gone").exists()


def test_a_name_that_is_taken_is_reported(tmp_path, folder):
    (tmp_path / "file").write_text("a file")
    (tmp_path / "link").symlink_to(folder)
    for name in ("file", "link"):
        with (
            pytest.raises(UserError, match="something else has this name") as refused,
            folders.new(tmp_path / name, OURS) as part,
        ):
            build(part)
        assert refused.value.exit_code == BAD_INPUT
    assert (tmp_path / "file").read_text() == "a file"
    assert load(folder) == DATA


def test_a_user_folder_with_the_name_of_a_program_file_stays_and_is_reported(folder):
    (folder / "data.bin").unlink()
    (folder / "data.bin").mkdir()
    (folder / "data.bin" / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"data\.bin in it is a folder"):
        open_or_build(folder)
    assert (folder / "data.bin" / "notes.txt").read_text() == "mine"


def test_new_without_file_names_refuses_a_folder_that_is_not_empty(tmp_path):
    (tmp_path / "empty").mkdir()
    with folders.new(tmp_path / "empty") as part:
        build(part)
    assert load(tmp_path / "empty") == DATA
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "index.json").write_text("mine")
    with pytest.raises(UserError, match="cannot write"), folders.new(tmp_path / "mine") as part:
        build(part)
    assert names(tmp_path / "mine") == ["index.json"]
    assert names(tmp_path) == ["empty", "mine"]


def test_remove_deletes_program_files_only(folder, tmp_path):
    (folder / "notes.txt").write_text("mine")
    (tmp_path / "link").symlink_to(folder)
    folders.remove(tmp_path / "link", OURS)
    assert load(folder) == DATA
    folders.remove(folder, OURS)
    assert names(folder) == ["notes.txt"]
    (folder / "notes.txt").unlink()
    folders.remove(folder, OURS)
    assert not folder.exists()


def test_a_folder_that_cannot_be_read_back_is_reported(tmp_path):
    def damaged(part):
        build(part)
        (part / "data.bin").write_bytes(b"")

    with pytest.raises(UserError, match=r"read back \(data.bin was changed\)") as refused:
        open_or_build(tmp_path / "abc", build=damaged)
    assert refused.value.exit_code == TRY_AGAIN


def test_a_folder_is_flushed_before_the_rename_and_its_parent_after(tmp_path, monkeypatch):
    flushed = []
    monkeypatch.setattr(folders, "sync", lambda path: flushed.append((path.name, names(tmp_path))))
    with folders.new(tmp_path / "abc", OURS) as part:
        build(part)
    assert flushed == [(part.name, [part.name]), (tmp_path.name, ["abc"])]


def test_a_folder_is_built_on_a_file_system_without_locks(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr(locks.filelock, "lock_descriptor", refuse)
    (tmp_path / ".abc.01234567.part").mkdir()  # perhaps another run's
    (tmp_path / ".lock-abc").touch()
    assert open_or_build(tmp_path / "abc") == (DATA, False)
    assert (tmp_path / ".abc.01234567.part").exists()
    shutil.rmtree(tmp_path / "abc")
