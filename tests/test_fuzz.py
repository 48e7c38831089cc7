"""Mutated files end in a reason: a few here, 11,000 with `python benchmarks/fuzz.py`."""

import subprocess
import sys
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.fuzz import Fuzz
from benchmarks.fuzzing import watched
from srgan.system.errors import Skip, UserError
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def fuzz(tmp_path_factory):
    return Fuzz(tmp_path_factory.mktemp("fuzz"))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("kind", "n"), [("metaimage", 250), ("dicom", 120), ("manifest", 120)])
def test_a_mutated_file_ends_in_a_reason_and_prints_nothing(fuzz, kind, n, capfd):
    @settings(max_examples=n, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(st.integers(0, 1 << 64))
    def read(seed: int) -> None:
        try:
            outcome = getattr(fuzz, kind)(Random(seed))
        except (Skip, UserError) as error:
            outcome = str(error)
        assert outcome

    read()
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_a_twentieth_of_the_files_under_strace():
    """No file outside of the given folder is opened or changed, where strace works."""
    watch = ["--watch"] if watched.works() else []
    command = [sys.executable, str(ROOT / "benchmarks" / "fuzz.py"), "--share", "0.05"]
    command += ["--most-s", "20", *watch]  # a hang; the script by itself holds it to 2 s
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    if not watch:
        pytest.skip("strace does not work here: which files are opened was not watched")
    assert "0 outside of the given folder" in done.stdout


def test_the_watch_tells_what_is_outside(tmp_path):
    mark = f'1 openat(AT_FDCWD, "{tmp_path}/{watched.MARK}%s", O_RDONLY) = -1 ENOENT'
    inside = [f'1 openat(AT_FDCWD, "{tmp_path}/a.dcm", O_RDWR|O_CREAT, 0600) = 3']
    inside += ['1 openat(AT_FDCWD, "/usr/lib/libc.so", O_RDONLY|O_CLOEXEC) = 3']
    outside = ['1 openat(AT_FDCWD, "/etc/passwd", O_RDONLY) = 3']
    outside += ['1 openat(AT_FDCWD, "/usr/lib/x", O_WRONLY|O_CREAT, 0600) = 3']
    outside += [f'1 openat(AT_FDCWD, "{tmp_path}/../outside.raw", O_RDONLY) = 3']
    outside += [f'1 rename("{tmp_path}/a", "{tmp_path.parent}/b") = 0']
    lines = [*outside, mark % "begin", *inside, *outside, mark % "end", *outside]
    assert watched.outside(lines) == (6, outside)
