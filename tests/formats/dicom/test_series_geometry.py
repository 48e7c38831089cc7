"""A DICOM series as a volume lies where SimpleITK has it; what makes up no volume is refused."""

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from srgan.formats import readers, writers
from srgan.formats.derived import Derived
from srgan.system.errors import Skip, UserError
from srgan.whole_scans import copy_scan, single_scan
from tests.formats.volumes.test_write import affine_mm, corners_mm, turn
from tests.helpers.made_dicom import ct_slice, stored_values, write

STEP_MM = 2.5


def write_series(folder, axes=None, n=4, moved=lambda index: np.zeros(3), **changes):
    """n slices along the normal of these axes; moved: mm that a slice lies elsewhere."""
    across, down = (np.eye(3) if axes is None else axes)[:, :2].T
    normal = np.cross(across, down)
    for index in range(n):
        position = np.array((-100.0, 50, 700)) + index * STEP_MM * normal + moved(index)
        orientation = [f"{v:.10g}"[:16] for v in (*across, *down)]
        place = {
            "ImagePositionPatient": [f"{v:.6f}" for v in position],
            "ImageOrientationPatient": orientation,
        }
        values = stored_values() + np.int16(index)
        write(folder / f"{index}.dcm", ct_slice(0, values, **(place | changes)))
    return folder


def by_sitk(folder):
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return reader.Execute()


def copied(source, output, format, enlargement=1):
    """The header of a copy of a DICOM series as a volume."""
    scan, _ = single_scan.find(source)
    with copy_scan.begun(scan, Derived("made", enlargement), output, format) as copy:
        for index in range(len(scan.slices)):
            hu = copy_scan.read(copy, index).hu
            new_hu = hu.repeat(enlargement, 0).repeat(enlargement, 1)
            copy_scan.write(copy, index, copy_scan.read(copy, index), new_hu, "how")
        copy.target.finish("srgan-ct 0: how")
    (made,) = [p for p in output.iterdir() if p.suffix != ".raw"]
    return made


@pytest.mark.parametrize("format", ["mhd", "nifti", "nrrd"])
@pytest.mark.parametrize("enlargement", [1, 4])
@pytest.mark.parametrize(
    "axes",
    [
        np.eye(3), np.diag((-1, -1, 1)), np.diag((-1, 1, -1)), np.diag((1, -1, -1)),
        turn(2, 30), turn(0, 12) @ turn(2, 100), turn(0, 8) @ np.diag((-1, 1, -1)),
    ],
    ids=["plain", "prone", "feet first", "from the head down", "turned", "oblique", "oblique feet"],
)  # fmt: skip
def test_a_series_becomes_the_volume_that_simpleitk_makes_of_it(
    tmp_path, axes, enlargement, format
):
    before = by_sitk(write_series(tmp_path / "in", axes))
    made = copied(tmp_path / "in", tmp_path / "out", format, enlargement)
    after = sitk.ReadImage(str(made))
    np.testing.assert_allclose(corners_mm(after), corners_mm(before), atol=1e-3)
    np.testing.assert_allclose(after.GetDirection(), before.GetDirection(), atol=1e-6)
    hu = sitk.GetArrayFromImage(after)[:, ::enlargement, ::enlargement]
    np.testing.assert_array_equal(hu, sitk.GetArrayFromImage(before))
    if format == "nifti":
        np.testing.assert_allclose(nibabel.load(made).affine, affine_mm(after), atol=1e-4)


def geometry_of(folder):
    scan, _ = single_scan.find(folder)
    return readers.FORMATS["dicom"].geometry(scan)


def test_positions_that_are_rounded_to_a_tenth_are_an_even_grid(tmp_path):
    def rounded(index):
        z = 700 + index * STEP_MM / 4
        return np.array((0, 0, round(z, 1) - (700 + index * STEP_MM)))

    geometry = geometry_of(write_series(tmp_path, n=9, moved=rounded))
    assert geometry.spacing_mm == (0.8, 0.7, pytest.approx(STEP_MM / 4))


def test_a_single_slice_is_as_thick_as_it_says(tmp_path):
    assert geometry_of(write_series(tmp_path / "a", n=1)).spacing_mm[2] == 1
    path = write_series(tmp_path / "b", n=1, SliceThickness=3)
    assert geometry_of(path).spacing_mm[2] == 3


@pytest.mark.parametrize(
    ("moved", "reason"),
    [
        (lambda index: np.array((0, 0, STEP_MM * (index > 1))), "slices are not evenly spaced"),
        (lambda index: np.array((0, 0, 0.4 * (index == 1))), "slices are not evenly spaced"),
        (lambda index: np.array((0, 0.7 * index, 0)), "slices are sheared"),
        (lambda index: np.array((3.0 * (index == 2), 0, 0)), "slices are sheared"),
    ],
    ids=["gap", "one moved", "tilted gantry", "one beside"],
)
def test_a_series_that_is_no_volume_is_refused_as_one(tmp_path, moved, reason):
    write_series(tmp_path / "in", moved=moved)
    with pytest.raises(Skip, match=reason):
        geometry_of(tmp_path / "in")
    with pytest.raises(UserError, match=f"{reason}.*DICOM can"):
        copied(tmp_path / "in", tmp_path / "out", "nifti")
    assert [p.name for p in tmp_path.iterdir()] == ["in"]


def test_slices_that_are_not_parallel_are_refused(tmp_path):
    write_series(tmp_path / "in", n=3)
    tilted = write_series(tmp_path / "other", turn(0, 3), n=4)
    (tilted / "3.dcm").rename(tmp_path / "in" / "3.dcm")
    with pytest.raises(Skip, match="slices are not parallel"):
        geometry_of(tmp_path / "in")


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_a_volume_does_not_leave_out_a_damaged_slice(tmp_path, when):
    scan, _ = single_scan.find(write_series(tmp_path / "in"))
    path = scan.slices[2].path

    def damage():
        path.write_bytes(path.read_bytes()[:-100])

    def copy_all():
        with copy_scan.begun(scan, Derived("made"), tmp_path / "out", "mhd") as copy:
            if when == "meanwhile":
                damage()
            copy_scan.made(copy, 2, np.array, "how")

    if when == "before":
        damage()
    with pytest.raises(
        UserError, match=f"{path.name}: .*{'DICOM' if when == 'before' else 'dicom'} can"
    ):
        copy_all()
    assert not (tmp_path / "out").exists()


def test_space_for_a_packed_copy_is_counted_with_what_is_inflated(tmp_path):
    image = by_sitk(write_series(tmp_path / "in"))
    needed = []
    for name in ("a.nii", "a.nii.gz"):
        sitk.WriteImage(image, str(tmp_path / name))
        scan, _ = single_scan.find(tmp_path / name)
        needed.append(writers.bytes_needed("nifti", scan, Derived("made", 2)))
    voxels = 2 * 4 * 16 * 24
    assert needed == [4 * voxels, 2 * 4 * voxels + voxels]
