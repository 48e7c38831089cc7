"""Headers, stored values and series of DICOM files made here, with known answers."""

import io
import struct
import subprocess
import sys

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    RLELossless,
)

from srgan.formats.dicom import compressed_frames, series
from srgan.formats.dicom import header as dicom_header
from srgan.formats.dicom import parse as dicom_parse
from srgan.system.errors import Skip
from tests.helpers.made_dicom import ct_slice, stored_values, write


def reason(path) -> str:
    with pytest.raises(Skip) as caught:
        dicom_header.read_slice(path)
    return caught.value.reason


def hu_of(tmp_path, **changes) -> np.ndarray:
    return dicom_header.read_slice(write(tmp_path / "a.dcm", **changes))[1]


# ---- stored values to HU ----


def test_a_plain_slice_gives_its_stored_values_and_simpleitk_agrees(tmp_path):
    path = write(tmp_path / "a.dcm")
    header, hu = dicom_header.read_slice(path)
    assert hu.dtype == np.int16
    np.testing.assert_array_equal(hu, stored_values())
    np.testing.assert_array_equal(hu, sitk.GetArrayFromImage(sitk.ReadImage(str(path)))[0])
    assert (header.rows, header.columns, header.spacing_mm) == (16, 24, (0.7, 0.8))
    assert header == dicom_header.read_header(path)


def test_slope_and_intercept_are_applied_in_float_and_rounded_once(tmp_path):
    values = np.array([[0, 1, 2, 3]], np.int16)
    hu = hu_of(tmp_path, values=values, RescaleSlope="1.25", RescaleIntercept="-1000.5")
    np.testing.assert_array_equal(hu, [[-1000, -999, -998, -997]])  # -1000.5, -999.25, -998, ...


@pytest.mark.parametrize(("padding", "vr"), [(63536, "US"), (-2000, "SS")])
def test_padding_is_compared_in_the_signedness_of_the_data(tmp_path, padding, vr):
    values = np.array([[-2000, 100, -1000]], np.int16)
    dataset = ct_slice(values=values, RescaleIntercept="1500")  # padding would read -500 HU
    dataset.add_new("PixelPaddingValue", vr, padding)
    _, hu = dicom_header.read_slice(write(tmp_path / "a.dcm", dataset))
    np.testing.assert_array_equal(hu, [[-1024, 1600, 500]])


def test_a_padding_range_is_padding_from_end_to_end(tmp_path):
    dataset = ct_slice(values=np.array([[10, 11, 12, 13]], np.int16))
    dataset.add_new("PixelPaddingValue", "SS", 12)
    dataset.add_new("PixelPaddingRangeLimit", "SS", 11)
    _, hu = dicom_header.read_slice(write(tmp_path / "a.dcm", dataset))
    np.testing.assert_array_equal(hu, [[10, -1024, -1024, 13]])


def test_below_air_becomes_air_and_metal_stays(tmp_path):
    hu = hu_of(tmp_path, values=np.array([[-32768, -1025, 5622, 32767]], np.int16))
    np.testing.assert_array_equal(hu, [[-1024, -1024, 5622, 32767]])


def test_a_huge_intercept_is_clipped_and_does_not_wrap(tmp_path):
    assert (hu_of(tmp_path, RescaleIntercept="1e30") == 32767).all()


def test_monochrome1_turns_the_display_and_not_the_hu(tmp_path):
    hu = hu_of(tmp_path, PhotometricInterpretation="MONOCHROME1")
    np.testing.assert_array_equal(hu, stored_values())


@pytest.mark.parametrize(("high", "shift"), [(11, 0), (13, 2), (15, 4)])
@pytest.mark.parametrize("signed", [0, 1])
def test_bits_outside_bits_stored_are_masked_and_the_sign_is_at_high_bit(
    tmp_path, high, shift, signed
):
    wanted = np.array([[0, 5, 2047, 1000]]) - (1000 if signed else 0)
    junk = 0xFFFF & ~(0xFFF << shift)
    words = ((wanted & 0xFFF) << shift | junk).astype(np.uint16)
    bits = {"BitsStored": 12, "HighBit": high, "PixelRepresentation": signed}
    np.testing.assert_array_equal(hu_of(tmp_path, values=words, **bits), wanted)


# ---- encodings ----


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian])
def test_encodings_of_the_data_set(tmp_path, syntax):
    dataset = ct_slice()
    dataset.file_meta.TransferSyntaxUID = syntax
    _, hu = dicom_header.read_slice(write(tmp_path / "a.dcm", dataset))
    np.testing.assert_array_equal(hu, stored_values())


def test_big_endian(tmp_path):
    dataset = ct_slice(PixelData=stored_values().byteswap().tobytes())
    dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    _, hu = dicom_header.read_slice(write(tmp_path / "a.dcm", dataset))
    np.testing.assert_array_equal(hu, stored_values())


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, "1.2.840.10008.1.2.1"])
def test_without_preamble_and_meta_group(tmp_path, syntax):
    implicit = syntax == ImplicitVRLittleEndian
    raw = io.BytesIO()
    pydicom.dcmwrite(raw, Dataset(ct_slice()), implicit_vr=implicit, little_endian=True)
    path = tmp_path / "a.dcm"
    path.write_bytes(raw.getvalue())
    np.testing.assert_array_equal(dicom_header.read_slice(path)[1], stored_values())


def compressed(tmp_path, syntax: str, **changes):
    """A slice in a compressed syntax: path, its codestream, and the data set."""
    import gdcm

    plain = write(tmp_path / "plain.dcm", **changes)
    if syntax == RLELossless:
        dataset = pydicom.dcmread(plain)
        dataset.compress(RLELossless)
    else:
        read = gdcm.ImageReader()
        read.SetFileName(str(plain))
        assert read.Read()
        change = gdcm.ImageChangeTransferSyntax()
        name = {JPEG2000Lossless: "JPEG2000Lossless", JPEGLosslessSV1: "JPEGLosslessProcess14_1"}
        change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, name[syntax])))
        change.SetInput(read.GetImage())
        assert change.Change()
        out = gdcm.ImageWriter()
        out.SetFile(read.GetFile())
        out.SetImage(change.GetOutput())
        out.SetFileName(str(tmp_path / "gdcm.dcm"))
        assert out.Write()
        dataset = pydicom.dcmread(tmp_path / "gdcm.dcm")
    path = write(tmp_path / "packed.dcm", dataset)
    (tmp_path / "plain.dcm").unlink()
    return (
        path,
        next(pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=1)),
        dataset,
    )


SYNTAXES = [RLELossless, JPEG2000Lossless, JPEGLosslessSV1]


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda uid: uid.keyword)
def test_a_compressed_slice_and_the_same_cut_anywhere(tmp_path, syntax, capfd):
    path, stream, dataset = compressed(tmp_path, syntax)
    np.testing.assert_array_equal(dicom_header.read_slice(path)[1], stored_values())
    for length in range(0, len(stream) - 2, max(1, len(stream) // 40)):
        dataset.PixelData = encapsulate([stream[:length] or b"\0"])
        dataset["PixelData"].VR = "OB"
        with pytest.raises(Skip):
            dicom_header.read_slice(write(tmp_path / "cut.dcm", dataset))
    whole = path.read_bytes()
    for length in range(0, len(whole) - 1, max(1, len(whole) // 40)):
        (tmp_path / "cut.dcm").write_bytes(whole[:length])
        with pytest.raises(Skip):
            dicom_header.read_header(tmp_path / "cut.dcm")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda uid: uid.keyword)
def test_a_frame_of_another_size_is_not_used(tmp_path, syntax):
    _, _, dataset = compressed(tmp_path, syntax)
    dataset.Rows = 8
    if syntax != RLELossless:  # RLE has no size; its decoder compares the length alone
        assert reason(write(tmp_path / "b.dcm", dataset)) == "damaged pixel data"
    dataset.Rows = 32
    assert reason(write(tmp_path / "b.dcm", dataset)) == "damaged pixel data"


def test_a_jpeg2000_codestream_without_one_tile_part(tmp_path):
    _, stream, _ = compressed(tmp_path, JPEG2000Lossless)
    start = stream.find(b"\xff\x90")
    with pytest.raises(Skip):
        compressed_frames.decode(stream[:start] + b"\xff\xd9", JPEG2000Lossless, 16, 24, 16, True)


def test_a_deflated_data_set_is_inflated_up_to_a_limit(tmp_path, monkeypatch):
    dataset = ct_slice()
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    path = write(tmp_path / "a.dcm", dataset)
    monkeypatch.setattr(dicom_parse, "MAX_INFLATED", 500)
    assert reason(path) == "too large"
    monkeypatch.undo()
    path.write_bytes(path.read_bytes()[:-20])
    assert reason(path) == "truncated"
    end = 132 + 12 + pydicom.filereader.read_file_meta_info(path).FileMetaInformationGroupLength
    path.write_bytes(path.read_bytes()[:end] + b"\xff" * 100)
    assert reason(path) == "damaged pixel data"


# ---- headers ----

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
    ({"Rows": 15}, "damaged pixel data"),
    ({"Rows": 17}, "damaged pixel data"),
    ({"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}, "cannot hold HU"),
    ({"BitsStored": 24, "HighBit": 23}, "damaged header"),
    ({"HighBit": 5}, "damaged header"),
    ({"PixelRepresentation": None}, "damaged header"),
    ({"RescaleSlope": None}, "not HU"),
    ({"RescaleIntercept": None}, "not HU"),
    ({"RescaleSlope": "0"}, "not HU"),
    ({"RescaleType": "US"}, "not HU"),
    ({"SeriesInstanceUID": None}, "no series"),
    ({"PixelData": b""}, "damaged pixel data"),
]


@pytest.mark.parametrize(("changes", "expected"), REFUSED, ids=str)
def test_what_is_not_an_axial_slice_in_hu_is_refused(tmp_path, changes, expected):
    assert reason(write(tmp_path / "a.dcm", **changes)) == expected


@pytest.mark.parametrize("text", ["nan", "inf", "1e999", "one", "1\\1", " "])
def test_a_slope_that_is_no_finite_number(tmp_path, text):
    dataset = ct_slice()
    path = write(tmp_path / "a.dcm", dataset)
    old = struct.pack("<HH2sH", 0x28, 0x1053, b"DS", 2) + b"1 "
    value = (text + " " * (len(text) % 2)).encode()
    new = struct.pack("<HH2sH", 0x28, 0x1053, b"DS", len(value)) + value
    raw = path.read_bytes()
    assert raw.count(old) == 1
    path.write_bytes(raw.replace(old, new))
    assert reason(path) == "not HU"


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
]


@pytest.mark.parametrize("changes", TAKEN, ids=str)
def test_what_is_an_axial_slice_is_taken_as_it_is(tmp_path, changes):
    np.testing.assert_array_equal(hu_of(tmp_path, **changes), stored_values())


def test_a_rescale_type_of_gdcm_says_nothing(tmp_path):
    dataset = ct_slice(RescaleType="US")
    dataset.file_meta.ImplementationClassUID = "1.2.826.0.1.3680043.2.1143.107.104"
    _, hu = dicom_header.read_slice(write(tmp_path / "a.dcm", dataset))
    np.testing.assert_array_equal(hu, stored_values())


def test_an_output_of_this_program_is_refused_and_other_equipment_is_not(tmp_path):
    item = Dataset()
    item.ManufacturerModelName = "SRGAN-CT 1.0"
    dataset = ct_slice(ContributingEquipmentSequence=[item])
    assert reason(write(tmp_path / "a.dcm", dataset)) == "output of this program"
    item.ManufacturerModelName = "a workstation"
    assert dicom_header.read_header(write(tmp_path / "a.dcm", dataset))


def test_patient_ids_are_stripped_and_keep_their_letters(tmp_path):
    path = write(tmp_path / "a.dcm", PatientID=" Mü 7 ", SpecificCharacterSet="ISO_IR 192")
    assert dicom_header.read_header(path).patient_id == "Mü 7"
    assert dicom_header.read_header(write(path, PatientID=None)).patient_id == ""


def test_files_that_are_no_dicom(tmp_path):
    path = tmp_path / "a.dcm"
    cases = {
        b"": "empty file",
        b"text\n": "not DICOM or MetaImage",
        b"\0" * 128 + b"DICM": "truncated",
        b"\0" * 500: "not DICOM or MetaImage",
    }
    for content, expected in cases.items():
        path.write_bytes(content)
        assert reason(path) == expected
    assert reason(tmp_path / "none.dcm") == "cannot be read"
    assert reason(tmp_path) == "cannot be read"


def test_a_length_that_lies_and_deep_nesting_cost_nothing(tmp_path):
    path = write(tmp_path / "a.dcm")
    raw = path.read_bytes()
    at = raw.index(struct.pack("<HH", 0x8, 0x8))
    long = struct.pack("<HH2sHL", 0x8, 0x8, b"UT", 0, 0xFFFFFFF0)
    path.write_bytes(raw[:at] + long)
    assert reason(path) == "truncated"
    nested = struct.pack("<HH2sHL", 0x8, 0x1111, b"SQ", 0, 0xFFFFFFFF)
    nested += struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)
    path.write_bytes(raw[:at] + nested * 5000)
    assert reason(path) in ("damaged header", "no pixel data", "truncated")


# ---- series ----


def headers(tmp_path, *slices: dict) -> list[dicom_header.Header]:
    return [
        dicom_header.read_header(write(tmp_path / f"{i}.dcm", **changes))
        for i, changes in enumerate(slices)
    ]


def test_slices_stand_along_the_normal_whatever_their_names(tmp_path):
    scans, skipped = series.group(headers(tmp_path, {"z": 5}, {"z": -2.5}, {"z": 2.5}, {"z": 0}))
    (scan,) = scans
    assert not skipped
    assert [s.z_mm for s in scan.slices] == [-2.5, 0, 2.5, 5]
    assert [s.path.name for s in scan.slices] == ["1.dcm", "3.dcm", "2.dcm", "0.dcm"]
    assert (scan.gaps, scan.kind, scan.patient_id) == (0, "dicom", "P1")


@pytest.mark.parametrize(
    ("z", "gaps"), [([], 0), ([1], 0), ([0, 1, 2], 0), ([0, 1, 4, 5], 2), ([0, 2.5, 7.5], 1)]
)
def test_gaps_are_counted_from_the_commonest_step(z, gaps):
    assert series.count_gaps(z) == gaps


def test_duplicates_and_odd_sizes_are_named(tmp_path):
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


def test_the_reader_refuses_a_file_that_was_exchanged(tmp_path):
    (scan,), _ = series.group(headers(tmp_path, {"z": 0}))
    np.testing.assert_array_equal(series.reader(scan)(0), stored_values())
    write(tmp_path / "0.dcm", z=0)
    with pytest.raises(Skip, match="changed"):
        series.reader(scan)(0)


# ---- whatever a file holds, only Skip comes out ----


@pytest.fixture(scope="module")
def seeds(tmp_path_factory):
    folder = tmp_path_factory.mktemp("seeds")
    plain = write(folder / "a" / "plain.dcm").read_bytes()
    return [plain, *(compressed(folder, syntax)[0].read_bytes() for syntax in SYNTAXES)]


def attempt(path) -> None:
    try:
        header, hu = dicom_header.read_slice(path)
    except Skip:
        return
    assert hu.shape == (header.rows, header.columns)
    assert hu.min() >= -1024


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_mutated_headers(seeds, tmp_path_factory, data):
    raw = bytearray(data.draw(st.sampled_from(seeds)))
    for _ in range(data.draw(st.integers(1, 6))):
        raw[data.draw(st.integers(0, min(len(raw), 1400) - 1))] = data.draw(st.integers(0, 255))
    raw = raw[: data.draw(st.one_of(st.just(len(raw)), st.integers(0, len(raw))))]
    path = tmp_path_factory.getbasetemp() / "mutated.dcm"
    path.write_bytes(raw)
    attempt(path)


def test_nothing_is_printed(tmp_path):
    """A damaged RLE frame in a process without pytest's capture: silence on both streams."""
    _, stream, dataset = compressed(tmp_path, RLELossless)
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
