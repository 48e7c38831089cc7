"""Stored values of DICOM slices as HU; SimpleITK and known answers are the oracles."""

import numpy as np
import pytest
import SimpleITK as sitk
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from srgan.formats.derived import Derived
from srgan.formats.dicom.derived_header import Series
from srgan.formats.dicom.header import read_header, read_slice
from srgan.formats.dicom.series import file_source
from srgan.formats.dicom.write import DicomTarget, slice_file
from tests.helpers.made_dicom import ct_slice, stored_values, write
from tests.helpers.refused import refused

SYNTAXES = [
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
]


def hu_of(tmp_path, **changes) -> np.ndarray:
    return read_slice(write(tmp_path / "a.dcm", **changes))[1]


def test_hu_are_the_stored_values_of_a_plain_slice_and_those_of_simpleitk(tmp_path):
    path = write(tmp_path / "a.dcm")
    header, hu = read_slice(path)
    assert hu.dtype == np.int16
    np.testing.assert_array_equal(hu, stored_values())
    np.testing.assert_array_equal(hu, sitk.GetArrayFromImage(sitk.ReadImage(str(path)))[0])
    assert (header.rows, header.columns, header.spacing_mm) == (16, 24, (0.7, 0.8))
    assert header == read_header(path)


def test_slope_and_intercept_are_applied_in_float_and_rounded_once(tmp_path):
    values = np.array([[0, 1, 2, 3]], np.int16)
    hu = hu_of(tmp_path, values=values, RescaleSlope="1.25", RescaleIntercept="-1000.5")
    np.testing.assert_array_equal(hu, [[-1000, -999, -998, -997]])  # -1000.5, -999.25, -998, ...


@pytest.mark.parametrize(("padding", "vr"), [(63536, "US"), (-2000, "SS")])
def test_padding_is_signed_where_the_stored_values_are(tmp_path, padding, vr):
    values = np.array([[-2000, 100, -1000]], np.int16)
    dataset = ct_slice(values=values, RescaleIntercept="1500")  # padding would read -500 HU
    dataset.add_new("PixelPaddingValue", vr, padding)
    _, hu = read_slice(write(tmp_path / "a.dcm", dataset))
    np.testing.assert_array_equal(hu, [[-1024, 1600, 500]])


def test_a_padding_range_is_padding_from_end_to_end(tmp_path):
    dataset = ct_slice(values=np.array([[10, 11, 12, 13]], np.int16))
    dataset.add_new("PixelPaddingValue", "SS", 12)
    dataset.add_new("PixelPaddingRangeLimit", "SS", 11)
    _, hu = read_slice(write(tmp_path / "a.dcm", dataset))
    np.testing.assert_array_equal(hu, [[10, -1024, -1024, 13]])


def test_hu_below_air_become_air_and_metal_stays(tmp_path):
    hu = hu_of(tmp_path, values=np.array([[-32768, -1025, 5622, 32767]], np.int16))
    np.testing.assert_array_equal(hu, [[-1024, -1024, 5622, 32767]])


def test_a_huge_intercept_is_clipped_and_does_not_wrap(tmp_path):
    assert (hu_of(tmp_path, RescaleIntercept="1e30") == 32767).all()


def test_monochrome1_inverts_the_display_and_not_the_hu(tmp_path):
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


# ---- bytes after the picture ----

EXCESS = {"a pixel": 2, "a row": 192, "a sector": 512, "all but a picture": 2 * 96 * 48 - 2}


def excess_slice(n_bytes: int, syntax: str = ExplicitVRLittleEndian, noise: int = 0) -> Dataset:
    """A smooth slice of 48 x 96 pixels, and bytes after them inside the element."""
    big = syntax == ExplicitVRBigEndian
    values = stored_values(48, 96).astype(">i2" if big else "<i2")
    dataset = ct_slice(values=values, PixelData=values.tobytes() + bytes([noise]) * n_bytes)
    dataset.file_meta.TransferSyntaxUID = syntax
    return dataset


@pytest.mark.parametrize("noise", [0, 0x5A])
@pytest.mark.parametrize("n_bytes", EXCESS.values(), ids=EXCESS)
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_bytes_after_the_picture_are_dropped(tmp_path, syntax, n_bytes, noise):
    path = write(tmp_path / "a.dcm", excess_slice(n_bytes, syntax, noise))
    header, hu = read_slice(path)
    np.testing.assert_array_equal(hu, stored_values(48, 96))
    assert header.pixel_data.parts[0][1] == hu.size * 2


@pytest.mark.parametrize("syntax", SYNTAXES)
def test_a_second_picture_is_refused_and_so_are_too_few_bytes(tmp_path, syntax):
    whole = 48 * 96 * 2
    path = write(tmp_path / "a.dcm", excess_slice(whole, syntax))
    skip = refused(read_header, path)
    assert skip.reason == "damaged pixel data"
    assert "longer than Rows and Columns say" in skip.detail
    dataset = excess_slice(0, syntax)
    dataset.PixelData = dataset.PixelData[:-2]
    assert refused(read_header, write(path, dataset)).reason == "damaged pixel data"


def test_a_small_picture_may_be_followed_by_a_sector(tmp_path):
    values = stored_values(8, 8)
    path = write(tmp_path / "a.dcm", values=values, PixelData=values.tobytes() + bytes(4096))
    np.testing.assert_array_equal(read_slice(path)[1], values)
    path = write(path, values=values, PixelData=values.tobytes() + bytes(4098))
    assert refused(read_header, path).reason == "damaged pixel data"


@pytest.mark.parametrize("n_pixels", [1, 2, 5])
@pytest.mark.parametrize("syntax", SYNTAXES)
def test_padding_after_each_row_does_not_shear_the_picture(tmp_path, syntax, n_pixels):
    dataset = excess_slice(0, syntax)
    order = ">i2" if syntax == ExplicitVRBigEndian else "<i2"
    picture = chest()
    rows = np.pad(picture, ((0, 0), (0, n_pixels))).astype(order)
    dataset.PixelData = rows.tobytes()
    path = write(tmp_path / "a.dcm", dataset)
    np.testing.assert_array_equal(read_slice(path)[1], picture)
    # as many bytes after the picture are not taken for it
    dataset.PixelData = picture.astype(order).tobytes() + bytes(2 * 48 * n_pixels)
    np.testing.assert_array_equal(read_slice(write(path, dataset))[1], picture)


def chest() -> np.ndarray:
    """(48, 96) int16: a body of water with noise in air."""
    rows, columns = np.mgrid[:48, :96]
    body = ((rows - 24) / 20) ** 2 + ((columns - 48) / 40) ** 2 < 1
    noise = np.random.default_rng(7).normal(0, 15, (48, 96))
    return (np.where(body, 40, -1000) + noise).round().clip(-1024).astype(np.int16)


def test_a_copy_has_the_pixels_without_the_excess(tmp_path):
    source = file_source(write(tmp_path / "a.dcm", excess_slice(512)))
    target = DicomTarget(tmp_path, Series.new(Derived("a copy")))
    target.write(0, source, source.hu, "nothing")
    written = dcmread(slice_file(tmp_path, 0))
    assert len(written.PixelData) == 48 * 96 * 2
    np.testing.assert_array_equal(written.pixel_array, stored_values(48, 96))
