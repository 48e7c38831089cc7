"""Encodings of DICOM files, and files that are damaged or ask for too much."""

import io
import struct

import numpy as np
import pydicom
import pytest
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from srgan.formats.dicom import parse as dicom_parse
from srgan.formats.dicom.header import read_header, read_slice, read_whole
from srgan.formats.dicom.parse import DICOMDIR
from srgan.formats.scan import MAX_ID
from tests.helpers.made_dicom import ct_slice, stored_values, write
from tests.helpers.refused import refused


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_implicit_and_deflated_data_sets_are_read(tmp_path, syntax):
    dataset = ct_slice()
    dataset.file_meta.TransferSyntaxUID = syntax
    _, hu = read_slice(write(tmp_path / "a.dcm", dataset))
    np.testing.assert_array_equal(hu, stored_values())


def test_big_endian_is_read(tmp_path):
    dataset = ct_slice(PixelData=stored_values().byteswap().tobytes())
    dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    _, hu = read_slice(write(tmp_path / "a.dcm", dataset))
    np.testing.assert_array_equal(hu, stored_values())


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, "1.2.840.10008.1.2.1"])
def test_a_file_without_preamble_and_meta_group_is_read(tmp_path, syntax):
    implicit = syntax == ImplicitVRLittleEndian
    raw = io.BytesIO()
    pydicom.dcmwrite(raw, Dataset(ct_slice()), implicit_vr=implicit, little_endian=True)
    path = tmp_path / "a.dcm"
    path.write_bytes(raw.getvalue())
    np.testing.assert_array_equal(read_slice(path)[1], stored_values())


def test_a_file_that_is_not_dicom_is_refused_with_its_reason(tmp_path):
    path = tmp_path / "a.dcm"
    cases = {
        b"": "empty file",
        b"text\n": "not DICOM, MetaImage, NIfTI or NRRD",
        b"\0" * 128 + b"DICM": "truncated",
        b"\0" * 500: "not DICOM, MetaImage, NIfTI or NRRD",
    }
    for content, expected in cases.items():
        path.write_bytes(content)
        assert refused(read_slice, path).reason == expected
    assert refused(read_slice, tmp_path / "none.dcm").reason == "cannot be read"
    assert refused(read_slice, tmp_path).reason == "cannot be read"


def test_an_index_of_files_is_named_as_such(tmp_path):
    from_meta = ct_slice()
    from_meta.file_meta.MediaStorageSOPClassUID = DICOMDIR
    records = Dataset()
    records.DirectoryRecordSequence = [Dataset()]
    raw = io.BytesIO()
    pydicom.dcmwrite(raw, records, implicit_vr=False, little_endian=True)
    path = tmp_path / "DICOMDIR"
    from_meta.save_as(path, enforce_file_format=False)
    contents = [path.read_bytes()]
    contents.append(bytes(128) + b"DICM" + raw.getvalue())
    for content in contents:
        path.write_bytes(content)
        skip = refused(read_header, path)
        assert (skip.reason, skip.detail) == ("DICOMDIR", "an index, not an image")


# ---- decimal commas ----

COMMAS = {
    "PixelSpacing": "0,703125\\0,703125",
    "ImagePositionPatient": "-1,5\\0\\1,250",
    "RescaleIntercept": "-1024,0",
    "RescaleSlope": "1,0",
}


def with_texts(path, texts: dict[str, str], syntax: str = ExplicitVRLittleEndian):
    """A slice with these decimal strings as they are, valid or not."""
    dataset = ct_slice(values=stored_values() + 1024, RescaleIntercept="-1024")
    dataset.file_meta.TransferSyntaxUID = syntax
    for name, value in texts.items():
        tag, content = Tag(dicom_parse.TAGS[name]), (value + " " * (len(value) % 2)).encode()
        dataset[tag] = RawDataElement(tag, "DS", len(content), content, 0, False, True)
    return write(path, dataset)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_decimal_commas_are_read_and_copied_as_points(tmp_path, syntax):
    header, dataset, _ = read_whole(with_texts(tmp_path / "a.dcm", COMMAS, syntax))
    assert header.spacing_mm == (0.703125, 0.703125)
    assert header.z_mm == 1.25
    np.testing.assert_array_equal(read_slice(header.path)[1], stored_values())
    assert [float(v) for v in dataset.PixelSpacing] == [0.703125, 0.703125]


def test_numbers_with_a_point_beside_decimal_commas_stay_as_they_are(tmp_path):
    texts = {"PixelSpacing": "0,7\\0,8", "ImagePositionPatient": "0\\0\\-1.250"}
    header = read_header(with_texts(tmp_path / "a.dcm", texts))
    assert (header.spacing_mm, header.z_mm) == ((0.7, 0.8), -1.25)


REFUSED_COMMAS = [
    ({"PixelSpacing": "1,024\\1,024"}, "no pixel spacing"),  # or a thousand
    ({"PixelSpacing": "0,7\\0,8", "ImagePositionPatient": "0\\0\\1.024,5"}, "no position"),
    ({"PixelSpacing": "0,7\\0,8", "RescaleIntercept": "-1,024,0"}, "not HU"),
    ({"RescaleIntercept": "-1,024"}, "not HU"),
]


@pytest.mark.parametrize(("texts", "expected"), REFUSED_COMMAS, ids=str)
def test_a_comma_that_is_not_plainly_decimal_makes_no_number(tmp_path, texts, expected):
    assert refused(read_header, with_texts(tmp_path / "a.dcm", texts)).reason == expected


# ---- sizes and bounds ----


def test_a_deflated_data_set_is_inflated_up_to_a_limit(tmp_path, monkeypatch):
    dataset = ct_slice()
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    path = write(tmp_path / "a.dcm", dataset)
    monkeypatch.setattr(dicom_parse, "MAX_INFLATED", 500)
    assert refused(read_slice, path).reason == "too large"
    monkeypatch.undo()
    path.write_bytes(path.read_bytes()[:-20])
    assert refused(read_slice, path).reason == "truncated"
    end = 132 + 12 + pydicom.filereader.read_file_meta_info(path).FileMetaInformationGroupLength
    path.write_bytes(path.read_bytes()[:end] + b"\xff" * 100)
    assert refused(read_slice, path).reason == "damaged pixel data"


def test_a_wrong_length_and_deep_nesting_are_refused(tmp_path):
    path = write(tmp_path / "a.dcm")
    raw = path.read_bytes()
    at = raw.index(struct.pack("<HH", 0x8, 0x8))
    long = struct.pack("<HH2sHL", 0x8, 0x8, b"UT", 0, 0xFFFFFFF0)
    path.write_bytes(raw[:at] + long)
    assert refused(read_slice, path).reason == "truncated"
    nested = struct.pack("<HH2sHL", 0x8, 0x1111, b"SQ", 0, 0xFFFFFFFF)
    nested += struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)
    path.write_bytes(raw[:at] + nested * 5000)
    assert refused(read_slice, path).reason in ("damaged header", "no pixel data", "truncated")


def element(tag: int, vr: bytes, value: bytes = b"", length: int | None = None) -> bytes:
    """One element of four bytes of length, explicit and little-endian."""
    length = len(value) if length is None else length
    return struct.pack("<HH2s2xL", tag >> 16, tag & 0xFFFF, vr, length) + value


def with_private(tmp_path, content: bytes):
    """A good slice with elements of others before its pixel data."""
    path = write(tmp_path / "a.dcm")
    data = path.read_bytes()
    at = data.index(b"\xe0\x7f\x10\x00OW")
    path.write_bytes(data[:at] + content + data[at:])
    return path


def nested(n: int) -> bytes:
    """A private sequence of n elements of two bytes."""
    content = struct.pack("<HH2sH2s", 0x0029, 0x1011, b"LO", 2, b"xx") * n
    item = struct.pack("<HHL", 0xFFFE, 0xE000, len(content)) + content
    end = struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
    return element(0x00291010, b"SQ", item + end, dicom_parse.UNDEFINED)


def test_private_elements_are_passed_over(tmp_path):
    path = with_private(tmp_path, element(0x00291010, b"OB", bytes(1 << 20)))
    np.testing.assert_array_equal(read_slice(path)[1], stored_values())


def test_nested_elements_are_read_up_to_a_bound(tmp_path):
    assert read_header(with_private(tmp_path, nested(10_000))).rows == 16
    for n in (20_000, 1_000_000):
        path = with_private(tmp_path, nested(n))
        assert refused(read_header, path).reason == "too large"


def test_a_nested_length_of_gigabytes_and_an_endless_value_stop_at_a_bound(tmp_path):
    lying = struct.pack("<HHL", 0xFFFE, 0xE000, 100)
    lying += element(0x00291011, b"OB", b"short", 0xFFFFFFF0)
    for vr, value in ((b"SQ", lying), (b"UN", bytes(80 << 20))):
        path = with_private(tmp_path, element(0x00291010, vr, value, dicom_parse.UNDEFINED))
        assert refused(read_header, path).reason in ("too large", "damaged header")


def test_an_id_or_an_element_of_any_length_is_refused(tmp_path):
    long = element(0x0018A001, b"SQ", bytes(dicom_parse.MAX_VALUE + 2))
    assert refused(read_header, with_private(tmp_path, long)).reason == "damaged header"
    for name in ("PatientID", "SeriesInstanceUID"):
        path = write(tmp_path / "b.dcm", **{name: "1" * (MAX_ID + 1)})
        assert refused(read_header, path).reason == "damaged header"


def test_a_file_of_gigabytes_is_refused(tmp_path):
    path = write(tmp_path / "a.dcm")
    with open(path, "r+b") as file:
        file.truncate(dicom_parse.MAX_FILE + 1)
    assert refused(read_header, path).reason == "too large"
