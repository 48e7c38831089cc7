"""Headers of MetaImage volumes: what they say, and for what reason one is refused."""

import contextlib
import io
import os
import time
import zlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from srgan.formats.volumes.metaimage import read_header
from srgan.formats.volumes.metaimage_fields import KNOWN, parse_fields
from srgan.formats.volumes.volume import scan_of
from srgan.system.errors import Skip
from tests.helpers.made_metaimage import volume, write, write_compressed
from tests.helpers.refused import refused


def test_a_header_gives_size_spacing_and_place(tmp_path):
    path = write(tmp_path)
    header = read_header(path)
    geometry = header.geometry
    assert (geometry.size, geometry.spacing_mm) == ((6, 5, 4), (0.7, 0.8, 2.5))
    assert geometry.origin_mm == (-10, -20, -30)
    scan = scan_of(header, "1.2", "P")
    assert (scan.rows, scan.columns, scan.spacing_mm) == (5, 6, (0.8, 0.7))
    assert [s.z_mm for s in scan.slices] == [-30, -27.5, -25, -22.5]
    assert scan.files == (path, path.with_suffix(".raw"))


def test_tags_of_dicom_in_a_header_tell_the_patient_and_the_dose(tmp_path):
    tags = {
        "0008|0060": "CT", "0008|0008": "ORIGINAL\\PRIMARY\\AXIAL", "0008|103e": "Lung low dose ",
        "0010|0020": "P1 ", "0018|0060": "120 ", "0018|1151": "x", "0018|1152": "0",
        "0018|1210": "B70f", "0020|000d": "1.2.3",
    }  # fmt: skip
    scan = scan_of(read_header(write(tmp_path, **tags)), "1.2", "P")
    assert (scan.patient_ids, scan.study_uids) == (("P1",), ("1.2.3",))
    assert (scan.description, scan.kernel) == ("Lung low dose", "B70f")
    assert (scan.kvp, scan.tube_current_ma, scan.exposure_mas) == (120, None, None)
    assert scan.patient_id == "P"
    assert scan_of(read_header(write(tmp_path, Modality="Chest CT")), "1.2", "P").kvp is None
    scan = scan_of(read_header(write(tmp_path, **{"0010|0020": "x" * 5000})), "1.2", "P")
    assert (scan.patient_ids, scan.study_uids, scan.kvp, scan.kernel) == ((), (), None, "")


REFUSED = [
    ({"0008|0060": "MR"}, "not CT"),
    ({"Modality": "MET_MOD_MR"}, "not CT"),
    ({"0008|0008": "DERIVED\\SECONDARY\\MPR"}, "reformat"),
    ({"0008|0008": "ORIGINAL\\PRIMARY\\LOCALIZER"}, "localizer"),
    ({"NDims": "2"}, "no volume of axial slices"),
    ({"DimSize": None}, "damaged header"),
    ({"DimSize": "6 5"}, "damaged header"),
    ({"DimSize": "6 5 4 1"}, "damaged header"),
    ({"DimSize": "6 5 4.5"}, "damaged header"),
    ({"DimSize": "²" * 3}, "damaged header"),
    ({"DimSize": "9" * 5000 + " 5 4"}, "damaged header"),
    ({"DimSize": "9" * 400 + " 5 4"}, "damaged header"),
    ({"DimSize": "6 0 4"}, "no usable size"),
    ({"DimSize": "-6 -5 4"}, "no usable size"),
    ({"DimSize": "100000 100000 100000"}, "too large"),
    ({"DimSize": "4294967296 4294967296 1"}, "too large"),
    ({"DimSize": "6 5 3"}, "damaged pixel data"),
    ({"DimSize": "6 5 5"}, "damaged pixel data"),
    ({"ElementSpacing": "nan 0.7 2.5"}, "no pixel spacing"),
    ({"ElementSpacing": "0 0.7 2.5"}, "no pixel spacing"),
    ({"ElementSpacing": "1e300 1 1"}, "no pixel spacing"),
    ({"ElementSpacing": "a b c"}, "no pixel spacing"),
    ({"ElementSpacing": None}, "no pixel spacing"),
    ({"ElementType": "MET_UCHAR"}, "not HU"),
    ({"ElementType": "MET_USHORT"}, "not HU"),
    ({"ElementType": "MET_SHORT_ARRAY"}, "voxel type is not read"),
    ({"ElementNumberOfChannels": "3"}, "more than one sample per pixel"),
    ({"ElementNumberOfChannels": "1e9"}, "more than one sample per pixel"),
    ({"BinaryData": "False"}, "voxel type is not read"),
    ({"ObjectType": "Tube"}, "not a MetaImage header"),
    ({"TransformMatrix": "0 1 0 0 0 -1 1 0 0"}, "not axial"),
    ({"TransformMatrix": "0 0 0 0 0 0 0 0 0"}, "not known to be axial"),
    ({"TransformMatrix": "1e300 0 0 0 1e-300 0 0 0 1"}, "not known to be axial"),
    ({"TransformMatrix": None, "AnatomicalOrientation": "PIR"}, "not axial"),
    ({"HeaderSize": "-2"}, "damaged header"),
    ({"HeaderSize": "1e300"}, "damaged header"),
    ({"HeaderSize": "9" * 5000}, "damaged header"),
    ({"HeaderSize": "²"}, "damaged header"),
    ({"HeaderSize": "10"}, "damaged pixel data"),
    ({"HeaderSize": "9" * 12}, "damaged pixel data"),
    # Files that lie elsewhere or are many; no reason may repeat the name.
    *[
        ({"data_file": name}, "data file outside the folder")
        for name in (
            "/etc/secret.raw", "../secret.raw", "sub/secret.raw", "C:\\secret.raw", "~/secret.raw",
            "..", "", "scan.raw\0", "/dev/zero", "/dev/stdin", "./../secret.raw", "./", "././..",
            ".\\..\\secret.raw", ".//etc/secret.raw", '"secret.raw"',
        )
    ],
    *[
        ({"data_file": name}, "data in several files")
        for name in ("LIST", "LIST 2D\nsecret.raw", "LIST\n/etc/passwd", "scan%03d.raw 1 4 1")
    ],
]  # fmt: skip


@pytest.mark.parametrize(("changes", "reason"), REFUSED, ids=lambda v: str(v)[:50])
def test_a_header_is_refused_with_its_reason(tmp_path, changes, reason):
    (tmp_path / "in").mkdir()
    (tmp_path / "secret.raw").write_bytes(volume().tobytes())
    skip = refused(read_header, write(tmp_path / "in", **changes))
    assert skip.reason == reason
    assert "secret" not in str(skip)


@pytest.mark.parametrize(
    ("content", "reason", "detail"),
    [
        (b"", "empty file", ""),
        (bytes(range(256)) * 10, "not a MetaImage header", "no line of it is a field"),
        ("NDims = 3\n".encode("utf-16"), "not a MetaImage header", "no line of it is a field"),
        (b"<html>\n<a href=x>: y\n", "not a MetaImage header", "no line of it is a field"),
        (b"Comment = " + b"x" * (2 << 20), "not a MetaImage header", "ElementDataFile is missing"),
        (b"a\n" * (1 << 20), "not a MetaImage header", "no line of it is a field"),
        (b"NDims = 3\n", "not a MetaImage header", "ElementDataFile is missing"),
        (b"NDims = " + b"1,024 " * 170_000 + b"\nElementDataFile = a.raw\n",
         "no volume of axial slices", "NDims is 1,024 1,024"),
        (b"ElementDataFile = scan.raw\n", "no volume of axial slices", "NDims is missing"),
        (None, "cannot be read", "No such file"),
    ],
    ids=range(10),
)  # fmt: skip
def test_a_file_without_a_header_is_refused(tmp_path, content, reason, detail):
    path = tmp_path / "scan.mhd"
    if content is not None:
        path.write_bytes(content)
    start = time.process_time()
    skip = refused(read_header, path)
    assert skip.reason == reason
    assert detail in skip.detail
    assert time.process_time() - start < 4  # 0.3 s


@pytest.mark.parametrize(
    "replace",
    [
        lambda data: None,
        lambda data: data.mkdir(),
        lambda data: data.symlink_to(data),
        lambda data: os.mkfifo(data),
    ],
    ids=["nothing", "folder", "loop of links", "pipe"],
)
def test_a_data_file_must_be_a_regular_file(tmp_path, replace):
    path = write(tmp_path)
    path.with_suffix(".raw").unlink()
    replace(path.with_suffix(".raw"))
    assert refused(read_header, path).reason == "data file is missing"


def test_a_compressed_volume_of_gigabytes_is_refused_before_it_is_inflated(tmp_path):
    changes = {"DimSize": "4096 4096 64", "ElementType": "MET_DOUBLE"}  # 8 GB, as it says
    path = write_compressed(tmp_path, zlib.compress(bytes(1 << 20)), **changes)
    assert refused(read_header, path).reason == "too large"


def test_a_compressed_size_that_disagrees_is_refused(tmp_path):
    data = zlib.compress(volume().tobytes())
    path = write_compressed(tmp_path, data, CompressedDataSize="17")
    assert refused(read_header, path).reason == "damaged pixel data"


HEADERS = st.lists(
    st.tuples(
        st.sampled_from([*KNOWN, "0008|0060", "elementspacing", "", "#"]),
        st.sampled_from([" = ", ":", "=", " ", "\n"]),
        st.text("0123456789 .,-+eE\n\t#:=/x", max_size=20),
        st.sampled_from(["\n", "\r\n", "\r", ""]),
    ).map("".join),
    max_size=12,
).map(lambda lines: "".join(lines).encode())


@settings(max_examples=300, deadline=2000)
@given(st.one_of(st.binary(max_size=300), HEADERS))
def test_any_text_gives_known_fields_or_a_skip(data):
    try:
        fields, end = parse_fields(io.BytesIO(data))
    except Skip:
        return
    assert "ElementDataFile" in fields
    assert set(fields) <= KNOWN
    assert data[end - 1 :][:1] == b"\n" or end == len(data)


@settings(max_examples=200, deadline=2000, suppress_health_check=list(HealthCheck))
@given(text=HEADERS)
def test_any_lines_within_a_good_header_give_a_header_or_a_skip(tmp_path_factory, text):
    path = write(tmp_path_factory.getbasetemp())
    lines = path.read_bytes().splitlines(keepends=True)
    for at in (0, 5, len(lines) - 1):
        path.write_bytes(b"".join([*lines[:at], text, b"\n", *lines[at:]]))
        with contextlib.suppress(Skip):
            header = read_header(path)
            assert header.data_path == path.with_suffix(".raw")
