"""Where a point in the patient lies in a scan: SimpleITK is the oracle."""

import numpy as np
import pytest
import SimpleITK as sitk

from srgan.dataset import catalogue
from srgan.dataset.coordinates import locate
from srgan.formats import readers
from tests.helpers import made_dicom


def volume_at(folder, direction, spacing=(0.6, 0.8, 2.5), origin=(-30.0, 12.0, -200.0)):
    """A MetaImage volume of 5 x 24 x 16 with this geometry: its scan, and SimpleITK's image."""
    rng = np.random.default_rng(0)
    image = sitk.GetImageFromArray(rng.integers(-1000, 500, (5, 24, 16)).astype(np.int16))
    image.SetSpacing(spacing)
    image.SetOrigin(origin)
    image.SetDirection(direction)
    sitk.WriteImage(image, str(folder / "1.2.3.mhd"))
    return catalogue.find(folder).scans[0], image


FLIPPED = (-1, 0, 0, 0, -1, 0, 0, 0, 1)
TILTED = tuple(sitk.VersorTransform((1, 0, 0), 0.2).GetMatrix())


@pytest.mark.parametrize(
    "direction", [(1, 0, 0, 0, 1, 0, 0, 0, 1), FLIPPED, (0, -1, 0, 1, 0, 0, 0, 0, 1), TILTED]
)
def test_a_point_in_a_volume_lies_where_simpleitk_says(tmp_path, direction):
    scan, image = volume_at(tmp_path, direction)
    for index in ((0, 0, 0), (3.2, 20.4, 1.3), (15.4, 23.4, 4.4), (7, 11, 2.6)):
        point = image.TransformContinuousIndexToPhysicalPoint(index)
        place = locate(scan, point)
        column, row, position = image.TransformPhysicalPointToIndex(point)
        assert (place.position, round(place.row_px), round(place.column_px)) == (
            position, row, column,
        )  # fmt: skip
        assert (place.column_px, place.row_px) == pytest.approx(index[:2], abs=1e-3)
        assert place.off_mm == pytest.approx(2.5 * (index[2] - position), abs=1e-3)
        hu = sitk.GetArrayFromImage(image)[position]
        assert np.array_equal(readers.reader(scan)(place.position), np.maximum(hu, -1024))


@pytest.mark.parametrize("index", [(-1, 5, 2), (16.1, 5, 2), (5, 24.2, 2), (5, 5, 5.1), (5, 5, -1)])
def test_a_point_outside_a_volume_has_no_place(tmp_path, index):
    scan, image = volume_at(tmp_path, FLIPPED)
    assert locate(scan, image.TransformContinuousIndexToPhysicalPoint(index)) is None
    assert locate(scan, (float("nan"), 0.0, 0.0)) is None


@pytest.mark.parametrize("across", [(1, 0, 0), (-1, 0, 0)])
def test_a_point_in_a_dicom_series_lies_where_simpleitk_says(tmp_path, across):
    down = (0, float(np.cos(0.2)), float(np.sin(0.2)))
    normal = np.cross(across, down)
    paths = [
        made_dicom.write(
            tmp_path / f"{i}.dcm",
            ImageOrientationPatient=[*across, *down],
            ImagePositionPatient=[round(float(v), 6) for v in (-8, 4, -50) + 2.5 * i * normal],
            InstanceNumber=i,
        )
        for i in range(4)
    ]
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([str(path) for path in paths])
    image = reader.Execute()
    (scan,) = catalogue.find(tmp_path).scans
    for index in ((0, 0, 0), (20.3, 10.2, 2.4), (23.4, 15.4, 1.7)):
        place = locate(scan, image.TransformContinuousIndexToPhysicalPoint(index))
        *_, position = image.TransformPhysicalPointToIndex(
            image.TransformContinuousIndexToPhysicalPoint(index)
        )
        assert scan.slices[place.position].path == paths[position]
        assert (place.column_px, place.row_px) == pytest.approx(index[:2], abs=1e-3)
        assert abs(place.off_mm) == pytest.approx(2.5 * abs(index[2] - position), abs=1e-3)
    assert locate(scan, image.TransformContinuousIndexToPhysicalPoint((5, 5, 4.2))) is None


def test_a_point_in_a_gap_between_slices_has_no_place(tmp_path):
    for i in (0, 1, 2, 6, 7):
        made_dicom.write(tmp_path / f"{i}.dcm", z=2.5 * i)
    (scan,) = catalogue.find(tmp_path).scans
    assert locate(scan, (5.0, 5.0, 5.9)).position == 2
    assert locate(scan, (5.0, 5.0, 10.0)) is None
