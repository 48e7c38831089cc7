"""Mutated files end in a reason: a few here, 13,000 with `python benchmarks/fuzz.py`."""

import logging
import os
import subprocess
import sys
from random import Random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.fuzz import Fuzz
from benchmarks.fuzzing.watch import Watch
from srgan.system.errors import Skip, UserError
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def fuzz(tmp_path_factory):
    return Fuzz(tmp_path_factory.mktemp("fuzz"))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("kind", "n"), [("metaimage", 250), ("dicom", 250), ("nifti_and_nrrd", 150), ("manifest", 120)]
)
def test_a_mutated_file_ends_in_a_reason_and_prints_nothing(fuzz, kind, n, capfd, caplog):
    # Not remarks: a manifest with another version in it is read, and the program says so.
    caplog.set_level(logging.WARNING, "srgan")

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
def test_a_twentieth_of_the_files_by_the_script():
    command = [sys.executable, str(ROOT / "benchmarks" / "fuzz.py"), "--share", "0.05"]
    command += ["--most-s", "20"]  # a hang; a busy machine is slower than the script allows
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 outside of the folder" in done.stdout


def test_the_watch_sees_what_is_opened_or_changed_outside_of_the_folder(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link.raw").symlink_to(tmp_path / "a")
    watch = Watch(tmp_path / "in")
    (tmp_path / "a").write_text("not watched yet")
    watch.on = True
    try:
        (tmp_path / "in" / "a.dcm").write_bytes(b"1")
        np.fromfile(tmp_path / "in" / "a.dcm", np.uint8)
        assert (watch.n_events, watch.outside) == (2, [])
        (tmp_path / "a").read_text()
        (tmp_path / "in" / "link.raw").read_text()
        (tmp_path / "in" / ".." / "b").write_text("outside")
        (tmp_path / "in" / "a.dcm").rename(tmp_path / "c")
        os.remove(tmp_path / "c")
        np.fromfile(tmp_path / "a", np.uint8)
    finally:
        watch.on = False
    assert [line.split()[0] for line in watch.outside] == [
        "open", "open", "open", "os.rename", "os.remove", "open",
    ]  # fmt: skip
