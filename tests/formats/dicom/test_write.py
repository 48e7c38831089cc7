"""A derived slice has the place and units of its source, new UIDs, and says what it is."""

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from srgan.formats.derived import Derived
from srgan.formats.dicom import header as dicom_header
from srgan.formats.dicom.derived_header import Series
from srgan.formats.dicom.pixels import values_to_hu
from srgan.formats.dicom.series import file_source
from srgan.formats.dicom.write import DicomTarget
from srgan.formats.scan import OWN_MODEL
from tests.helpers.made_dicom import ct_slice, stored_values, write

SERIES = Series.new(Derived("LDCT sim 25 %"))


def derive(source: Path, change_hu=0.0, how="made by a test"):
    """The source and its derived copy, as pydicom reads them."""
    read = file_source(source)
    new_hu = read.hu + np.broadcast_to(np.float32(change_hu), read.hu.shape)
    target = source.with_name("derived.dcm")
    target.write_bytes(DicomTarget(source.parent, SERIES).file(0, read, new_hu, how))
    return pydicom.dcmread(source, force=True), pydicom.dcmread(target)


def hu_of(dataset) -> np.ndarray:
    return dataset.pixel_array * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)


def test_a_derived_slice_has_new_uids_and_the_study_patient_and_geometry_of_its_source(tmp_path):
    kept = {
        "StudyInstanceUID": "1.2.3",
        "FrameOfReferenceUID": "1.2.4",
        "PatientName": "A^B",
        "AcquisitionDate": "20200102",
        "XRayTubeCurrent": "200",
        "SliceThickness": "2.5",
        "LossyImageCompression": "01",
        "LossyImageCompressionRatio": "7.5",
        "TransferSyntaxUID": None,
    }
    changes = {name: value for name, value in kept.items() if value}
    path = write(tmp_path / "a.dcm", SeriesNumber=7, SeriesDate="20200102", **changes)
    source, made = derive(path)
    for name in (*changes, "PatientID", "ImagePositionPatient", "PixelSpacing", "InstanceNumber"):
        assert made[name].value == source[name].value, name
    assert made.SeriesInstanceUID == SERIES.uid != source.SeriesInstanceUID
    assert made.SOPInstanceUID != source.SOPInstanceUID
    assert made.file_meta.MediaStorageSOPInstanceUID == made.SOPInstanceUID
    assert made.SeriesNumber == 1007
    assert made.SeriesDate == made.ContentDate == SERIES.made.strftime("%Y%m%d")
    assert path.with_name("derived.dcm").read_bytes()[:132] == bytes(128) + b"DICM"


def test_a_derived_slice_says_what_it_is(tmp_path):
    scanner = Dataset()
    scanner.Manufacturer = "another"
    path = write(
        tmp_path / "a.dcm",
        ImageType=["ORIGINAL", "PRIMARY", "VOLUME", "X"],
        DerivationDescription="averaged",
        ContributingEquipmentSequence=Sequence([scanner]),
    )
    source, made = derive(path, how="noise " * 10)
    assert list(made.ImageType) == ["DERIVED", "SECONDARY", "VOLUME"]
    assert made.DerivationDescription.startswith("noise noise")
    assert made.DerivationDescription.endswith("averaged")
    image = made.SourceImageSequence[0]
    assert image.ReferencedSOPInstanceUID == source.SOPInstanceUID
    assert image.PurposeOfReferenceCodeSequence[0].CodeValue == "121322"
    another, ours = made.ContributingEquipmentSequence
    assert another.Manufacturer == "another"
    assert ours.ManufacturerModelName == OWN_MODEL
    assert ours.PurposeOfReferenceCodeSequence[0].CodeValue == "109103"
    assert (
        dicom_header.read_header(path.with_name("derived.dcm")).made_by == ("noise " * 10).strip()
    )


def test_a_derivation_description_has_1024_characters_at_most(tmp_path):
    _, made = derive(write(tmp_path / "a.dcm", DerivationDescription="x" * 2000), how="y" * 900)
    assert len(made.DerivationDescription) == 1024


TWELVE = {"BitsStored": 12, "HighBit": 11}
UNSIGNED = {"PixelRepresentation": 0, "RescaleIntercept": "-1024"}


@pytest.mark.parametrize(
    ("values", "changes"),
    [
        (stored_values(), {}),
        (stored_values(), {"PhotometricInterpretation": "MONOCHROME1"}),
        (stored_values().clip(-1000, 1000), TWELVE),
        (stored_values() + 1024, TWELVE | UNSIGNED),
        (stored_values() * 2, {"RescaleSlope": "0.5"}),
        (stored_values() * 7, {"RescaleSlope": "0.1428571", "RescaleIntercept": "0.3"}),
        (-stored_values(), {"RescaleSlope": "-1"}),
        (stored_values().clip(-1000, 1000) << 2, {"BitsStored": 12, "HighBit": 13}),
    ],
)
def test_without_a_change_the_stored_values_stay_the_same(tmp_path, values, changes):
    path = write(tmp_path / "a.dcm", values=values.astype(np.int16), **changes)
    source, made = derive(path)
    before, after = (dicom_values(p) for p in (path, made))
    np.testing.assert_array_equal(after, before)
    names = ["BitsAllocated", "PixelRepresentation", "RescaleSlope", "RescaleIntercept"]
    if changes.get("BitsStored") != 12 or "RescaleIntercept" in changes:  # they hold 3071 HU
        names += ["BitsStored", "HighBit"]
    else:
        assert (made.BitsStored, made.HighBit) == (16, 15)
    for name in names:
        assert made[name].value == source[name].value


def dicom_values(source) -> np.ndarray:
    """Stored values by our reader; of an open data set by its words."""
    if isinstance(source, Path):
        return dicom_header.read_whole(source)[2]
    words = np.frombuffer(source.PixelData, "<u2").astype(np.int32)
    words = words.reshape(source.Rows, source.Columns)
    values = words >> (source.HighBit + 1 - source.BitsStored) & ((1 << source.BitsStored) - 1)
    sign = 1 << (source.BitsStored - 1)
    return (values ^ sign) - sign if source.PixelRepresentation else values


@pytest.mark.parametrize(
    "syntax",
    [
        ImplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
        RLELossless,
        None,
    ],
)
def test_every_transfer_syntax_is_written_uncompressed_with_the_same_values(tmp_path, syntax):
    dataset = ct_slice(PixelPaddingValue=-2000, WindowCenter=["40", "-600"], StudyID="7")
    if syntax == RLELossless:
        dataset.compress(RLELossless)
    elif syntax is not None:
        dataset.file_meta.TransferSyntaxUID = syntax
        if syntax == ExplicitVRBigEndian:
            dataset["PixelData"].value = stored_values().astype(">i2").tobytes()
    path = tmp_path / "a.dcm"
    dataset.save_as(path, enforce_file_format=True)
    if syntax is None:  # nor a preamble, nor a meta group
        path.write_bytes(path.read_bytes()[dataset_start(path) :])
    _, made = derive(path)
    assert made.file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian
    np.testing.assert_array_equal(made.pixel_array, stored_values())
    assert (made.PixelPaddingValue, made.StudyID) == (-2000, "7")
    assert list(made.WindowCenter) == [40, -600]


def dataset_start(path: Path) -> int:
    return 144 + int.from_bytes(path.read_bytes()[140:144], "little")


def test_a_change_is_rounded_and_clipped_and_padding_stays(tmp_path):
    values = stored_values()
    values[0, :5] = 7, -1024, -1500, -1000, -1050
    path = write(tmp_path / "a.dcm", values=values, PixelPaddingValue=7)
    _, made = derive(path, -40.4)
    after = made.pixel_array
    assert list(after[0, :5]) == [7, -1024, -1500, -1024, -1050]
    np.testing.assert_array_equal(after[5:], values[5:] - 40)
    after = derive(path, 40.4)[1].pixel_array
    assert list(after[0, :5]) == [7, -984, -1500, -960, -1010]
    assert derive(path, 5000.0)[1].pixel_array.max() == 3071


def test_metal_is_not_clipped_and_no_value_wraps(tmp_path):
    values = stored_values() + 1024
    values[3, 3] = 4095
    path = write(tmp_path / "a.dcm", values=values, **TWELVE, **UNSIGNED)
    assert hu_of(derive(path, 2000.0)[1]).max() == 3071
    values[3, 3] = 9000
    path = write(tmp_path / "b.dcm", values=values, **UNSIGNED)
    made = hu_of(derive(path, 100.0)[1])
    assert made[3, 3] == made.max() == 9000 - 1024


def test_read_whole_and_read_slice_give_the_same_hu(tmp_path):
    path = write(tmp_path / "a.dcm", PixelPaddingValue=1500, RescaleSlope="0.5")
    header, hu = dicom_header.read_slice(path)
    again, _, values = dicom_header.read_whole(path)
    assert again == header
    np.testing.assert_array_equal(values_to_hu(values, header.pixel_data), hu)


def test_stale_and_private_elements_are_deleted(tmp_path):
    dataset = ct_slice(
        SmallestImagePixelValue=-1000, LargestImagePixelValue=1500, StorageMediaFileSetUID="1.2.3"
    )
    inner = Dataset()
    inner.CodeValue = "1"
    inner.add_new(0x00091001, "LO", "private")
    dataset.ProcedureCodeSequence = Sequence([inner])
    dataset.VOILUTSequence = Sequence([Dataset()])
    dataset.IconImageSequence = Sequence([Dataset()])
    dataset.private_block(0x0043, "GEMS", create=True).add_new(1, "LO", "private")
    dataset.add_new(0x60000010, "US", 16)
    dataset.add_new(0x60003000, "OW", bytes(32))
    _, made = derive(write(tmp_path / "a.dcm", dataset))
    gone = (
        "SmallestImagePixelValue",
        "LargestImagePixelValue",
        "VOILUTSequence",
        "IconImageSequence",
    )
    assert not [name for name in (*gone, "StorageMediaFileSetUID") if name in made]
    assert not [element.tag for element in made if element.tag.is_private]
    assert not [element.tag for element in made if element.tag.group >> 8 == 0x60]
    assert made.ProcedureCodeSequence[0].CodeValue == "1"
    assert len(made.ProcedureCodeSequence[0]) == 1


# pydicom warns of what the test itself writes
pytestmark = pytest.mark.filterwarnings("ignore:Unknown encoding:UserWarning")
PLACE = b"where a value goes"


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, pydicom.uid.ExplicitVRLittleEndian])
@pytest.mark.parametrize(
    ("tag", "vr", "value"),
    [
        (0x00181152, "IS", b"12.5"),  # Exposure
        (0x00180050, "DS", b"2.50000000000000000001"),  # SliceThickness
        (0x00180050, "DS", b"thin"),
        (0x00101010, "AS", b"old and wise"),  # PatientAge
        (0x00100010, "PN", b"\xff\xfe^\xe9"),  # PatientName
        (0x00081032, "SQ", b"no items"),  # ProcedureCodeSequence
        (0x00200011, "IS", b"third "),  # SeriesNumber
        (0x00280034, "IS", b"1\\x\\2 "),  # PixelAspectRatio
    ],
)
def test_an_invalid_value_costs_its_own_element_at_most(tmp_path, tag, vr, value, syntax):
    path = tmp_path / "a.dcm"
    dataset = ct_slice()
    dataset.add_new(tag, "OB", PLACE)
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(path, enforce_file_format=True)
    data, implicit = path.read_bytes(), syntax.is_implicit_VR
    name = tag.to_bytes(4, "big")
    name = name[1::-1] + name[:1:-1]
    length = len(value).to_bytes(2, "little")
    if implicit:
        old, new = len(PLACE).to_bytes(4, "little"), length + b"\0\0"
    else:
        old = b"OB\0\0" + len(PLACE).to_bytes(4, "little")
        new = vr.encode() + (b"\0\0" + length + b"\0\0" if vr == "SQ" else length)
    assert data.count(name + old + PLACE) == 1
    path.write_bytes(data.replace(name + old + PLACE, name + new + value))
    _, made = derive(path)
    np.testing.assert_array_equal(made.pixel_array, stored_values())
    assert made.PatientID == "P1"
    if not implicit and vr != "SQ" and tag != 0x00200011:  # SeriesNumber is ours
        assert made.get_item(tag).value == value


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, pydicom.uid.ExplicitVRLittleEndian])
def test_an_unknown_character_set_costs_letters_at_most(tmp_path, syntax):
    dataset = ct_slice(SpecificCharacterSet="NO SUCH SET", PatientName="A^B", StudyID="7")
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    _, made = derive(tmp_path / "a.dcm")
    assert (made.PatientID, made.StudyID, made.PatientName) == ("P1", "7", "A^B")
