"""The decoder's process: what ends it costs one slice, and nothing reaches the terminal."""

import os
import time

import numpy as np
import pytest
from pydicom.uid import JPEG2000Lossless

from srgan.errors import Skip
from srgan.scans import dicom, isolated
from tests.scans.made_dicom import stored_values
from tests.scans.test_dicom import compressed

READY = "import os, sys, time; sys.stdin.buffer.readline(); "


@pytest.fixture(autouse=True)
def _fresh():
    isolated.stop()
    yield
    isolated.stop()


@pytest.mark.parametrize(
    "code", ["os.abort()", "sys.exit(1)", "time.sleep(600)", "print('noise', flush=True)"]
)
def test_a_decoder_that_ends_hangs_or_talks_costs_one_slice(tmp_path, monkeypatch, code, capfd):
    path, _, _ = compressed(tmp_path, JPEG2000Lossless)
    monkeypatch.setattr(isolated, "START", READY + code)
    monkeypatch.setattr(isolated, "START_LIMIT_S", 0.5)
    monkeypatch.setattr(isolated, "BUSY", 0.1)
    start = time.monotonic()
    with pytest.raises(Skip, match="damaged pixel data"):
        dicom.read_slice(path)
    assert time.monotonic() - start < 60  # a second, unless it hangs
    monkeypatch.undo()
    np.testing.assert_array_equal(dicom.read_slice(path)[1], stored_values())
    assert capfd.readouterr() == ("", "")


def test_one_process_serves_many_frames(tmp_path):
    path, _, _ = compressed(tmp_path, JPEG2000Lossless)
    for _ in range(3):
        dicom.read_slice(path)
    (worker,) = isolated._running.values()
    process = worker.pid
    dicom.read_slice(path)
    assert isolated._running[os.getpid()].pid == process
    assert isolated.stop() == 0
    assert worker.poll() == 0


def test_a_damaged_frame_says_so_and_the_process_lives(tmp_path, capfd):
    with pytest.raises(Skip) as caught:
        isolated.decode(b"\xff\x4f", 16, 24, syntax=JPEG2000Lossless, bits_stored=16, signed=True)
    assert "JPEG 2000" in caught.value.detail
    assert len(isolated._running) == 1
    assert capfd.readouterr() == ("", "")


def test_no_module_of_the_current_folder_runs_in_the_decoder(tmp_path, monkeypatch):
    path, _, _ = compressed(tmp_path, JPEG2000Lossless)
    (tmp_path / "here").mkdir()
    for name in ("json", "numpy", "gdcm", "site"):
        (tmp_path / "here" / f"{name}.py").write_text("open('ran', 'w')")
    monkeypatch.chdir(tmp_path / "here")
    np.testing.assert_array_equal(dicom.read_slice(path)[1], stored_values())
    assert not (tmp_path / "here" / "ran").exists()
