"""One scan is found at a path, or one line says why not."""

import os

import pytest

from srgan.dataset import single_scan
from srgan.formats.scan import Skipped
from srgan.system.errors import UserError
from tests.conftest import small_chest, write_scan
from tests.helpers.made_dicom import write


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
        ("two", "holds 2 series: give one of them"),
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
