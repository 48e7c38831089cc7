"""The decoder's process: what ends it costs one slice, and nothing reaches the terminal."""

import os
import time

import numpy as np
import pytest
from pydicom.uid import JPEG2000Lossless, RLELossless

from srgan.formats.dicom import decoder_process
from srgan.formats.dicom import header as dicom_header
from srgan.system.errors import Skip
from tests.helpers.made_dicom import stored_values, write_compressed

READY = "import os, sys, time; sys.stdin.buffer.readline(); "
INSTEAD = (
    "import sys; sys.path.insert(0, sys.argv[1]);"
    "from srgan.formats.dicom import decoder_process as i;"
    "i.run_decoder = {};"
    "i.serve()"
)


@pytest.fixture(autouse=True)
def _fresh():
    decoder_process.stop()
    yield
    decoder_process.stop()


@pytest.mark.parametrize(
    "code", ["os.abort()", "sys.exit(1)", "time.sleep(600)", "print('noise', flush=True)"]
)
def test_a_decoder_that_ends_hangs_or_prints_costs_one_slice(tmp_path, monkeypatch, code, capfd):
    path, _, _ = write_compressed(tmp_path, JPEG2000Lossless)
    monkeypatch.setattr(decoder_process, "START", READY + code)
    monkeypatch.setattr(decoder_process, "START_LIMIT_S", 0.5)
    monkeypatch.setattr(decoder_process, "BUSY", 0.1)
    start = time.monotonic()
    with pytest.raises(Skip, match="damaged pixel data"):
        dicom_header.read_slice(path)
    assert time.monotonic() - start < 60  # a second, unless it hangs
    monkeypatch.undo()
    np.testing.assert_array_equal(dicom_header.read_slice(path)[1], stored_values())
    assert capfd.readouterr() == ("", "")


def test_one_process_serves_many_frames(tmp_path):
    path, _, _ = write_compressed(tmp_path, JPEG2000Lossless)
    for _ in range(3):
        dicom_header.read_slice(path)
    (worker,) = decoder_process._running.values()
    process = worker.pid
    dicom_header.read_slice(path)
    assert decoder_process._running[os.getpid()].pid == process
    assert decoder_process.stop() == 0
    assert worker.poll() == 0


def test_a_damaged_frame_says_so_and_the_process_lives(tmp_path, capfd):
    with pytest.raises(Skip) as caught:
        decoder_process.decode(
            b"\xff\x4f", 16, 24, syntax=JPEG2000Lossless, bits_stored=16, signed=True
        )
    assert "JPEG 2000" in caught.value.detail
    assert len(decoder_process._running) == 1
    assert capfd.readouterr() == ("", "")


def test_no_module_of_the_current_folder_runs_in_the_decoder(tmp_path, monkeypatch):
    path, _, _ = write_compressed(tmp_path, JPEG2000Lossless)
    (tmp_path / "here").mkdir()
    for name in ("json", "numpy", "gdcm", "site"):
        (tmp_path / "here" / f"{name}.py").write_text("open('ran', 'w')")
    monkeypatch.chdir(tmp_path / "here")
    np.testing.assert_array_equal(dicom_header.read_slice(path)[1], stored_values())
    assert not (tmp_path / "here" / "ran").exists()


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, RLELossless])
@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("lambda *a, **k: [0 for i in iter(int, 1)]", "-27"),  # SIGPROF
        ("lambda *a, **k: [bytes(2 << 30), memoryview(bytes(768))][1]", ""),
    ],
)
def test_a_decoder_that_spins_or_takes_all_memory_costs_one_slice(
    tmp_path, monkeypatch, syntax, code, said
):
    path, _, _ = write_compressed(tmp_path, syntax)
    monkeypatch.setattr(decoder_process, "START", INSTEAD.format(code))
    with pytest.raises(Skip) as caught:
        dicom_header.read_slice(path)
    assert caught.value.detail.startswith(f"the decoder ended with status {said}")


def test_the_limit_of_processor_time_grows_with_the_frame():
    assert decoder_process._cpu_limit_s(512 * 512) < decoder_process._cpu_limit_s(1_000_000) == 2
