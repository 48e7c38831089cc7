"""A derived volume lies where its source lies; SimpleITK and nibabel are the oracles."""

import gzip
import pickle

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from srgan.dataset import catalogue
from srgan.formats import readers, writers
from srgan.formats.derived import Derived
from srgan.formats.volumes import metaimage, nifti, nrrd, volume
from srgan.system.errors import Skip
from tests.conftest import small_chest
from tests.helpers.made_metaimage import write as write_metaimage
from tests.helpers.made_volumes import write_nifti, write_nrrd

HOW = "srgan-ct 0: DERIVED " + "x" * 300
ENDINGS = {"mhd": ".mhd", "nifti": ".nii", "nrrd": ".nrrd"}
ORIGIN = (-10.25, 1 / 3, 1e-7)


def turn(about: int, degrees: float) -> np.ndarray:
    """A rotation about an axis of the patient: (3, 3)."""
    angle, matrix = np.radians(degrees), np.eye(3)
    others = [i for i in range(3) if i != about]
    matrix[np.ix_(others, others)] = [
        [np.cos(angle), -np.sin(angle)],
        [np.sin(angle), np.cos(angle)],
    ]
    return matrix


DIRECTIONS = {
    "plain": np.eye(3),
    "prone": np.diag((-1, -1, 1)),
    "from the head down": np.diag((1, -1, -1)),
    "mirrored": np.diag((1, 1, -1)),
    "mirrored rows": np.diag((-1, 1, 1)),
    "turned in plane": turn(2, 30),
    "oblique": turn(0, 12) @ turn(2, -77),
    "oblique and mirrored": turn(1, 15) @ turn(2, 200) @ np.diag((1, 1, -1)),
}


def image_of(values: np.ndarray, direction=DIRECTIONS["from the head down"]):
    image = sitk.GetImageFromArray(values)
    image.SetSpacing((0.7, 0.7000001, 2.5))
    image.SetOrigin(ORIGIN)
    image.SetDirection(np.ravel(direction).tolist())
    return image


def scan_at(path):
    form = readers.volume_format(path)
    return form.scan_of(form.read_header(path), readers.volume_name(path), "P")


def copied(path, folder, format, function, enlargement=1, order=(2, 0, 1)):
    """A copy of a volume of three slices; returns the path of its header."""
    (folder / "scratch").mkdir(parents=True)
    scan, derived = scan_at(path), Derived("made", enlargement)
    read = readers.FORMATS[scan.kind].source_reader(scan, folder / "scratch")
    target = pickle.loads(pickle.dumps(writers.begin(format, scan, derived, folder)))
    for index in order:
        source = read(index)
        target.write(index, source, function(source.hu), HOW)
    target.finish(HOW)
    (made,) = [p for p in folder.iterdir() if p.is_file() and p.suffix != ".raw"]
    return made


def corners_mm(image) -> np.ndarray:
    """The eight outer corners of a volume, (8, 3)."""
    edges = [(-0.5, n - 0.5) for n in image.GetSize()]
    points = np.stack(np.meshgrid(*edges, indexing="ij"), -1).reshape(-1, 3)
    return np.array([image.TransformContinuousIndexToPhysicalPoint(p.tolist()) for p in points])


def affine_mm(image) -> np.ndarray:
    """(4, 4) from an index to the patient, to the right, the front and the head as NIfTI has it."""
    affine = np.eye(4)
    directions = np.array(image.GetDirection()).reshape(3, 3)
    affine[:3, :3] = directions * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return np.diag((-1, -1, 1, 1)) @ affine


# ---- where it lies ----


@pytest.mark.parametrize("format", ENDINGS)
@pytest.mark.parametrize("enlargement", [1, 2, 4])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_new_volume_has_the_field_of_view_of_its_source(tmp_path, format, enlargement, direction):
    values = np.maximum(small_chest(0, size=32), -1024)
    before = image_of(values, DIRECTIONS[direction])
    path = tmp_path / f"1.2.3{ENDINGS[format]}"
    sitk.WriteImage(before, str(path))
    before = sitk.ReadImage(str(path))  # NIfTI holds float32

    def larger(hu):
        return hu.repeat(enlargement, 0).repeat(enlargement, 1)

    made = copied(path, tmp_path / "out", format, larger, enlargement)
    assert made.name == path.name
    after = sitk.ReadImage(str(made))
    assert after.GetSize() == (32 * enlargement, 32 * enlargement, 3)
    np.testing.assert_allclose(corners_mm(after), corners_mm(before), atol=1e-4)
    extent = np.multiply(after.GetSize(), after.GetSpacing())
    np.testing.assert_allclose(extent, np.multiply(before.GetSize(), before.GetSpacing()), 1e-6)
    np.testing.assert_allclose(after.GetDirection(), before.GetDirection(), atol=1e-6)
    np.testing.assert_array_equal(
        sitk.GetArrayFromImage(after), [larger(hu) for hu in sitk.GetArrayFromImage(before)]
    )
    if format == "nifti":
        image = nibabel.load(made)
        for affine in (image.affine, image.get_qform(), image.get_sform()):
            np.testing.assert_allclose(affine, affine_mm(after), atol=1e-4)
        assert (int(image.header["qform_code"]), int(image.header["sform_code"])) == (1, 1)
        assert image.header.get_xyzt_units()[0] == "mm"
    if enlargement == 1 and format != "nifti":
        assert after.GetOrigin() == before.GetOrigin()
        np.testing.assert_allclose(after.GetSpacing(), before.GetSpacing(), rtol=1e-15)


@pytest.mark.parametrize(("format", "room"), [("mhd", metaimage), ("nifti", nifti), ("nrrd", nrrd)])
def test_a_sheared_volume_keeps_its_slice_axis(tmp_path, format, room):
    path = write_nrrd(tmp_path / "a.nrrd", space_directions="(0.7,0,0) (0,0.8,0) (0,0.5,2.5)")
    made = copied(path, tmp_path / "out", format, np.array, order=range(4))
    before, after = nrrd.read_header(path).geometry, room.read_header(made).geometry
    for name in ("size", "spacing_mm", "axes", "origin_mm"):
        np.testing.assert_allclose(getattr(after, name), getattr(before, name), rtol=1e-6)
    if format == "nifti":
        image = nibabel.load(made)
        assert int(image.header["qform_code"]) == 0  # which has no shear
        np.testing.assert_allclose(image.affine[:3, 2], (0, -0.5, 2.5), rtol=1e-6)


@pytest.mark.parametrize("format", ENDINGS)
def test_a_volume_is_written_in_the_other_formats(tmp_path, format):
    before = image_of(small_chest(0, size=32), DIRECTIONS["oblique"])
    for ending in (".mha", ".nii.gz", ".nrrd"):
        path = tmp_path / f"x{ending}"
        sitk.WriteImage(before, str(path), useCompression=True)
        made = copied(path, tmp_path / f"out{ending}", format, np.array)
        after = sitk.ReadImage(str(made))
        np.testing.assert_allclose(corners_mm(after), corners_mm(before), atol=1e-4)
        np.testing.assert_array_equal(sitk.GetArrayFromImage(after), sitk.GetArrayFromImage(before))


# ---- what it holds ----


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.int64, np.float32, np.float64])
@pytest.mark.parametrize(
    ("name", "format"),
    [("1.2.3.mhd", "mhd"), ("a b%.mha", "mhd"), ("packed.mhd", "mhd"), ("a.nii", "nifti"),
     ("a.nii.gz", "nifti"), ("packed.nrrd", "nrrd"), ("a.nhdr", "nrrd")],
)  # fmt: skip
def test_a_copy_has_the_type_of_its_source_and_the_change(tmp_path, dtype, name, format):
    values = small_chest(0, size=32).astype(dtype)
    values[0, 0, 0], values[0, 0, 1], values[0, 0, 2] = -2000, 9000, -1100
    if values.dtype.kind == "f":
        values += 0.25
    image = image_of(values)
    sitk.WriteImage(image, str(tmp_path / name), useCompression="packed" in name)
    made = copied(tmp_path / name, tmp_path / "out", format, lambda hu: hu + 10.0)
    known = made.name.removesuffix(".gz").rpartition(".")[0]
    assert known == ("scan" if "%" in name else name.removesuffix(".gz").rpartition(".")[0])
    assert made.name.endswith(".gz") == name.endswith(".gz")
    after = sitk.ReadImage(str(made))
    assert after.GetPixelID() == image.GetPixelID()
    changed = sitk.GetArrayFromImage(after)
    expected = values + np.array(10, dtype)
    expected[0, 0, :3] = values[0, 0, 0], values[0, 0, 1], values[0, 0, 2] + 10  # air, metal
    np.testing.assert_array_equal(changed, expected)


@pytest.mark.parametrize(
    ("scaling", "dtype", "kept"),
    [((1, -1024), "<u2", np.int16), ((2, 0), ">i2", np.int16), ((0.5, -1000.25), "<i2", np.float32),
     ((1, 0), "<u2", np.int16), ((1, -1024), "<f4", np.float32)],
)  # fmt: skip
def test_voxels_that_are_no_hu_become_int16_or_float32(tmp_path, scaling, dtype, kept):
    values = (small_chest(0, size=16).astype(int) + 1024).clip(0).astype(dtype)
    path = write_nifti(tmp_path / "a.nii.gz", values, scaling=scaling)
    made = copied(path, tmp_path / "out", "nifti", np.array)
    image = nibabel.load(made)
    assert image.get_data_dtype() == kept
    hu = values.astype(float) * scaling[0] + scaling[1]
    np.testing.assert_array_equal(np.asarray(image.dataobj).T, hu)


def test_exact_hu_are_those_of_the_file_and_hu_those_of_the_reader(tmp_path):
    values = small_chest(0, size=16).astype("<f4") + np.float32(0.25)
    values[1, 0] = -3000.5
    path = write_nifti(tmp_path / "a.nii", values)
    scan = scan_at(path)
    source = readers.FORMATS["nifti"].source_reader(scan, tmp_path)(1)
    np.testing.assert_array_equal(source.exact_hu, values[1])
    np.testing.assert_array_equal(source.hu, readers.reader(scan)(1))
    assert source.hu.min() == -1024


def test_a_compressed_copy_is_the_same_each_time(tmp_path):
    path = write_nifti(tmp_path / "a.nii.gz", small_chest(0, size=16))
    files = [copied(path, tmp_path / name, "nifti", np.array).read_bytes() for name in "bc"]
    assert files[0] == files[1]
    assert files[0][4:8] == bytes(4)  # no time
    assert len(gzip.decompress(files[0])) == 352 + 3 * 16 * 16 * 2


@pytest.mark.parametrize("format", ENDINGS)
def test_what_this_program_wrote_says_so(tmp_path, format):
    path = write_nifti(tmp_path / "a.nii", small_chest(0, size=16))
    assert not readers.volume_format(path).read_header(path).made_by
    made = copied(path, tmp_path / "out", format, np.array)
    said = readers.volume_format(made).read_header(made).made_by
    assert said == HOW[: 79 if format == "nifti" else 240 if format == "mhd" else None]
    found = catalogue.find(tmp_path / "out")
    assert not found.scans
    assert "output of this program" in {item.reason for item in found.skipped}


# ---- odd sources ----


@pytest.mark.parametrize(
    ("lines", "before"),
    [
        ("Offset = 1.5 2 3\nElementSpacing = 0.7 0.7 2.5", b""),
        ("TransformMatrix = -1 0 0\n0 -1 0\n0 0 1\nElementSize = 0.7\n0.7\n2.5", b""),
        ("Rotation: -1 0 0 0 -1 0 0 0 1\nElementSpacing: 0,7 0,7 2,5\nOrigin: 1,5 2 3", b""),
        ("position = HFS\noffset = 1.5 2 3 mm\nElementSpacing = 7e-1 .7 2.50 # mm", b""),
        ("Position = 1e-7 0.1 3\n0008|0060 = CT\n# x\nElementSpacing = 1 1 2", b""),
        ("Offset = 1,024 0 0\nAnatomicalOrientation = RAI\nElementSpacing = 1 1 2", b""),
        ("HeaderSize = -1\nElementSpacing = 1 1 2", b"12345"),
        ("HeaderSize = 5\r\nBinaryDataByteOrderMSB = True\nElementSpacing = 1 1 2", b"12345"),
    ],
)
def test_a_copy_of_an_odd_header_has_its_geometry_in_plain_lines(tmp_path, lines, before):
    values = small_chest(1, size=16)
    stored = values.astype(">i2" if "MSB" in lines else "<i2")
    (tmp_path / "a.raw").write_bytes(before + stored.tobytes())
    path = tmp_path / "a.mhd"
    path.write_text(
        f"NDims = 3\n{lines}\nDimSize = 16\n16\n3\nElementType = MET_SHORT\n"
        "ElementDataFile = ./a.raw\n"
    )
    geometry = readers.FORMATS["metaimage"].geometry(scan_at(path))
    made = copied(path, tmp_path / "out", "mhd", np.array)
    image = sitk.ReadImage(str(made))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), values)
    assert image.GetSpacing() == geometry.spacing_mm
    assert image.GetOrigin() == (geometry.origin_mm if "1,024" not in lines else (0, 0, 0))
    assert image.GetDirection() == tuple(np.ravel(np.transpose(geometry.axes)))
    text = made.read_text()
    assert all(" = " in line and "0008" not in line for line in text.splitlines())
    assert f"AnatomicalOrientation = {'LPI' if '-1 0' in lines else 'RAI'}\n" in text


def test_a_source_that_became_shorter_is_a_skip(tmp_path):
    path = write_metaimage(tmp_path)
    read = readers.FORMATS["metaimage"].source_reader(scan_at(path), tmp_path)
    read(0)
    path.with_suffix(".raw").write_bytes(b"")
    with pytest.raises(Skip, match="became shorter"):
        read(0)


def test_a_source_that_is_another_volume_by_now_is_a_skip(tmp_path):
    path = write_nifti(tmp_path / "a.nii")
    scan = scan_at(path)
    write_nifti(path, small_chest(0, size=16))
    for begin in (volume.geometry, volume.of_scan):
        with pytest.raises(Skip, match="changed"):
            begin(readers.FORMATS["nifti"].read_header, scan)
