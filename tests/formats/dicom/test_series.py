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


def test_slices_of_one_instance_uid_are_all_used(tmp_path):
    one_uid = {"SOPInstanceUID": "1.2.3"}
    made = headers(tmp_path, one_uid | {"z": 0}, one_uid | {"z": 1}, one_uid | {"z": 2})
    (scan,), skipped = series.group(made)
    assert (len(scan.slices), skipped) == (3, [])
    others = {"SeriesInstanceUID": "1.2.9", "PatientID": "P2"}
    scans, skipped = series.group(headers(tmp_path, one_uid, one_uid | others))
    assert ([len(scan.slices) for scan in scans], skipped) == ([1, 1], [])


def test_two_patient_ids_in_one_series_are_one_scan_that_names_both(tmp_path):
    made = headers(
        tmp_path,
        {"z": 0, "PatientID": "B", "StudyInstanceUID": "1.5"},
        {"z": 1, "PatientID": "A", "StudyInstanceUID": "1.4"},
        {"z": 2, "PatientID": None},
    )
    (scan,), _ = series.group(made)
    assert len(scan.slices) == 3
    assert (scan.patient_ids, scan.patient_id) == (("A", "B"), "A")
    assert scan.study_uids == ("1.4", "1.5")
    (scan,), _ = series.group(made[2:])
    assert (scan.patient_ids, scan.patient_id, scan.study_uids) == ((), "", ())


def test_a_scan_has_the_doses_and_the_names_of_its_slices(tmp_path):
    same = {"KVP": 120, "ConvolutionKernel": "B30f", "SeriesDescription": "Quarter dose"}
    exposures = enumerate((20, 60, 30))
    made = headers(
        tmp_path, *(same | {"z": z, "Exposure": n, "XRayTubeCurrent": 2 * n} for z, n in exposures)
    )
    (scan,), _ = series.group(made)
    assert (scan.kvp, scan.kernel, scan.description) == (120, "B30f", "Quarter dose")
    assert (scan.exposure_mas, scan.tube_current_ma) == (30, 60)


# ---- sizes and spacings ----


def test_pixel_spacings_that_differ_in_rounding_are_one_scan(tmp_path):
    spacings = (0.703125, 0.703126, 0.703125000001, 0.703124)
    made = headers(
        tmp_path, *({"z": i, "PixelSpacing": [s, s]} for i, s in enumerate(spacings)), {"z": 9}
    )
    (scan, other), skipped = series.group(made)
    assert (len(scan.slices), len(other.slices), skipped) == (4, 1, [])
    assert scan.spacing_mm == pytest.approx((0.703125, 0.703125), abs=2e-6)


def test_a_second_size_or_field_of_view_is_a_scan_of_its_own(tmp_path):
    wide = {"PixelSpacing": [0.7, 0.84]}
    small = {"values": stored_values(8, 8)}
    made = headers(
        tmp_path, {"z": 0}, {"z": 1}, {"z": 2}, wide | {"z": 3}, small | {"z": 2}, wide | {"z": 4}
    )
    scans, skipped = series.group(made)
    parts = {(s.rows, s.columns, s.spacing_mm): [i.path.name for i in s.slices] for s in scans}
    assert parts == {
        (16, 24, (0.7, 0.8)): ["0.dcm", "1.dcm", "2.dcm"],
        (16, 24, (0.7, 0.84)): ["3.dcm", "5.dcm"],
        (8, 8, (0.7, 0.8)): ["4.dcm"],
    }
    assert len({scan.series_uid for scan in scans}) == 1
    assert not skipped


# ---- reading ----


def test_the_reader_refuses_a_file_that_was_replaced(tmp_path):
    (scan,), _ = series.group(headers(tmp_path, {"z": 0}))
    np.testing.assert_array_equal(series.reader(scan)(0), stored_values())
    write(tmp_path / "0.dcm", z=0)
    with pytest.raises(Skip, match="changed"):
        series.reader(scan)(0)
