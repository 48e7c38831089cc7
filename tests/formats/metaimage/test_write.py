"""A derived volume has geometry and voxel type of its source, and says who made it."""

import numpy as np
import pytest
import SimpleITK as sitk

from srgan.formats.metaimage import header as metaimage_header
from srgan.formats.metaimage import write as metaimage_write
from srgan.system.errors import UserError
from tests.conftest import small_chest

DIRECTION = (1, 0, 0, 0, -1, 0, 0, 0, -1)
COMMENT = "srgan-ct 0: DERIVED " + "x" * 300


def image_of(values: np.ndarray):
    image = sitk.GetImageFromArray(values)
    image.SetSpacing((0.7, 0.7000001, 2.5))
    image.SetOrigin((-10.25, 1 / 3, 1e-7))
    image.SetDirection(DIRECTION)
    return image


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.float32, np.float64])
@pytest.mark.parametrize("name", ["1.2.3.mhd", "a b%.mha", "compressed.mhd"])
def test_a_derived_volume_has_size_place_and_type_of_its_source_and_the_change(
    tmp_path, dtype, name
):
    values = small_chest(0, size=32).astype(dtype)
    values[0, 0, 0] = -2000
    if values.dtype.kind == "f":
        values += 0.25
    image = image_of(values)
    sitk.WriteImage(image, str(tmp_path / name), useCompression=name == "compressed.mhd")
    header = metaimage_header.read_header(tmp_path / name)
    folder = tmp_path / "out"
    folder.mkdir()
    source, target = metaimage_write.begin_copy(header, folder)
    for index in (2, 0, 1):
        before = metaimage_write.read_source(source, index)
        np.testing.assert_array_equal(before, values[index])
        target.write(index, metaimage_write.changed_voxels(before, np.full((32, 32), 10.0)))
    metaimage_write.write_header(header, target, COMMENT)

    (path,) = folder.glob("*.mhd")
    assert path.name == ("low-dose.mhd" if "%" in name else f"{header.path.stem}.mhd")
    made = sitk.ReadImage(str(path))
    assert made.GetPixelID() == image.GetPixelID()
    for get in (sitk.Image.GetSize, sitk.Image.GetSpacing, sitk.Image.GetDirection):
        assert get(made) == get(image)
    np.testing.assert_allclose(made.GetOrigin(), image.GetOrigin(), rtol=1e-6)
    changed = sitk.GetArrayFromImage(made)
    assert changed[0, 0, 0] == values[0, 0, 0]
    np.testing.assert_array_equal(changed[1:], values[1:] + 10)
    assert metaimage_header.read_header(path).made_by.startswith("srgan-ct 0: DERIVED x")


def test_big_endian_voxels_and_bytes_before_them_are_read(tmp_path):
    values = small_chest(1, size=16)
    (tmp_path / "a.raw").write_bytes(b"12345" + values.astype(">i2").tobytes())
    lines = {
        "NDims": 3,
        "BinaryData": True,
        "BinaryDataByteOrderMSB": True,
        "Position": "1 2 3",
        "ElementSpacing": "0.7 0.7 2",
        "DimSize": "16 16 3",
        "HeaderSize": 5,
        "ElementType": "MET_SHORT",
        "ElementDataFile": "a.raw",
    }
    text = "\r\n".join(f"{name} = {value}" for name, value in lines.items())
    (tmp_path / "a.mhd").write_bytes(text.encode())
    header = metaimage_header.read_header(tmp_path / "a.mhd")
    (tmp_path / "out").mkdir()
    source, target = metaimage_write.begin_copy(header, tmp_path / "out")
    for index in range(3):
        target.write(index, metaimage_write.read_source(source, index))
    metaimage_write.write_header(header, target, "")
    made = sitk.ReadImage(str(tmp_path / "out" / "a.mhd"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(made), values)
    assert made.GetOrigin() == (1, 2, 3)


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
    ],
)
def test_a_copy_of_an_odd_header_has_its_geometry_in_plain_lines(tmp_path, lines, before):
    values = small_chest(1, size=16)
    (tmp_path / "a.raw").write_bytes(before + values.astype("<i2").tobytes())
    path = tmp_path / "a.mhd"
    path.write_text(
        f"NDims = 3\n{lines}\nDimSize = 16\n16\n3\nElementType = MET_SHORT\n"
        "ElementDataFile = ./a.raw\n"
    )
    header = metaimage_header.read_header(path)
    (tmp_path / "out").mkdir()
    source, target = metaimage_write.begin_copy(header, tmp_path / "out")
    for index in range(3):
        target.write(index, metaimage_write.read_source(source, index))
    metaimage_write.write_header(header, target, "")
    made = sitk.ReadImage(str(tmp_path / "out" / "a.mhd"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(made), values)
    assert made.GetSpacing() == header.spacing_mm
    assert made.GetOrigin() == (header.origin_mm if "1,024" not in lines else (0, 0, 0))
    assert made.GetDirection() == tuple(np.ravel(np.transpose(header.axes)))
    text = (tmp_path / "out" / "a.mhd").read_text()
    assert all(" = " in line and "0008" not in line for line in text.splitlines())


def test_a_source_that_became_shorter_is_an_error(tmp_path):
    sitk.WriteImage(image_of(small_chest(0, size=16)), str(tmp_path / "a.mhd"))
    (tmp_path / "out").mkdir()
    source, _ = metaimage_write.begin_copy(
        metaimage_header.read_header(tmp_path / "a.mhd"), tmp_path / "out"
    )
    (tmp_path / "a.raw").write_bytes(b"")
    with pytest.raises(UserError, match="became shorter"):
        metaimage_write.read_source(source, 0)
