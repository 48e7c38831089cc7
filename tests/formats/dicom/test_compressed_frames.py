"""Compressed frames: whole ones are decoded, all others are refused before or by the decoder."""

import struct
import subprocess
import sys
import time

import numpy as np
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, JPEGLosslessSV1, RLELossless

from srgan.formats.dicom import compressed_frames
from srgan.formats.dicom.header import read_header, read_slice
from srgan.system.errors import Skip
from tests.helpers.made_dicom import COMPRESSED, stored_values, with_frame, write, write_compressed
from tests.helpers.refused import refused


@pytest.mark.parametrize("syntax", COMPRESSED, ids=lambda uid: uid.keyword)
def test_a_compressed_slice_is_decoded_and_refused_wherever_it_ends_early(tmp_path, syntax, capfd):
    path, stream, dataset = write_compressed(tmp_path, syntax)
    np.testing.assert_array_equal(read_slice(path)[1], stored_values())
    for length in range(0, len(stream) - 2, max(1, len(stream) // 40)):
        dataset.PixelData = encapsulate([stream[:length] or b"\0"])
        dataset["PixelData"].VR = "OB"
        with pytest.raises(Skip):
            read_slice(write(tmp_path / "cut.dcm", dataset))
    whole = path.read_bytes()
    for length in range(0, len(whole) - 1, max(1, len(whole) // 40)):
        (tmp_path / "cut.dcm").write_bytes(whole[:length])
        with pytest.raises(Skip):
            read_header(tmp_path / "cut.dcm")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("syntax", COMPRESSED, ids=lambda uid: uid.keyword)
def test_a_frame_of_another_size_is_refused(tmp_path, syntax):
    _, _, dataset = write_compressed(tmp_path, syntax)
    dataset.Rows = 8
    if syntax != RLELossless:  # RLE has no size; its decoder compares the length alone
        path = write(tmp_path / "b.dcm", dataset)
        assert refused(read_slice, path).reason == "damaged pixel data"
    dataset.Rows = 32
    path = write(tmp_path / "b.dcm", dataset)
    assert refused(read_slice, path).reason == "damaged pixel data"


def test_a_jpeg2000_codestream_without_a_tile_part_is_refused(tmp_path):
    _, stream, _ = write_compressed(tmp_path, JPEG2000Lossless)
    start = stream.find(b"\xff\x90")
    with pytest.raises(Skip):
        compressed_frames.decode(stream[:start] + b"\xff\xd9", JPEG2000Lossless, 16, 24, 16, True)


LARGE = {"Rows": 4096, "Columns": 4096}
J2K_HEAD = b"\xff\x4f\xff\x51" + struct.pack(">HH8LH", 41, 0, 4096, 4096, 0, 0, 4096, 4096, 0, 0, 1)
J2K_HEAD += b"\x0f\1\1"


def test_a_frame_larger_than_its_picture_can_be_is_refused_unread(tmp_path):
    most = 2 * 768 + (64 << 10)
    path = write(tmp_path / "a.dcm", with_frame(bytes(most + 2), n_fragments=5))
    assert "larger" in refused(read_header, path).detail
    path = write(tmp_path / "a.dcm", with_frame(bytes(most), n_fragments=5))
    assert read_header(path).rows == 16


def test_thousands_of_fragments_are_joined_once(tmp_path):
    path = write(tmp_path / "a.dcm", with_frame(bytes(67 << 20), n_fragments=4090, **LARGE))
    start = time.process_time()
    with pytest.raises(Skip, match="damaged pixel data"):
        read_slice(path)
    assert time.process_time() - start < 10  # 0.1 s; one after another, over a minute


@pytest.mark.parametrize(
    ("syntax", "frame"),
    [
        (JPEG2000Lossless, J2K_HEAD + b"\xff\x64\0\2" * 70_000),
        (JPEG2000Lossless, J2K_HEAD + b"\xff\x90\0\x0a\0\0\0\0\0\x0e\0\0\0\0" * 70_000),
        (JPEGLosslessSV1, b"\xff\xd8" + b"\xff" * 70_000 + b"\xff\xd9"),
        (JPEGLosslessSV1, b"\xff\xd8" + b"\xff\xfe\0\2" * 70_000 + b"\xff\xd9"),
    ],
    ids=["J2K markers", "J2K tile-parts", "JPEG fill", "JPEG markers"],
)
def test_a_frame_of_too_many_segments_is_refused(tmp_path, syntax, frame):
    path = write(tmp_path / "a.dcm", with_frame(frame, syntax, **LARGE))
    assert "more than 65536 segments" in refused(read_slice, path).detail


def test_a_damaged_frame_prints_nothing(tmp_path):
    """A damaged RLE frame in a process without pytest's capture: silence on both streams."""
    _, stream, dataset = write_compressed(tmp_path, RLELossless)
    dataset.PixelData = encapsulate([stream[:-20]])
    dataset["PixelData"].VR = "OB"
    path = write(tmp_path / "cut.dcm", dataset)
    code = (
        "import sys; from srgan.formats.dicom import header as dicom\n"
        "from srgan.system.errors import Skip\n"
        "try: dicom.read_slice(sys.argv[1])\nexcept Skip: sys.exit(7)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (7, "", "")
