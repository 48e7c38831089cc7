"""A folder that is filled is complete or absent; what killed runs left of it goes."""

import os
import signal
import subprocess
import sys
import time

import pytest

from srgan.system.errors import UserError
from srgan.whole_scans.output_folder import new_folder
from tests.conftest import ROOT

FILL = """
import sys, time
from pathlib import Path
from srgan.whole_scans.output_folder import new_folder
with new_folder(Path(sys.argv[1])) as part:
    (part / "slice").write_text("half")
    print("filled", flush=True)
    time.sleep(60)
"""


def _filling(folder) -> subprocess.Popen:
    """A process that has begun to fill the folder."""
    command = [sys.executable, "-c", FILL, str(folder)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"filled\n"
    return process


def test_the_next_run_removes_what_a_killed_one_left_and_nothing_of_one_that_lives(tmp_path):
    killed, lives = _filling(tmp_path / "out"), _filling(tmp_path / "out")
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert len(os.listdir(tmp_path)) == 2
    with new_folder(tmp_path / "out") as part:
        (part / "slice").write_text("whole")
    left = sorted(os.listdir(tmp_path))
    assert len(left) == 2
    assert left[1] == "out"
    assert os.listdir(tmp_path / "out") == ["slice"]
    lives.kill()
    lives.wait()


def test_what_was_left_without_a_lock_goes_when_it_is_old(tmp_path):
    """A run that is killed between its folder and its lock, or between its lock and the end."""
    for name, age_s in (("00000000", 3600), ("11111111", 0)):
        left = tmp_path / f".out.{name}.part"
        left.mkdir()
        (left / "slice").write_text("whole")
        os.utime(left, (time.time() - age_s,) * 2)
    with new_folder(tmp_path / "out") as part:
        (part / "slice").write_text("whole")
    assert sorted(os.listdir(tmp_path)) == [".out.11111111.part", "out"]


def test_a_folder_that_holds_something_is_refused_and_an_error_leaves_nothing(tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "a").write_text("a")
    with pytest.raises(UserError, match="is not empty"), new_folder(tmp_path / "full"):
        pass
    with pytest.raises(ZeroDivisionError), new_folder(tmp_path / "new" / "out"):
        _ = 1 / 0
    assert os.listdir(tmp_path) == ["full"]
