"""Headers of DICOM slices: which are axial CT in HU, and why another is refused."""

import struct

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from srgan.formats.dicom.header import PASS_TAGS, read_header, read_slice
from tests.helpers.made_dicom import ct_slice, stored_values, write
from tests.helpers.refused import refused

COLOUR = {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}
REFUSED = [
    ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, "not CT Image Storage"),
    ({"SOPClassUID": None}, "not CT Image Storage"),
    ({"Modality": "SEG"}, "not CT"),
    ({"Modality": None}, "not CT"),
    (COLOUR, "more than one sample per pixel"),
    ({"NumberOfFrames": 2}, "more than one frame"),
    ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "localizer"),
    ({"ImageType": ["DERIVED", "SECONDARY", "REFORMATTED", "AVERAGE"]}, "reformat"),
    ({"ImageType": ["DERIVED", "PRIMARY", "MPR"]}, "reformat"),
    ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, "screen capture"),
    ({"ImageOrientationPatient": None}, "not known to be axial"),
    ({"ImageOrientationPatient": [0] * 6}, "not known to be axial"),
    ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, "not known to be axial"),
    ({"ImageOrientationPatient": [1, 0, 0, 0, 0, -1]}, "not axial"),
    ({"ImageOrientationPatient": [1, 0, 0, 0, 0.9272, -0.3746]}, "not axial"),  # 22 degrees
    ({"ImagePositionPatient": None}, "no position"),
    ({"PixelSpacing": None}, "no pixel spacing"),
    ({"PixelSpacing": [0, 0.7]}, "no pixel spacing"),
    ({"Rows": 0}, "no usable size"),
    ({"Rows": 65535, "Columns": 65535}, "no usable size"),
    ({"Rows": 17}, "damaged pixel data"),
    ({"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}, "cannot hold HU"),
    ({"BitsStored": 24, "HighBit": 23}, "damaged header"),
    ({"HighBit": 5}, "damaged header"),
    ({"PixelRepresentation": None}, "damaged header"),
    ({"RescaleSlope": None}, "not HU"),
    ({"RescaleIntercept": None}, "not HU"),
    ({"RescaleSlope": "0"}, "not HU"),
    ({"RescaleType": "US"}, "not HU"),
    ({"BitsStored": 12, "HighBit": 11, "RescaleIntercept": "-1024"}, "not HU"),  # to 1023 HU
    ({"SeriesInstanceUID": None}, "no series"),
    ({"PixelData": b""}, "damaged pixel data"),
]


@pytest.mark.parametrize(("changes", "expected"), REFUSED, ids=str)
def test_a_slice_that_is_not_axial_ct_in_hu_is_refused_with_its_reason(tmp_path, changes, expected):
    assert refused(read_slice, write(tmp_path / "a.dcm", **changes)).reason == expected


@pytest.mark.parametrize("text", ["nan", "inf", "1e999", "one", "1\\1", " "])
def test_a_slope_that_is_not_a_finite_number_is_refused(tmp_path, text):
    dataset = ct_slice()
    path = write(tmp_path / "a.dcm", dataset)
    old = struct.pack("<HH2sH", 0x28, 0x1053, b"DS", 2) + b"1 "
    value = (text + " " * (len(text) % 2)).encode()
    new = struct.pack("<HH2sH", 0x28, 0x1053, b"DS", len(value)) + value
    raw = path.read_bytes()
    assert raw.count(old) == 1
    path.write_bytes(raw.replace(old, new))
    assert refused(read_slice, path).reason == "not HU"


TAKEN = [
    {"ImageType": None},
    {"ImageType": ["ORIGINAL", "SECONDARY", "AXIAL"]},
    {"ImageType": ["DERIVED", "PRIMARY", "AXIAL", "CT_SOM5 SPI"]},
    {"RescaleType": "HU"},
    {"RescaleType": ""},
    {"ImageOrientationPatient": [-1, 0, 0, 0, -1, 0]},
    {"ImageOrientationPatient": [1, 0, 0, 0, 0.965926, -0.258819]},  # 15 degrees
    {"ImageOrientationPatient": [1, 0, 0, 0, 0.9272, -0.3746], "GantryDetectorTilt": "-22"},
    {"NumberOfFrames": 1},
    {"BitsStored": 12, "HighBit": 11},
]


@pytest.mark.parametrize("changes", TAKEN, ids=str)
def test_an_axial_slice_in_hu_is_used(tmp_path, changes):
    path = write(tmp_path / "a.dcm", **changes)
    np.testing.assert_array_equal(read_slice(path)[1], stored_values())


def test_the_rescale_type_of_gdcm_is_ignored(tmp_path):
    dataset = ct_slice(RescaleType="US")
    dataset.file_meta.ImplementationClassUID = "1.2.826.0.1.3680043.2.1143.107.104"
    _, hu = read_slice(write(tmp_path / "a.dcm", dataset))
    np.testing.assert_array_equal(hu, stored_values())


def test_an_output_of_this_program_is_known_and_that_of_other_equipment_is_not(tmp_path):
    item = Dataset()
    item.ManufacturerModelName = "SRGAN-CT 1.0"
    dataset = ct_slice(ContributingEquipmentSequence=[item])
    path = write(tmp_path / "a.dcm", dataset)
    assert read_header(path).made_by == "srgan-ct"
    item.ContributionDescription = "srgan-ct 1.0: what was done"
    assert read_header(write(tmp_path / "a.dcm", dataset)).made_by == "srgan-ct 1.0: what was done"
    item.ManufacturerModelName = "a workstation"
    assert read_header(write(tmp_path / "a.dcm", dataset)).made_by == ""


def test_patient_ids_are_stripped_and_keep_their_letters(tmp_path):
    path = write(tmp_path / "a.dcm", PatientID=" Mü 7 ", SpecificCharacterSet="ISO_IR 192")
    assert read_header(path).patient_id == "Mü 7"
    assert read_header(write(path, PatientID=None)).patient_id == ""


def test_a_description_is_read_in_its_character_set(tmp_path):
    for text, charset in (("低剂量 1mm", "GB18030"), ("Médias  B30f", "ISO_IR 100"), ("a~b", None)):
        changes = {"SeriesDescription": text, "SpecificCharacterSet": charset}
        assert read_header(write(tmp_path / "a.dcm", **changes)).description == text
    assert read_header(write(tmp_path / "a.dcm")).description == ""


EXPOSURES = [
    ({"Exposure": 40, "ExposureInuAs": 9000}, 40),
    ({"Exposure": 0, "ExposureInuAs": 41500}, 41.5),
    ({"XRayTubeCurrent": 200, "ExposureTime": 500}, 100),
    ({"XRayTubeCurrent": 200}, None),
    ({"Exposure": 0}, None),
    ({}, None),
]


@pytest.mark.parametrize(("changes", "expected"), EXPOSURES, ids=str)
def test_the_exposure_is_in_mas_wherever_it_stands(tmp_path, changes, expected):
    assert read_header(write(tmp_path / "a.dcm", **changes)).exposure_mas == expected


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_what_tells_passes_is_read_as_text(tmp_path, syntax):
    values = {
        "AcquisitionNumber": 3,
        "TemporalPositionIdentifier": 2,
        "EchoNumbers": [1, 2],
        "DiffusionBValue": 0.0,
        "ConvolutionKernel": "B30f",
        "TriggerTime": "90.5",
        "ContentTime": "101500.25",
    }
    dataset = ct_slice(**values, StudyInstanceUID="1.2.3")
    dataset.file_meta.TransferSyntaxUID = syntax
    header = read_header(write(tmp_path / "a.dcm", dataset))
    expected = ("3", "2", "1\\2", "0", "B30f", "90.5", "101500.25")
    assert dict(zip(PASS_TAGS, header.pass_values, strict=True)) == dict(
        zip(values, expected, strict=True)
    )
    assert header.study_uid == "1.2.3"
    header = read_header(write(tmp_path / "a.dcm"))
    assert (set(header.pass_values), header.study_uid) == ({""}, "")
