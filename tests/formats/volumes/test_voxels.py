"""Voxels of MetaImage volumes as HU; SimpleITK is the oracle."""

import time
import tracemalloc
import zlib

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from srgan.formats import readers
from srgan.formats.volumes import inflate
from srgan.formats.volumes.metaimage import read_header
from srgan.formats.volumes.volume import scan_of
from srgan.system.errors import Skip
from tests.helpers.made_metaimage import FIELDS, read, reader, volume, write, write_compressed
from tests.helpers.refused import refused


def test_voxels_are_those_that_simpleitk_reads(tmp_path):
    path = write(tmp_path)
    hu = read(path)
    assert hu.dtype == np.int16
    np.testing.assert_array_equal(hu, volume())
    np.testing.assert_array_equal(hu, sitk.GetArrayFromImage(sitk.ReadImage(str(path))))
    np.testing.assert_array_equal(reader(path)(2), volume()[2])  # one slice alone


@pytest.mark.parametrize("kind", ["int16", "int32", "float32", "float64"])
@pytest.mark.parametrize("suffix", [".mhd", ".mha"])
@pytest.mark.parametrize("compressed", [False, True])
def test_what_simpleitk_writes_reads_back(tmp_path, kind, suffix, compressed):
    path = tmp_path / f"scan{suffix}"
    sitk.WriteImage(sitk.GetImageFromArray(volume().astype(kind)), str(path), compressed)
    np.testing.assert_array_equal(read(path), volume())


def test_big_endian_voxels_after_other_bytes_are_read(tmp_path):
    data = b"x" * 7 + volume().byteswap().tobytes()
    path = write(tmp_path, data, BinaryDataByteOrderMSB="True", HeaderSize="7")
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    np.testing.assert_array_equal(read(path), volume())


def test_fractions_are_rounded_once_and_hu_ends_at_air(tmp_path):
    values = np.array([[[-3000.0, -1024.4, -0.6, 0.4, 1.5, 40000.0]]], "<f4")
    path = write(tmp_path, values.tobytes(), DimSize="6 1 1", ElementType="MET_FLOAT")
    np.testing.assert_array_equal(read(path), [[[-1024, -1024, -1, 0, 2, 32767]]])


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_one_voxel_that_is_not_a_number_refuses_the_volume(tmp_path, value):
    values = volume().astype("<f4")
    values[3, 0, 0] = value
    path = write(tmp_path, values.tobytes(), ElementType="MET_FLOAT")
    assert refused(reader(path), 0).reason == "not HU"


def test_a_data_file_that_shrinks_is_a_skip(tmp_path):
    read_slice = reader(path := write(tmp_path))
    read_slice(0)
    path.with_suffix(".raw").write_bytes(b"")
    assert refused(read_slice, 3).reason == "changed"
    path.with_suffix(".raw").unlink()
    assert refused(read_slice, 3).reason == "changed"


def test_links_to_a_header_and_its_data_are_followed(tmp_path):
    for folder in ("there", "here"):
        (tmp_path / folder).mkdir()
    there = write(tmp_path / "there")
    for path in (there, there.with_suffix(".raw")):
        (tmp_path / "here" / path.name).symlink_to(path)
    np.testing.assert_array_equal(read(tmp_path / "here" / there.name), volume())


def test_a_data_file_that_a_comment_names_is_not_read(tmp_path):
    """MetaIO fails at such a line: another parser may see another header than the checked one."""
    (tmp_path / "in").mkdir()
    (tmp_path / "secret.raw").write_bytes(volume()[::-1].tobytes())
    path = write(tmp_path / "in", Comment="x" * 499 + "ElementDataFile = ../secret.raw")
    np.testing.assert_array_equal(read(path), volume())


def test_a_deep_volume_of_small_planes_is_read_quickly(tmp_path):
    """4,096 planes of 1 KiB; a header that is opened again for each of them would take seconds."""
    values = np.linspace(-1000, 1000, 4096 * 256).astype("<f4").reshape(4096, 16, 16)
    values[:, 0, :2] = -1024, 500
    path = write(tmp_path, values.tobytes(), DimSize="16 16 4096", ElementType="MET_FLOAT")
    start = time.process_time()
    np.testing.assert_array_equal(read(path), np.rint(values))
    assert time.process_time() - start < 4  # 0.3 s


# ---- compressed ----


def test_zlib_is_read_and_refused_wherever_it_ends_early(tmp_path):
    data = zlib.compress(volume().tobytes())
    np.testing.assert_array_equal(read(write_compressed(tmp_path, data)), volume())
    for length in range(0, len(data), 5):
        with pytest.raises(Skip):
            read(write_compressed(tmp_path, data[:length]))


@pytest.mark.parametrize(
    "data",
    [
        b"not compressed at all",
        zlib.compress(bytes(1 << 20)),  # a bomb for 240 bytes
        zlib.compress(bytes(239)),
        zlib.compress(volume().tobytes()) + b"x",
    ],
    ids=["no zlib", "bomb", "too short", "more behind it"],
)
def test_compressed_data_of_another_size_are_refused(tmp_path, data):
    assert refused(read, write_compressed(tmp_path, data)).reason == "damaged pixel data"


def test_compressed_data_are_inflated_once(tmp_path):
    path = write_compressed(tmp_path, zlib.compress(volume().tobytes()))
    read_slice = reader(path)
    read_slice(0)
    path.with_suffix(".raw").unlink()
    np.testing.assert_array_equal(read_slice(3), volume()[3])


def test_a_fault_of_a_whole_volume_is_found_once(tmp_path, monkeypatch):
    read_slice = reader(write_compressed(tmp_path, zlib.compress(volume().tobytes())[:-4]))
    for _ in range(3):
        assert refused(read_slice, 0).reason == "truncated"
        monkeypatch.setattr(inflate, "planes", lambda _: pytest.fail("inflated again"))


@pytest.mark.parametrize("take", ["read", "copy"])
def test_a_compressed_volume_is_held_as_int16(tmp_path, take):
    """Of float64, big-endian: 64 MiB inflated, 16 MiB as HU; no copy of the whole on the way."""
    values = np.zeros((32, 512, 512), ">f8")
    values[:, 0] = -1000
    changes = {"DimSize": "512 512 32", "ElementType": "MET_DOUBLE"}
    data = zlib.compress(values.tobytes())
    path = write_compressed(tmp_path, data, BinaryDataByteOrderMSB="True", **changes)
    (tmp_path / "copy").mkdir()
    tracemalloc.start()
    try:
        if take == "read":
            hu = reader(path)(31)
            assert tracemalloc.get_traced_memory()[1] < 40 << 20
        else:
            scan = scan_of(read_header(path), "1.2", "P")
            read_source = readers.FORMATS["metaimage"].source_reader(scan, tmp_path / "copy")
            hu = read_source(31).exact_hu
            assert tracemalloc.get_traced_memory()[1] < 12 << 20
        assert (hu[0].max(), hu[1].min()) == (-1000, 0)
    finally:
        tracemalloc.stop()


FIELD_VALUES = st.one_of(
    st.text(max_size=20),
    st.lists(st.one_of(st.integers(), st.floats()), max_size=10).map(
        lambda numbers: " ".join(map(str, numbers))
    ),
)


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(changes=st.dictionaries(st.sampled_from([*FIELDS, "HeaderSize"]), FIELD_VALUES, max_size=3))
def test_any_fields_give_hu_or_a_skip(tmp_path_factory, changes):
    changes = {k: v.encode("utf-8", "replace").decode() for k, v in changes.items()}
    path = write(tmp_path_factory.getbasetemp(), **changes)
    try:
        hu = read(path)
    except Skip:
        return
    assert hu.dtype == np.int16
    assert hu.size == 120
