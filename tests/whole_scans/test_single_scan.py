"""One scan is found at a path, or one line says why not."""

import os
from pathlib import Path

import numpy as np
import pytest

from srgan.formats.scan import Skipped
from srgan.system import log
from srgan.system.errors import UserError
from srgan.whole_scans import single_scan
from tests.conftest import small_chest, write_scan
from tests.helpers.made_chest import save
from tests.helpers.made_dicom import stored_values, write


def test_a_folder_without_patient_ids_a_single_file_and_a_header_are_scans(tmp_path):
    for z in range(3):
        write(tmp_path / "series" / f"{z}.dcm", z=z, PatientID=None, InstanceNumber=z)
    (tmp_path / "series" / "notes.txt").write_text("notes")
    scan, skipped = single_scan.find(tmp_path / "series")
    assert [item.z_mm for item in scan.slices] == [0, 1, 2]
    assert (
        single_scan.counted(skipped) == "1 file is left out: 1 not DICOM, MetaImage, NIfTI or NRRD"
    )
    scan, skipped = single_scan.find(tmp_path / "series" / "1.dcm")
    assert (len(scan.slices), skipped) == (1, ())
    write_scan(tmp_path / "volume", "1.2", small_chest(0))
    by_folder, _ = single_scan.find(tmp_path / "volume")
    by_header, _ = single_scan.find(tmp_path / "volume" / "1.2.mhd")
    assert by_folder.slices == by_header.slices
    assert len(by_header.slices) == 3


def test_a_path_without_a_scan_is_a_one_line_error(tmp_path):
    write(tmp_path / "two" / "a.dcm")
    write(tmp_path / "two" / "b.dcm", SeriesInstanceUID="1.2.3")
    write(tmp_path / "two" / "c.dcm", ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    write_scan(tmp_path / "volume", "1.2", small_chest(0))
    (tmp_path / "empty").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name, reason in (
        ("two", "holds 2 series, listed above: take one by --series UID"),
        ("two/c.dcm", "localizer"),
        ("volume/1.2.raw", "give its header"),
        ("empty", "holds no files"),
        ("pipe", "neither a file nor a folder"),
        ("missing", "does not exist"),
    ):
        with pytest.raises(UserError, match=reason):
            single_scan.find(tmp_path / name)


def test_files_left_out_are_counted_by_reason(tmp_path):
    items = [Skipped(tmp_path, reason) for reason in ("localizer", "truncated", "localizer")]
    assert single_scan.counted(items) == "3 files are left out: 2 localizer, 1 truncated"


# ---- a series of two fields of view ----


def two_fields(folder: Path, n: int, m: int, **changes) -> Path:
    """A series of n slices with pixels of 0.7 x 0.8 mm, then m that differ by `changes`."""
    for i in range(n + m):
        other = changes if i >= n else {}
        write(folder / f"{i}.dcm", z=2.0 * i, InstanceNumber=i, **other)
    return folder


@pytest.mark.parametrize(("n", "m"), [(5, 2), (2, 5)])
def test_of_a_series_of_two_fields_of_view_the_larger_part_is_the_scan(tmp_path, n, m):
    scan, skipped = single_scan.find(two_fields(tmp_path, n, m, PixelSpacing=[0.75, 0.85]))
    larger = range(5) if n == 5 else range(2, 7)
    assert {path.name for path in scan.files} == {f"{i}.dcm" for i in larger}
    assert scan.spacing_mm == ((0.7, 0.8) if n == 5 else (0.75, 0.85))
    other = "0.75 x 0.85" if n == 5 else "0.7 x 0.8"
    assert len(skipped) == 2
    assert {(s.reason, s.detail) for s in skipped} == {
        ("another field of view in its series", f"16 x 24 pixels of {other} mm")
    }
    assert {s.path for s in skipped} | set(scan.files) == set(tmp_path.iterdir())


def test_a_part_of_another_size_is_told_with_its_size(tmp_path):
    scan, skipped = single_scan.find(two_fields(tmp_path, 3, 1, values=stored_values(32, 20)))
    assert (len(scan.slices), scan.rows, scan.columns) == (3, 16, 24)
    assert [s.detail for s in skipped] == ["32 x 20 pixels of 0.7 x 0.8 mm"]


# ---- not HU ----

HU = small_chest(0)
NOT_HU = {
    "grey values": np.clip((HU + 1350) / 1500 * 255, 0, 255).astype(np.int16),
    "a lost offset": HU + np.int16(1024),
    "a mask": (HU < -500).astype(np.int16),
}


@pytest.mark.parametrize("ending", ["", ".mhd", ".mha", ".nii", ".nii.gz", ".nrrd"])
@pytest.mark.parametrize("pixels", [*NOT_HU.values(), HU], ids=[*NOT_HU, "HU"])
def test_pixels_that_are_not_hu_are_refused_in_every_format(tmp_path, ending, pixels):
    """A series of DICOM, and volumes by their folder and by their header."""
    if ending:
        paths = [tmp_path, save(tmp_path / f"scan{ending}", pixels)]
    else:
        for i, hu in enumerate(pixels):
            write(tmp_path / f"{i}.dcm", z=2.0 * i, values=hu)
        paths = [tmp_path, tmp_path / "0.dcm"]
    for path in paths:
        if pixels is HU:
            assert single_scan.find(path)[1] == ()
            continue
        with pytest.raises(UserError) as caught:
            single_scan.find(path)
        assert str(caught.value).startswith("--input: the pixels are not HU (least ")
        assert caught.value.exit_code == 2


def test_one_of_several_series_is_taken_by_its_uid_and_without_it_they_are_listed(tmp_path, capsys):
    log.set_up()
    soft = {"SeriesDescription": "soft\x1b[1m", "ConvolutionKernel": "B30f"}
    for z in range(3):
        write(tmp_path / f"a{z}.dcm", z=z, SeriesInstanceUID="1.2.3", InstanceNumber=z, **soft)
    write(tmp_path / "b.dcm", SeriesInstanceUID="1.2.4")
    scan, _ = single_scan.find(tmp_path, "1.2.3")
    assert (scan.series_uid, len(scan.slices)) == ("1.2.3", 3)
    for uid, reason in ((None, "take one by --series UID"), ("9", "--series 9 is not in")):
        with pytest.raises(UserError, match=reason):
            single_scan.find(tmp_path, uid)
        listed = capsys.readouterr().err
        assert (
            "  1.2.3  soft\\x1b[1m, 3 slices of 16 x 24 pixels of 0.7 x 0.8 mm, kernel B30f"
            in listed
        )
        assert "  1.2.4  no description, 1 slice" in listed
    with pytest.raises(UserError, match="is of the series"):
        single_scan.find(tmp_path / "b.dcm", "1.2.3")
