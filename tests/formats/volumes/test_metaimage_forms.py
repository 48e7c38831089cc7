"""Headers in the forms that people and programs write; SimpleITK is the oracle."""

import gzip
import zlib

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from srgan.formats.volumes.metaimage import read_header
from tests.helpers.made_metaimage import FIELDS, read, volume, write
from tests.helpers.refused import refused

TAGS = "0008|0060 = CT\n0008|0005 = ISO_IR 100: a = b\n0010|0010 = J\xf6rg\nITK_x = [UNKNOWN]"
LINES = {name: f"{name} = {value}" for name, value in FIELDS.items()}
LINES["ElementDataFile"] = "ElementDataFile = scan.raw"
FLIPPED = "TransformMatrix = 1 0 0\n0 -1 0\n0 0 -1"
SAME_AS_SIMPLEITK = [
    # what nobody knows
    *[(name, f"{line}\n{LINES[name]}") for name in ("NDims", "DimSize", "ElementDataFile")
      for line in (TAGS, "my-field = X", "Patient Name = X", "# a = b", "; DimSize: 1 1 1",
                   "//Offset = 9 9 9", "= value", "Name: value", "Name =", "", " \t")],
    ("DimSize", "0009|1001 = \x00\x01\x7f\ufffd\nDimSize = 6 5 4"),
    ("DimSize", f"0009|1001 = {'x' * 30_000}\nDimSize = 6 5 4"),
    ("ObjectType", "# written by hand\nObjectType = Image"),
    ("ObjectType", "\ufeffObjectType = Image"),
    ("ObjectType", "Modality = MET_MOD_CT\nElementMin = 5\nElementNBits = 12\nColor = 1 0 0 1"),
    ("DimSize", "ElementNumberOfChannels = 1.0\nComment: a = b\nDimSize = 6 5 4"),
    # other separators
    *[(name, LINES[name].replace(" = ", separator)) for name in LINES
      for separator in (": ", "=", ":", " : ", "\t=\t", "   =   ", " := ")],
    *[(name, f"  {LINES[name]} \t ") for name in LINES],
    # numbers
    ("TransformMatrix", "TransformMatrix = 1 0 0\n0 1 0\n0 0 1"),
    ("TransformMatrix", "TransformMatrix =\r\n\t1 0 0\r\n\r\n0 1 0\r\n0 0 1\r"),
    ("TransformMatrix", FLIPPED),
    ("TransformMatrix", "Rotation = -1 0 0 0 -1 0 0 0 1\nOrientation = 1 0 0 0 1 0 0 0 1"),
    ("Offset", "Offset = -10\n-20\n-30"),
    ("Offset", "Position = 1 2 3"),
    ("Offset", "Offset = 1 2 3\nPosition = 4 5 6"),
    ("Offset", "Offset = 1 2 3\nOrigin = 4 5 6\nPosition = 7 8 9"),
    ("Offset", "Offset = 1 2 3\nOffset = 4 5 6"),
    ("ElementSpacing", "ElementSpacing = 0.7\n0.8\n2.5"),
    ("ElementSpacing", "ElementSpacing = 7e-1 .8 +2.50 mm"),
    ("ElementSpacing", "ElementSize = 0.9 0.8 2.5"),
    ("ElementSpacing", "ElementSize = 1 1 1\nElementSpacing = 0.7 0.8 2.5"),
    ("ElementSpacing", "ElementSpacing = 0.7 0.8 2.5\nElementSize = 1 1 1"),
    ("DimSize", "DimSize = 6\t05 4.0 # columns, rows, slices"),
    ("DimSize", "DimSize = 1 1 1\nDimSize = 6 5 4"),
    ("NDims", "NDims =\n3"),
    # the data file
    *[("ElementDataFile", f"ElementDataFile = {name}")
      for name in ("./scan.raw", ".//scan.raw", "././scan.raw", "scan.raw\nDimSize = 1 1 1")],
]  # fmt: skip


def put(folder, changes: dict[str, str], data: bytes | None = None):
    """Write scan.mhd of LINES with these changed, and scan.raw."""
    path = write(folder, data)
    path.write_text("\n".join((LINES | changes).values()) + "\n", "utf-8")
    return path


def assert_as_simpleitk(path):
    image, header = sitk.ReadImage(str(path)), read_header(path).geometry
    assert (header.size, header.spacing_mm) == (image.GetSize(), image.GetSpacing())
    assert header.origin_mm == image.GetOrigin()
    assert np.ravel(np.array(header.axes).T).tolist() == list(image.GetDirection())
    np.testing.assert_array_equal(read(path), sitk.GetArrayFromImage(image))


@pytest.mark.parametrize(("name", "text"), SAME_AS_SIMPLEITK, ids=lambda v: repr(v)[:50])
def test_a_form_is_read_as_simpleitk_reads_it(tmp_path, name, text):
    assert_as_simpleitk(put(tmp_path, {name: text}))


@pytest.mark.parametrize("form", ["tags of a slice", "a text of three lines", "64-bit integers"])
def test_what_simpleitk_writes_of_dicom_is_read(tmp_path, form):
    dtype = "int64" if form == "64-bit integers" else "int16"
    image = sitk.GetImageFromArray(volume().astype(dtype))
    for i in range(500 if form == "tags of a slice" else 0):
        image.SetMetaData(f"0019|{i:04x}", "x" * 200)  # private ones: beyond 64 KiB
    if form == "a text of three lines":  # which SimpleITK writes and cannot read
        image.SetMetaData("0008|103e", "one line\nOffset of the table: 5 mm\n# 3")
    sitk.WriteImage(image, str(path := tmp_path / "scan.mha"))
    np.testing.assert_array_equal(read(path), volume())


@pytest.mark.parametrize("ending", [".mhd", ".mha"])
@pytest.mark.parametrize("before", [b"", b"x" * 7])
def test_header_size_minus_one_means_the_last_bytes(tmp_path, ending, before):
    header, data = {"ObjectType": "HeaderSize = -1"}, before + volume().tobytes()
    path = put(tmp_path, header, data)
    if ending == ".mha":
        text = path.read_bytes().replace(b"scan.raw", b"LOCAL")
        path = path.with_suffix(ending)
        path.write_bytes(text + data)
    assert_as_simpleitk(path)


@pytest.mark.parametrize("pack", [zlib.compress, gzip.compress])
@pytest.mark.parametrize("size", [None, "0", "{}", "{}.0"])
def test_compressed_forms_are_read(tmp_path, pack, size):
    data = pack(volume().tobytes())
    changes = {"CompressedData": "CompressedData = true"}
    if size:
        changes["CompressedData"] += f"\nCompressedDataSize = {size.format(len(data))}"
    assert_as_simpleitk(put(tmp_path, changes, data))


@pytest.mark.parametrize(
    "order",
    [
        "BinaryDataByteOrderMSB = T",
        "ElementByteOrderMSB = true",
        "ElementByteOrderMSB = False\nBinaryDataByteOrderMSB = 1",
    ],
)
def test_voxels_of_the_other_byte_order_are_read(tmp_path, order):
    changes = {"BinaryDataByteOrderMSB": order}
    assert_as_simpleitk(put(tmp_path, changes, volume().byteswap().tobytes()))


# ---- what SimpleITK makes nothing or something else of, and whose meaning is plain ----


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *[
            (name, f"{comment}\n{LINES[name]}")
            for name in LINES
            for comment in ("# made by hand", "// 1", "; x", "just words", "-----", "# 3")
        ],
        ("TransformMatrix", "TransformMatrix = 1 0 0 # x\n0 1 0 # y\n# z\n0 0 1"),
        ("ElementSpacing", "ElementSpacing = 0,7 0,8 2,5"),
        ("ElementSpacing", "ElementSpacing = 0,7 0.8 2,500"),
        ("ElementDataFile", "ElementDataFile = .\\scan.raw"),
        *[(name, LINES[name].replace(name, name.lower())) for name in LINES],
    ],
    ids=lambda v: repr(v)[:40],
)
def test_a_plain_form_is_read_as_it_is_meant(tmp_path, name, text):
    meant, header = read_header(write(tmp_path)), read_header(put(tmp_path, {name: text}))
    for what in ("geometry", "dtype", "data_path"):
        assert getattr(header, what) == getattr(meant, what)


def test_a_comma_is_decimal_in_the_whole_header(tmp_path):
    changes = {
        "ElementSpacing": "ElementSpacing = 0,7 0,8 1,125",
        "Offset": "Offset = -1,125 -120,5 3",
    }
    header = read_header(put(tmp_path, changes)).geometry
    assert (header.spacing_mm, header.origin_mm) == ((0.7, 0.8, 1.125), (-1.125, -120.5, 3))


@pytest.mark.parametrize(
    ("name", "text", "reason", "detail"),
    [
        ("ElementSpacing", "ElementSpacing = 1,024 1,024 2", "no pixel spacing", "not three"),
        ("ElementSpacing", "ElementSpacing = 0.7 0.8\n2.5 1", "damaged header", "not 3 numbers"),
        ("ElementSpacing", "ElementSpacing 0.7 0.8 2.5", "damaged header", "without an equals"),
        ("Offset", "Offset\n-10 -20 -30", "damaged header", "without an equals"),
        ("ElementSpacing", "DistanceUnits = cm\nElementSize = 1 1 1", "no pixel spacing", "cm"),
        ("ElementSpacing", "Element Spacing = 1 1 1", "no pixel spacing", "missing"),
        ("DimSize", "DimSize = 6.5 5 4", "damaged header", "whole"),
        ("DimSize", "DimSize = 1\n" + "1\n" * 5000, "damaged header", "too many"),
        ("ElementType", "HeaderSize = -2\n" + LINES["ElementType"], "damaged header", "HeaderSize"),
        ("ElementType", "HeaderSize = 7.5\n" + LINES["ElementType"], "damaged header", "HeaderS"),
        ("ElementType", "HeaderSize = -1\n" + LINES["ElementType"], "damaged pixel data", "short"),
        ("CompressedData", "CompressedData = 1\nHeaderSize = -1", "damaged header", "HeaderSize"),
        ("ElementType", "ElementToIntensityFunctionSlope = 2\nElementType = MET_SHORT", "not HU",
         "Slope is not 1"),
        ("ElementType", "ElementToIntensityFunctionOffset = -1024\nElementType = MET_SHORT",
         "not HU", "Offset is not 0"),
    ],
    ids=lambda v: repr(v)[:40],
)  # fmt: skip
def test_what_can_be_read_in_two_ways_is_refused(tmp_path, name, text, reason, detail):
    data = volume().tobytes()
    skip = refused(
        read_header, put(tmp_path, {name: text}, data[:-2] if "short" in detail else data)
    )
    assert skip.reason == reason
    assert detail in skip.detail


# ---- any mixture of plain forms ----


@st.composite
def texts(draw):
    """A header in which each line has some form that MetaIO knows."""
    lines = []
    for name, line in LINES.items():
        value = line.partition(" = ")[2]
        if name in ("TransformMatrix", "Offset", "ElementSpacing", "DimSize"):
            words = value.split()
            value = words[0] + "".join(draw(st.sampled_from((" ", "\t", "\n", " \n ", "  "))) + w
                                       for w in words[1:])  # fmt: skip
        if draw(st.integers(0, 3)) == 0:
            tag = st.text("ab|0 -_.", min_size=1, max_size=8).map(str.strip).filter(bool)
            lines.append(f"{draw(tag)} = {draw(st.text('xyz =:#;/.', max_size=8))}")
        mark = draw(st.sampled_from((" = ", "=", ": ", ":", "\t= ")))
        lines.append(draw(st.sampled_from(("", " "))) + name + mark + value)
    return draw(st.sampled_from(("\n", "\r\n"))).join(lines) + "\n"


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=texts())
def test_any_mixture_of_plain_forms_is_read_as_simpleitk_reads_it(tmp_path_factory, text):
    path = write(tmp_path_factory.getbasetemp())
    path.write_bytes(text.encode())
    assert_as_simpleitk(path)
