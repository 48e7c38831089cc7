"""Series of DICOM slices: grouped, ordered, and read."""

import numpy as np
import pytest

from srgan.formats.dicom import header as dicom_header
from srgan.formats.dicom import series
from srgan.formats.dicom.header import read_header
from srgan.system.errors import Skip
from tests.helpers.made_dicom import stored_values, write


def headers(tmp_path, *slices: dict) -> list[dicom_header.Header]:
    return [
        read_header(write(tmp_path / f"{i}.dcm", **changes)) for i, changes in enumerate(slices)
    ]


def test_slices_are_sorted_along_the_normal_whatever_their_names(tmp_path):
    scans, skipped = series.group(headers(tmp_path, {"z": 5}, {"z": -2.5}, {"z": 2.5}, {"z": 0}))
    (scan,) = scans
    assert not skipped
    assert [s.z_mm for s in scan.slices] == [-2.5, 0, 2.5, 5]
    assert [s.path.name for s in scan.slices] == ["1.dcm", "3.dcm", "2.dcm", "0.dcm"]
    assert (scan.kind, scan.patient_id) == ("dicom", "P1")


def test_duplicates_and_other_sizes_are_left_out_with_a_reason(tmp_path):
    small = stored_values(8, 8)
    made = headers(
        tmp_path,
        {"z": 0, "SOPInstanceUID": "1.2.3"},
        {"z": 0, "SOPInstanceUID": "1.2.3"},
        {"z": 0, "InstanceNumber": 9},
        {"z": 1},
        {"z": 2, "values": small},
    )
    (scan,), skipped = series.group(made)
    assert [s.path.name for s in scan.slices] == ["0.dcm", "3.dcm"]
    assert {(s.path.name, s.reason) for s in skipped} == {
        ("1.dcm", "duplicate instance"),
        ("2.dcm", "duplicate position"),
        ("4.dcm", "size differs from its series"),
    }


def test_the_reader_refuses_a_file_that_was_replaced(tmp_path):
    (scan,), _ = series.group(headers(tmp_path, {"z": 0}))
    np.testing.assert_array_equal(series.reader(scan)(0), stored_values())
    write(tmp_path / "0.dcm", z=0)
    with pytest.raises(Skip, match="changed"):
        series.reader(scan)(0)
