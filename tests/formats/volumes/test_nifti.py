"""NIfTI volumes against SimpleITK, and what is refused."""

import contextlib
import gzip
import time
from random import Random

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from srgan.dataset.coordinates import locate
from srgan.formats import readers
from srgan.formats.volumes import nifti, volume
from srgan.system.errors import Skip
from tests.helpers.made_metaimage import volume as made_hu
from tests.helpers.made_volumes import nifti_header, write_nifti, written_by_simpleitk


def read(path):
    """The scan and its pixels, before they are judged: (slices, rows, columns) int16."""
    scan = volume.scan_of(nifti.read_header(path), "1.2", "P")
    read_slice = readers.FORMATS["nifti"].reader(scan)
    return scan, np.stack([read_slice(i) for i in range(len(scan.slices))])


def by_itk(path):
    """The image by SimpleITK, and its values as this program rounds and clips them."""
    image = sitk.ReadImage(str(path))
    values = sitk.GetArrayFromImage(image).astype(float)
    return image, np.rint(np.clip(values, -1024, 32767)).astype(np.int16)


def check_as_itk(path):
    """Same pixels, spacing and places of points as SimpleITK has."""
    (scan, hu), (image, expected) = read(path), by_itk(path)
    np.testing.assert_array_equal(hu, expected)
    np.testing.assert_allclose(scan.spacing_mm, image.GetSpacing()[1::-1], rtol=1e-6)
    for index in ((0, 0, 0), (5, 1, 2), (2, 4, 3)):
        point = image.TransformIndexToPhysicalPoint(index)
        place = locate(scan, point)
        assert place.position == index[2]
        np.testing.assert_allclose((place.column_px, place.row_px), index[:2], atol=1e-3)
        assert abs(place.off_mm) < 1e-3
    steps = np.diff([item.z_mm for item in scan.slices])
    np.testing.assert_allclose(steps, image.GetSpacing()[2], rtol=1e-6)


def refusal(path) -> str:
    with pytest.raises(Skip) as caught:
        read(path)
    return f"{caught.value.reason}: {caught.value.detail}"


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize("dtype", ["<i2", ">i2", "<i4", ">f4", "<f8", "<i8"])
def test_types_and_byte_orders_as_simpleitk_reads_them(tmp_path, ending, dtype):
    values = made_hu().astype(dtype)
    if dtype[1] == "f":
        values += 0.3
    check_as_itk(write_nifti(tmp_path / f"x{ending}", values))


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_files_that_simpleitk_writes(tmp_path, ending):
    for path in written_by_simpleitk(tmp_path / f"x{ending}", made_hu()):
        check_as_itk(path)


def test_the_second_version_and_extensions_before_the_voxels(tmp_path):
    hu = made_hu()
    for version, ending in ((2, ".nii"), (2, ".nii.gz"), (1, ".nii.gz")):
        start = 348 if version == 1 else 540
        data = bytes(12) + hu.tobytes()
        path = write_nifti(tmp_path / f"x{ending}", data, version=version, vox_offset=start + 16)
        scan, found = read(path)
        np.testing.assert_array_equal(found, hu)
        assert scan.slices[0].z_mm == -30


@pytest.mark.parametrize("q_code", [0, 1, 2])
@pytest.mark.parametrize("s_code", [1, 2])
@pytest.mark.parametrize("qfac", [1, -1, 0])
def test_qform_and_sform_are_chosen_as_simpleitk_chooses(tmp_path, q_code, s_code, qfac):
    sform = [-0.7, 0, 0, 1, 0, 0.8, 0, 2, 0, 0, 2.5, 3]
    changes = {
        "codes": (q_code, s_code),
        "sform": sform,
        "pixdim": (qfac, 0.7, 0.8, 2.5, 0, 0, 0, 0),
    }
    check_as_itk(write_nifti(tmp_path / "x.nii", **changes, qform=(0.1, 0.05, 0.2, 1, 2, 3)))


@pytest.mark.parametrize(("units", "factor"), [(0, 1), (1, 1e-3), (2, 1), (3, 1e3), (10, 1)])
def test_lengths_in_metres_and_micrometres_are_converted(tmp_path, units, factor):
    pixdim = np.array((1, 0.7, 0.8, 2.5, 0, 0, 0, 0)) * [1, *[factor] * 7]
    qform = (0, 0, 1, 10 * factor, 20 * factor, -30 * factor)
    path = write_nifti(tmp_path / "x.nii", units=units, pixdim=pixdim, qform=qform)
    check_as_itk(path)
    np.testing.assert_allclose(read(path)[0].spacing_mm, (0.8, 0.7), rtol=1e-6)


@pytest.mark.parametrize("scaling", [(1, -1024), (0.5, -1000.3), (2, 0), (-1, 0), (1e30, -5)])
@pytest.mark.parametrize("dtype", ["<u2", "<i2", "<f4"])
def test_slope_and_intercept_are_applied_as_simpleitk_applies_them(tmp_path, scaling, dtype):
    values = (made_hu().astype(int) + 1024).astype(dtype)
    path = write_nifti(tmp_path / "x.nii.gz", values, scaling=scaling)
    expected = np.clip(
        values.astype(float) * np.float32(scaling[0]) + np.float32(scaling[1]), -1024, 32767
    )
    np.testing.assert_array_equal(read(path)[1], np.rint(expected).astype(np.int16))
    if abs(scaling[0]) < 1e9:
        assert (
            np.abs(read(path)[1] - by_itk(path)[1].astype(int)).max() <= 1
        )  # ITK scales in float32


def test_a_slope_of_zero_or_nan_means_no_scaling(tmp_path):
    nan = float("nan")
    for scaling in ((0, 0), (nan, nan), (0, nan)):
        np.testing.assert_array_equal(
            read(write_nifti(tmp_path / "x.nii", scaling=scaling))[1], made_hu()
        )
    for scaling in ((0, -1024), (nan, 5)):
        path = write_nifti(tmp_path / "x.nii", scaling=scaling)
        assert refusal(path) == "damaged header: scl_inter without scl_slope"


def test_values_beyond_int16_are_clipped_and_not_wrapped(tmp_path):
    values = made_hu().astype("<i4")
    values[0, 0, :4] = (-5000, 70000, 32768, -1025)
    hu = read(write_nifti(tmp_path / "x.nii", values))[1]
    assert hu[0, 0, :4].tolist() == [-1024, 32767, 32767, -1024]


def test_further_dimensions_of_one_are_no_dimensions(tmp_path):
    for dim in ((4, 6, 5, 4, 1, 1, 1, 1), (7, 6, 5, 4, 1, 1, 1, 1), (3, 6, 5, 4, 7, 7, 7, 7)):
        check_as_itk(write_nifti(tmp_path / "x.nii", dim=dim))


NAN = float("nan")
SFORM = [0.7, 0, 0, 1, 0, 0.8, 0, 2, 0, 0, 2.5, 3]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"codes": (0, 0)}, "not known to be axial: the header has neither qform nor sform"),
        ({"qform": (2, 0, 0, 0, 0, 0)}, "not known to be axial: the qform is no rotation"),
        ({"qform": (NAN, 0, 0, 0, 0, 0)}, "not known to be axial: the qform is no rotation"),
        ({"qform": (0.5, 0.5, 0.5, 0, 0, 0)}, "not axial"),
        ({"codes": (0, 1)}, "damaged header: sform and pixdim"),
        ({"codes": (0, 1), "sform": [2 * v for v in SFORM]}, "damaged header: sform and pixdim"),
        (
            {"codes": (0, 1), "sform": [0.7, 0, 0, 1, 0, 0.8, 0, 2, NAN, 0, 2.5, 3]},
            "damaged header",
        ),
        (
            {"codes": (0, 1), "sform": [0.495, 0.565, 0, 1, 0.495, 0.565, 0, 2, 0, 0, 2.5, 3]},
            "not known",
        ),
        ({"dim": (4, 6, 5, 2, 2, 1, 1, 1)}, "no volume of axial slices: 4 dimensions"),
        ({"dim": (5, 6, 5, 2, 1, 2, 1, 1)}, "more than one sample per pixel"),
        ({"dim": (2, 6, 20, 1, 1, 1, 1, 1)}, "no volume of axial slices: 2 dimensions"),
        ({"dim": (9, 6, 5, 4, 1, 1, 1, 1)}, "damaged header: dim[0]"),
        ({"dim": (3, 6, 0, 4, 1, 1, 1, 1)}, "no usable size"),
        ({"dim": (3, 6, -5, 4, 1, 1, 1, 1)}, "no usable size"),
        ({"dim": (3, 6, 5000, 4, 1, 1, 1, 1)}, "too large"),
        ({"dim": (3, 4096, 4096, 4096, 1, 1, 1, 1)}, "too large"),
        ({"dim": (3, 6, 5, 3, 1, 1, 1, 1)}, "damaged pixel data: the data file is longer"),
        ({"dim": (3, 6, 5, 5, 1, 1, 1, 1)}, "damaged pixel data: the data file is shorter"),
        ({"pixdim": (1, 0, 0.8, 2.5, 0, 0, 0, 0)}, "no pixel spacing"),
        ({"pixdim": (1, -0.7, 0.8, 2.5, 0, 0, 0, 0)}, "no pixel spacing"),
        ({"pixdim": (1, 0.7, NAN, 2.5, 0, 0, 0, 0)}, "no pixel spacing"),
        ({"pixdim": (1, 0.7, 0.8, 1e9, 0, 0, 0, 0)}, "no pixel spacing"),
        ({"units": 5}, "damaged header: the unit"),
        ({"datatype": 2, "bitpix": 8}, "not HU: 8 bits cannot hold HU"),
        ({"datatype": 256, "bitpix": 8}, "not HU: 8 bits cannot hold HU"),
        ({"datatype": 128, "bitpix": 24}, "more than one sample per pixel"),
        ({"datatype": 32, "bitpix": 64}, "more than one sample per pixel"),
        ({"datatype": 1536, "bitpix": 128}, "voxel type is not read"),
        ({"bitpix": 32}, "damaged header: 32 bits"),
        ({"vox_offset": 0}, "damaged header: vox_offset"),
        ({"vox_offset": 352.5}, "damaged header: vox_offset"),
        ({"vox_offset": 1e30}, "damaged header: vox_offset"),
        ({"vox_offset": NAN}, "damaged header: vox_offset"),
        ({"scaling": (1, NAN)}, "damaged header: scl_inter"),
        ({"magic": b"ni1\0"}, "header and data in two files: convert the pair to one .nii.gz"),
        ({"magic": b"\0\0\0\0"}, "not a NIfTI header"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_what_is_no_axial_ct_is_skipped_with_its_reason(tmp_path, changes, reason):
    assert refusal(write_nifti(tmp_path / "x.nii", **changes)).startswith(reason)


def test_files_that_are_no_nifti_or_end_early(tmp_path):
    good, path = nifti_header() + made_hu().tobytes(), tmp_path / "x.nii"
    packed = gzip.compress(good)
    wanted = {
        b"": "empty file: ",
        b"PK\3\4" * 100: "not a NIfTI header: ",
        good[:300]: "truncated: the file ends within the header",
        good[:-1]: "damaged pixel data: the data file is shorter than the header says",
        good + b"x": "damaged pixel data: the data file is longer than the header says",
        packed[:-9]: "truncated: the compressed data end early",
        packed[:-3]: "truncated: the compressed data end early",
        packed[:-8] + b"\0" * 8: "damaged pixel data: the compressed data are not gzip or damaged",
        packed + b"x": "truncated: the compressed data end early",
        gzip.compress(good[:-1]): "damaged pixel data: inflates to less than the header says",
        gzip.compress(good + b"x"): "damaged pixel data: inflates to more than the header says",
        b"\x1f\x8b" + b"x" * 99: "damaged pixel data: the compressed data are not gzip or damaged",
        gzip.compress(b"hello"): "not a NIfTI header: ",
    }
    for data, reason in wanted.items():
        path.write_bytes(data)
        assert refusal(path) == reason


def test_gzip_in_several_members_is_one_file(tmp_path):
    good = nifti_header() + made_hu().tobytes()
    parts = [gzip.compress(good[i : i + 50]) for i in range(0, len(good), 50)]
    (tmp_path / "x.nii.gz").write_bytes(b"".join(parts) + gzip.compress(b""))
    np.testing.assert_array_equal(read(tmp_path / "x.nii.gz")[1], made_hu())


@pytest.mark.parametrize("n_bytes", [1 << 28, 0])
def test_a_gzip_bomb_is_stopped_at_what_the_header_says(tmp_path, n_bytes):
    start = time.process_time()
    if n_bytes:
        data = gzip.compress(nifti_header() + bytes(n_bytes), 1)
        reason = "inflates to more than the header says"
    else:  # a member for each byte that there is not
        data = gzip.compress(nifti_header()) + gzip.compress(b"") * 100_000
        reason = "more than 65536 pieces of gzip"
    (tmp_path / "x.nii.gz").write_bytes(data)
    assert refusal(tmp_path / "x.nii.gz") == f"damaged pixel data: {reason}"
    assert time.process_time() - start < 10


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize("value", [NAN, float("inf")])
def test_one_voxel_that_is_no_number_refuses_the_volume(tmp_path, ending, value):
    values = made_hu().astype("<f4")
    values[3, 2, 1] = value
    path = write_nifti(tmp_path / f"x{ending}", values)
    scan = volume.scan_of(nifti.read_header(path), "1.2", "P")
    with pytest.raises(Skip, match="not HU") as caught:
        readers.FORMATS["nifti"].reader(scan)(0)
    assert caught.value.detail == "voxels that are not numbers"


def test_a_file_that_changes_after_the_catalogue_is_a_skip(tmp_path):
    for ending in (".nii", ".nii.gz"):
        path = write_nifti(tmp_path / f"x{ending}")
        read_slice = readers.FORMATS["nifti"].reader(
            volume.scan_of(nifti.read_header(path), "1", "P")
        )
        write_nifti(path, made_hu()[:3])
        with pytest.raises(Skip, match="changed"):
            read_slice(0)
    path = write_nifti(tmp_path / "y.nii")
    read_slice = readers.FORMATS["nifti"].reader(volume.scan_of(nifti.read_header(path), "1", "P"))
    read_slice(0)
    path.write_bytes(b"")
    with pytest.raises(Skip, match="changed"):
        read_slice(3)


@pytest.mark.filterwarnings("error")
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 1 << 64), st.booleans(), st.sampled_from(["<i2", ">u2", "<f4", "<f8"]))
def test_random_bytes_in_a_header_end_in_a_reason_or_in_a_volume(tmp_path, seed, packed, dtype):
    rng, path = Random(seed), tmp_path / "x.nii.gz"
    header = nifti_header(dtype, rng.choice((1, 2)))
    data = bytearray(header + made_hu().astype(dtype).tobytes())
    for _ in range(rng.choice((1, 2, 8))):
        data[rng.randrange(len(header))] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
    path.write_bytes(gzip.compress(data, 1) if packed else data)
    with contextlib.suppress(Skip):
        scan, hu = read(path)
        assert hu.dtype == np.int16
        assert hu.min() >= -1024
        assert np.isfinite([item.z_mm for item in scan.slices]).all()
        locate(scan, (0.0, 0.0, 0.0))
