"""Locks: one holder, who is named, and none once it is dead."""

import errno
import os
import re
import socket
import subprocess
import sys

import pytest

from srgan.system import locks
from srgan.system.errors import BAD_INPUT, TRY_AGAIN, UserError
from tests.conftest import ROOT
from tests.helpers import full_disk

without_room = full_disk.without_room
HOLDER = """
import sys, time
from pathlib import Path
from srgan.system import locks
with getattr(locks, sys.argv[1])(Path(sys.argv[2]), *sys.argv[3:]):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock; holder("sole") or holder("held")."""
    started = []

    def start(kind):
        arguments = [kind, str(tmp_path / ".lock"), *(["--flag"] if kind == "sole" else [])]
        command = [sys.executable, "-c", HOLDER, *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def test_sole_names_the_holder_and_since_when(tmp_path, holder):
    other = holder("sole")
    with pytest.raises(UserError) as refused, locks.sole(tmp_path / ".lock", "--flag"):
        pytest.fail("held twice")
    assert refused.value.exit_code == TRY_AGAIN
    assert re.fullmatch(
        rf"{tmp_path} is held by another run \(process {other.pid} on {socket.gethostname()} since "
        rf"20..-..-.. ..:..:..\): wait for it, or name another --flag",
        str(refused.value),
    )


@pytest.mark.parametrize("kind", ["sole", "held"])
def test_a_lock_is_free_once_its_holder_is_killed(tmp_path, holder, kind):
    other = holder(kind)
    assert not locks.is_free(tmp_path / ".lock")
    other.kill()
    other.wait()
    assert locks.is_free(tmp_path / ".lock")
    with locks.sole(tmp_path / ".lock", "--flag") as is_locked:
        assert is_locked
        assert (tmp_path / ".lock").read_text().strip().startswith(f"process {os.getpid()} ")


def test_held_reports_waiting_once_and_waits_for_the_holder(tmp_path, holder):
    other, waits = holder("held"), []

    def on_wait():
        waits.append(1)
        other.kill()

    with locks.held(tmp_path / ".lock", on_wait) as is_locked:
        assert is_locked
    assert waits == [1]


def test_a_lock_file_that_does_not_exist_is_not_free(tmp_path):
    assert not locks.is_free(tmp_path / ".lock")
    assert not (tmp_path / ".lock").exists()


def test_on_a_full_disk_a_lock_holds_without_naming_its_holder(without_room):
    place, take = without_room
    (place / ".lock").touch()
    with take(place, 0), locks.sole(place / ".lock", "--flag") as is_locked:
        assert is_locked
        with pytest.raises(UserError, match="it has just begun"), locks.sole(place / ".lock", "-f"):
            pytest.fail("held twice")


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
@pytest.mark.parametrize("hold", [locks.held, lambda path: locks.sole(path, "--flag")])
def test_a_read_only_place_is_bad_input(tmp_path, monkeypatch, hold, number):
    def refuse(*_, **__):
        raise OSError(number, "no")

    monkeypatch.setattr(locks.os, "open", refuse)
    with pytest.raises(UserError, match="name a folder that can be written") as refused:
        hold(tmp_path / ".lock").__enter__()
    assert refused.value.exit_code == BAD_INPUT


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_on_a_file_system_without_locks_nothing_is_locked(tmp_path, monkeypatch, number):
    def refuse(*_, **__):
        raise OSError(number, "no")

    monkeypatch.setattr(locks.filelock, "lock_descriptor", refuse)
    for hold in (locks.held(tmp_path / ".lock"), locks.sole(tmp_path / ".lock", "--flag")):
        with hold as is_locked:
            assert not is_locked
    assert not locks.is_free(tmp_path / ".lock")
