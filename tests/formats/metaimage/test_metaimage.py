"""MetaImage headers and voxels made here; SimpleITK is the oracle."""

import zlib

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from srgan.formats.metaimage import header as metaimage_header
from srgan.formats.metaimage import pixels as metaimage_pixels
from srgan.formats.metaimage.fields import parse_fields
from srgan.system.errors import Skip

FIELDS = {
    "ObjectType": "Image",
    "NDims": "3",
    "BinaryData": "True",
    "BinaryDataByteOrderMSB": "False",
    "CompressedData": "False",
    "TransformMatrix": "1 0 0 0 1 0 0 0 1",
    "Offset": "-10 -20 -30",
    "ElementSpacing": "0.7 0.8 2.5",
    "DimSize": "6 5 4",
    "ElementType": "MET_SHORT",
}


def volume() -> np.ndarray:
    """(4, 5, 6) int16 HU; each slice reaches from air to bone."""
    ramp = np.linspace(-1024, 1000, 30).round().astype(np.int16).reshape(5, 6)
    return np.stack([ramp + i for i in range(4)])


def write(folder, data: bytes | None = None, name: str = "scan", data_file=None, **changes):
    """A .mhd with its .raw; None in `changes` takes a field away."""
    fields = {k: v for k, v in (FIELDS | changes).items() if v is not None}
    data_file = f"{name}.raw" if data_file is None else data_file
    text = "".join(f"{k} = {v}\n" for k, v in fields.items())
    path = folder / f"{name}.mhd"
    path.write_text(f"{text}ElementDataFile = {data_file}\n")
    (folder / f"{name}.raw").write_bytes(volume().tobytes() if data is None else data)
    return path


def read(path) -> np.ndarray:
    header = metaimage_header.read_header(path)
    reader = metaimage_pixels.reader(metaimage_header.scan_of(header, "1.2", "P"))
    return np.stack([reader(i) for i in range(header.size[2])])


def reason(path) -> str:
    with pytest.raises(Skip) as caught:
        read(path)
    return caught.value.reason


def test_header_and_voxels(tmp_path):
    path = write(tmp_path)
    header = metaimage_header.read_header(path)
    assert (header.size, header.spacing_mm, header.z_mm) == ((6, 5, 4), (0.7, 0.8, 2.5), -30)
    scan = metaimage_header.scan_of(header, "1.2", "P")
    assert (scan.rows, scan.columns, scan.spacing_mm) == (5, 6, (0.8, 0.7))
    assert [s.z_mm for s in scan.slices] == [-30, -27.5, -25, -22.5]
    assert scan.files == (path, path.with_suffix(".raw"))
    hu = read(path)
    assert hu.dtype == np.int16
    np.testing.assert_array_equal(hu, volume())
    np.testing.assert_array_equal(hu, sitk.GetArrayFromImage(sitk.ReadImage(str(path))))


@pytest.mark.parametrize("kind", ["int16", "int32", "float32", "float64"])
@pytest.mark.parametrize("suffix", [".mhd", ".mha"])
@pytest.mark.parametrize("compressed", [False, True])
def test_what_simpleitk_writes_reads_back(tmp_path, kind, suffix, compressed):
    path = tmp_path / f"scan{suffix}"
    sitk.WriteImage(sitk.GetImageFromArray(volume().astype(kind)), str(path), compressed)
    np.testing.assert_array_equal(read(path), volume())


def test_only_the_slices_asked_for_are_read(tmp_path):
    path = write(tmp_path)
    scan = metaimage_header.scan_of(metaimage_header.read_header(path), "1.2", "P")
    np.testing.assert_array_equal(metaimage_pixels.reader(scan)(2), volume()[2])


def test_big_endian_header_size_crlf_and_any_order_of_bytes(tmp_path):
    data = b"x" * 7 + volume().byteswap().tobytes()
    path = write(tmp_path, data, BinaryDataByteOrderMSB="True", HeaderSize="7")
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    np.testing.assert_array_equal(read(path), volume())


def test_fractions_are_rounded_once_and_air_is_the_floor(tmp_path):
    values = np.array([[[-3000.0, -1024.4, -0.6, 0.4, 1.5, 40000.0]]], "<f4")
    path = write(tmp_path, values.tobytes(), DimSize="6 1 1", ElementType="MET_FLOAT")
    np.testing.assert_array_equal(read(path), [[[-1024, -1024, -1, 0, 2, 32767]]])


@pytest.mark.parametrize(
    ("values", "fault"),
    [([0, 500], "no value below 0"), ([-50, 49], "span"), ([-5, np.nan], "not numbers")],
)
def test_voxels_that_cannot_be_hu(tmp_path, values, fault):
    data = np.array(values, "<f4").tobytes()
    path = write(tmp_path, data, DimSize="2 1 1", ElementType="MET_FLOAT")
    with pytest.raises(Skip) as caught:
        read(path)
    assert caught.value.reason == "not HU"
    assert fault in caught.value.detail


def test_one_voxel_that_is_no_number_makes_the_volume_doubtful(tmp_path):
    values = volume().astype("<f4")
    values[3, 0, 0] = np.inf
    path = write(tmp_path, values.tobytes(), ElementType="MET_FLOAT")
    scan = metaimage_header.scan_of(metaimage_header.read_header(path), "1.2", "P")
    with pytest.raises(Skip, match="not HU"):
        metaimage_pixels.reader(scan)(0)


REFUSED = [
    ({"NDims": "2"}, "no volume of axial slices"),
    ({"DimSize": None}, "damaged header"),
    ({"DimSize": "6 5"}, "damaged header"),
    ({"DimSize": "6 5 4 1"}, "damaged header"),
    ({"DimSize": "6 5 4.0"}, "damaged header"),
    ({"DimSize": "6 0 4"}, "no usable size"),
    ({"DimSize": "-6 -5 4"}, "no usable size"),
    ({"DimSize": "100000 100000 100000"}, "too large"),
    ({"DimSize": "4294967296 4294967296 1"}, "too large"),
    ({"DimSize": "9" * 5000 + " 5 4"}, "damaged header"),
    ({"DimSize": "6 5 3"}, "damaged pixel data"),
    ({"DimSize": "6 5 5"}, "damaged pixel data"),
    ({"ElementSpacing": "nan 0.7 2.5"}, "no pixel spacing"),
    ({"ElementSpacing": "0 0.7 2.5"}, "no pixel spacing"),
    ({"ElementSpacing": "a b c"}, "no pixel spacing"),
    ({"ElementSpacing": None}, "damaged header"),
    ({"ElementType": "MET_UCHAR"}, "not HU"),
    ({"ElementType": "MET_USHORT"}, "not HU"),
    ({"ElementType": "MET_SHORT_ARRAY"}, "voxel type is not read"),
    ({"ElementNumberOfChannels": "3"}, "more than one sample per pixel"),
    ({"BinaryData": "False"}, "voxel type is not read"),
    ({"ObjectType": "Tube"}, "not a MetaImage header"),
    ({"TransformMatrix": "0 1 0 0 0 -1 1 0 0"}, "not axial"),
    ({"TransformMatrix": "0 0 0 0 0 0 0 0 0"}, "not known to be axial"),
    ({"TransformMatrix": None, "AnatomicalOrientation": "PIR"}, "not axial"),
    ({"HeaderSize": "-1"}, "damaged header"),
    ({"HeaderSize": "10"}, "damaged pixel data"),
]


@pytest.mark.parametrize(("changes", "expected"), REFUSED, ids=lambda v: str(v)[:50])
def test_headers_that_are_refused(tmp_path, changes, expected):
    assert reason(write(tmp_path, **changes)) == expected


@pytest.mark.parametrize(
    "name",
    ["/etc/secret.raw", "../secret.raw", "sub/secret.raw", "C:\\secret.raw", "..", ""],
)
def test_a_data_file_elsewhere_is_not_opened_and_not_named(tmp_path, name):
    (tmp_path / "in").mkdir()
    (tmp_path / "secret.raw").write_bytes(volume().tobytes())
    with pytest.raises(Skip) as caught:
        metaimage_header.read_header(write(tmp_path / "in", data_file=name))
    assert caught.value.reason == "data file outside the folder"
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["LIST", "LIST 2D\na.raw", "scan%03d.raw 1 4 1"])
def test_several_data_files_are_not_read(tmp_path, name):
    assert reason(write(tmp_path, data_file=name)) == "data in several files"


def test_a_link_as_data_file_must_lead_to_a_file(tmp_path):
    path = write(tmp_path)
    path.with_suffix(".raw").unlink()
    assert reason(path) == "data file is missing"
    path.with_suffix(".raw").mkdir()
    assert reason(path) == "data file is missing"


def test_no_header(tmp_path):
    path = tmp_path / "scan.mhd"
    for content, expected in {
        b"": "empty file",
        bytes(range(256)) * 10: "not a MetaImage header",
        b"Comment = " + b"x" * (1 << 20): "not a MetaImage header",
        b"NDims = 3\n": "not a MetaImage header",
    }.items():
        path.write_bytes(content)
        assert reason(path) == expected
    assert reason(tmp_path / "none.mhd") == "cannot be read"


# ---- compressed ----


def packed(folder, data: bytes, **changes):
    return write(folder, data, CompressedData="True", **changes)


def test_zlib_is_read_and_its_every_cut_is_refused(tmp_path):
    data = zlib.compress(volume().tobytes())
    np.testing.assert_array_equal(read(packed(tmp_path, data)), volume())
    for length in range(0, len(data), 5):
        with pytest.raises(Skip):
            read(packed(tmp_path, data[:length]))


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"not compressed at all", "damaged pixel data"),
        (zlib.compress(bytes(1 << 20)), "damaged pixel data"),  # a bomb for 240 bytes
        (zlib.compress(bytes(239)), "damaged pixel data"),
        (zlib.compress(volume().tobytes()) + b"x", "damaged pixel data"),
    ],
)
def test_compressed_data_of_another_size(tmp_path, data, expected):
    assert reason(packed(tmp_path, data)) == expected


def test_a_compressed_size_that_disagrees(tmp_path):
    data = zlib.compress(volume().tobytes())
    assert reason(packed(tmp_path, data, CompressedDataSize="17")) == "damaged pixel data"


def test_compressed_data_are_inflated_once(tmp_path):
    path = packed(tmp_path, zlib.compress(volume().tobytes()))
    reader = metaimage_pixels.reader(
        metaimage_header.scan_of(metaimage_header.read_header(path), "1.2", "P")
    )
    reader(0)
    path.with_suffix(".raw").unlink()
    np.testing.assert_array_equal(reader(3), volume()[3])


def test_what_is_wrong_with_a_volume_is_found_out_once(tmp_path, monkeypatch):
    path = packed(tmp_path, zlib.compress(volume().tobytes())[:-4])
    reader = metaimage_pixels.reader(
        metaimage_header.scan_of(metaimage_header.read_header(path), "1.2", "P")
    )
    for _ in range(3):
        with pytest.raises(Skip, match="truncated"):
            reader(0)
        monkeypatch.setattr(
            metaimage_pixels, "inflate", lambda header: pytest.fail("inflated again")
        )


def test_a_slice_of_a_compressed_volume_that_is_no_hu_costs_that_slice(tmp_path):
    values = volume()
    values[1] = 5
    path = packed(tmp_path, zlib.compress(values.tobytes()))
    reader = metaimage_pixels.reader(
        metaimage_header.scan_of(metaimage_header.read_header(path), "1.2", "P")
    )
    with pytest.raises(Skip, match="no value below 0"):
        reader(1)
    np.testing.assert_array_equal(reader(2), volume()[2])


# ---- whatever a header holds, only Skip comes out ----


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_as_a_header(data):
    try:
        fields, end = parse_fields(data)
    except Skip:
        return
    assert "ElementDataFile" in fields
    assert 0 < end <= len(data) + 1


values = st.one_of(
    st.text(max_size=20),
    st.lists(st.one_of(st.integers(), st.floats()), max_size=10).map(
        lambda numbers: " ".join(map(str, numbers))
    ),
)


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(changes=st.dictionaries(st.sampled_from([*FIELDS, "HeaderSize"]), values, max_size=3))
def test_any_fields(tmp_path_factory, changes):
    changes = {k: v.encode("utf-8", "replace").decode() for k, v in changes.items()}
    path = write(tmp_path_factory.getbasetemp(), **changes)
    try:
        hu = read(path)
    except Skip:
        return
    assert hu.dtype == np.int16
    assert hu.size == 120
