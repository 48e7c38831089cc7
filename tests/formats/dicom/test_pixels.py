"""Stored values of DICOM slices as HU; SimpleITK and known answers are the oracles."""

import numpy as np
import pytest
import SimpleITK as sitk

from srgan.formats.dicom.header import read_header, read_slice
from tests.helpers.made_dicom import ct_slice, stored_values, write


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
