"""Files that were made to harm: they cost a Skip, never memory, time, or a file elsewhere."""

import os
import struct
import time
import tracemalloc
import zlib

import numpy as np
import pytest
from pydicom.encaps import encapsulate
from pydicom.uid import JPEG2000Lossless, JPEGLosslessSV1, RLELossless

from srgan.dataset import build_store, catalogue, split
from srgan.dataset.scan_source import DatasetPaths
from srgan.formats import csv_tables
from srgan.formats.dicom import decoder_process
from srgan.formats.dicom import header as dicom_header
from srgan.formats.dicom import parse as dicom_parse
from srgan.formats.metaimage import header as metaimage_header
from srgan.formats.metaimage import pixels as metaimage_pixels
from srgan.formats.metaimage.write import begin
from srgan.formats.scan import MAX_ID
from srgan.system.errors import Skip, UserError, visible
from tests.formats.dicom.test_header import compressed
from tests.formats.metaimage import test_metaimage
from tests.helpers import made_dicom
from tests.helpers.made_dicom import stored_values

volume = test_metaimage.volume


def skipped(read, *arguments) -> Skip:
    """The Skip that a reader raises, with less than 100 MB taken on the way."""
    tracemalloc.start()
    try:
        with pytest.raises(Skip) as caught:
            read(*arguments)
        assert tracemalloc.get_traced_memory()[1] < 100_000_000
    finally:
        tracemalloc.stop()
    return caught.value


# ---- MetaImage ----


def test_a_data_file_that_is_a_link_out_of_the_folder_is_not_used(tmp_path):
    (tmp_path / "in").mkdir()
    path = test_metaimage.write(tmp_path / "in")
    outside = tmp_path / "outside.raw"
    path.with_suffix(".raw").rename(outside)
    path.with_suffix(".raw").symlink_to(outside)
    assert skipped(metaimage_header.read_header, path).reason == "data file outside the folder"
    found = catalogue.find(tmp_path / "in")
    assert found.found == len(found.skipped) == 2


def test_links_to_a_pair_that_lies_together_are_followed(tmp_path):
    for folder in ("there", "here"):
        (tmp_path / folder).mkdir()
    there = test_metaimage.write(tmp_path / "there")
    for path in (there, there.with_suffix(".raw")):
        (tmp_path / "here" / path.name).symlink_to(path)
    np.testing.assert_array_equal(test_metaimage.read(tmp_path / "here" / there.name), volume())


def test_a_loop_of_links_and_a_pipe_as_data_file_end(tmp_path):
    path = test_metaimage.write(tmp_path)
    data = path.with_suffix(".raw")
    for make in (lambda: data.symlink_to(data), lambda: os.mkfifo(data)):
        data.unlink()
        make()
        assert skipped(metaimage_header.read_header, path).reason == "data file is missing"


@pytest.mark.parametrize(
    "name", ["scan.raw\0", "/dev/zero", "/dev/stdin", "LIST\n/etc/passwd", "%05d.raw", "~/x.raw"]
)
def test_a_name_of_a_data_file_that_is_no_plain_name(tmp_path, name):
    path = test_metaimage.write(tmp_path, data_file=name)
    assert skipped(metaimage_header.read_header, path).reason.startswith(
        ("data file o", "data in s")
    )


def test_a_data_file_that_a_comment_names_is_not_heeded(tmp_path):
    """MetaIO fails at such a line: another parser sees another header than the one checked here."""
    (tmp_path / "in").mkdir()
    (tmp_path / "secret.raw").write_bytes(volume()[::-1].tobytes())
    hidden = "x" * 499 + "ElementDataFile = ../secret.raw"
    path = test_metaimage.write(tmp_path / "in", Comment=hidden)
    np.testing.assert_array_equal(test_metaimage.read(path), volume())


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("HeaderSize", "²", "damaged header"),
        ("HeaderSize", "9" * 12, "damaged pixel data"),
        ("DimSize", "²" * 3, "damaged header"),
        ("ElementSpacing", "1e300 1 1", "no pixel spacing"),
        ("TransformMatrix", "1e300 0 0 0 1e-300 0 0 0 1", "not known to be axial"),
        ("ElementNumberOfChannels", "1e9", "more than one sample per pixel"),
    ],
)
def test_numbers_that_were_made_up(tmp_path, field, value, reason):
    path = test_metaimage.write(tmp_path, **{field: value})
    assert skipped(metaimage_header.read_header, path).reason == reason


def test_a_compressed_volume_of_many_gigabytes_is_refused_before_it_is_inflated(tmp_path):
    changes = {"DimSize": "4096 4096 64", "ElementType": "MET_DOUBLE"}  # 8 GB, as it says
    path = test_metaimage.packed(tmp_path, zlib.compress(bytes(1 << 20)), **changes)
    assert skipped(metaimage_header.read_header, path).reason == "too large"


def test_a_deep_volume_of_small_planes_is_read_quickly(tmp_path):
    """4,096 planes of 1 KiB; a header that is opened again for each of them would take seconds."""
    values = np.linspace(-1000, 1000, 4096 * 256).astype("<f4").reshape(4096, 16, 16)
    values[:, 0, :2] = -1024, 500
    changes = {"DimSize": "16 16 4096", "ElementType": "MET_FLOAT"}
    path = test_metaimage.write(tmp_path, values.tobytes(), **changes)
    start = time.process_time()
    np.testing.assert_array_equal(test_metaimage.read(path), np.rint(values))
    assert time.process_time() - start < 4  # 0.3 s


@pytest.mark.parametrize("take", ["read", "copy"])
def test_a_compressed_volume_is_held_as_int16(tmp_path, take):
    """Of float64, big-endian: 64 MiB inflated, 16 MiB as HU; no copy of the whole on the way."""
    changes = {"DimSize": "512 512 32", "ElementType": "MET_DOUBLE"}
    values = np.zeros((32, 512, 512), ">f8")
    values[:, 0] = -1000
    path = test_metaimage.packed(
        tmp_path, zlib.compress(values.tobytes()), BinaryDataByteOrderMSB="True", **changes
    )
    header = metaimage_header.read_header(path)
    (tmp_path / "copy").mkdir()
    tracemalloc.start()
    try:
        if take == "read":
            hu = metaimage_pixels.reader(metaimage_header.scan_of(header, "1.2", "P"))(31)
            assert (hu[0].max(), hu[1].min()) == (-1000, 0)
        else:
            begin(header, tmp_path / "copy")
        assert tracemalloc.get_traced_memory()[1] < 40 << 20
    finally:
        tracemalloc.stop()
    if take == "copy":
        copied = (tmp_path / "copy" / "scan.raw").read_bytes()
        assert copied == values.astype("<f8").tobytes()


# ---- DICOM ----


def element(tag: int, vr: bytes, value: bytes = b"", length: int | None = None) -> bytes:
    """One element of four bytes of length, explicit and little-endian."""
    length = len(value) if length is None else length
    return struct.pack("<HH2s2xL", tag >> 16, tag & 0xFFFF, vr, length) + value


def with_private(tmp_path, content: bytes):
    """A good slice with elements of others before its pixel data."""
    path = made_dicom.write(tmp_path / "a.dcm")
    data = path.read_bytes()
    at = data.index(b"\xe0\x7f\x10\x00OW")
    path.write_bytes(data[:at] + content + data[at:])
    return path


def test_a_few_private_elements_are_no_matter(tmp_path):
    path = with_private(tmp_path, element(0x00291010, b"OB", bytes(1 << 20)))
    np.testing.assert_array_equal(dicom_header.read_slice(path)[1], stored_values())


def nested(n: int) -> bytes:
    """A private sequence of n elements of two bytes."""
    content = struct.pack("<HH2sH2s", 0x0029, 0x1011, b"LO", 2, b"xx") * n
    item = struct.pack("<HHL", 0xFFFE, 0xE000, len(content)) + content
    end = struct.pack("<HHL", 0xFFFE, 0xE0DD, 0)
    return element(0x00291010, b"SQ", item + end, dicom_parse.UNDEFINED)


def test_nested_elements_are_read_up_to_a_bound(tmp_path):
    assert dicom_header.read_header(with_private(tmp_path, nested(10_000))).rows == 16
    for n in (20_000, 1_000_000):
        path = with_private(tmp_path, nested(n))
        assert skipped(dicom_header.read_header, path).reason == "too large"


def test_a_nested_length_of_gigabytes_and_an_endless_value_stop_at_a_bound(tmp_path):
    lying = struct.pack("<HHL", 0xFFFE, 0xE000, 100)
    lying += element(0x00291011, b"OB", b"short", 0xFFFFFFF0)
    for vr, value in ((b"SQ", lying), (b"UN", bytes(80 << 20))):
        path = with_private(tmp_path, element(0x00291010, vr, value, dicom_parse.UNDEFINED))
        assert skipped(dicom_header.read_header, path).reason in ("too large", "damaged header")


def test_an_id_or_an_element_of_any_length_is_refused(tmp_path):
    long = element(0x0018A001, b"SQ", bytes(dicom_parse.MAX_VALUE + 2))
    assert (
        skipped(dicom_header.read_header, with_private(tmp_path, long)).reason == "damaged header"
    )
    for name in ("PatientID", "SeriesInstanceUID"):
        path = made_dicom.write(tmp_path / "b.dcm", **{name: "1" * (MAX_ID + 1)})
        assert skipped(dicom_header.read_header, path).reason == "damaged header"


def test_a_file_of_gigabytes_is_no_slice(tmp_path):
    path = made_dicom.write(tmp_path / "a.dcm")
    with open(path, "r+b") as file:
        file.truncate(dicom_parse.MAX_FILE + 1)
    assert skipped(dicom_header.read_header, path).reason == "too large"


# ---- compressed frames, before a decoder sees them ----

LARGE = {"rows": 4096, "columns": 4096}
J2K_HEAD = b"\xff\x4f\xff\x51" + struct.pack(">HH8LH", 41, 0, 4096, 4096, 0, 0, 4096, 4096, 0, 0, 1)
J2K_HEAD += b"\x0f\1\1"


def in_fragments(path, frame: bytes, n: int = 1, rows=16, columns=24, syntax=JPEG2000Lossless):
    """A slice with a compressed frame in n fragments."""
    dataset = made_dicom.ct_slice(Rows=rows, Columns=columns)
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate([frame], fragments_per_frame=n, has_bot=False)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    return made_dicom.write(path, dataset)


def test_a_compressed_frame_larger_than_its_picture_can_be_is_refused_unread(tmp_path):
    path = in_fragments(tmp_path / "a.dcm", bytes(2 * 768 + (64 << 10) + 2), n=5)
    assert "larger" in skipped(dicom_header.read_header, path).detail
    path = in_fragments(tmp_path / "a.dcm", bytes(2 * 768 + (64 << 10)), n=5)
    assert dicom_header.read_header(path).rows == 16


def test_thousands_of_fragments_are_joined_once(tmp_path):
    path = in_fragments(tmp_path / "a.dcm", bytes(67 << 20), n=4090, **LARGE)
    start = time.process_time()
    with pytest.raises(Skip, match="damaged pixel data"):
        dicom_header.read_slice(path)
    assert time.process_time() - start < 10  # 0.1 s; one after another, over a minute


@pytest.mark.parametrize(
    ("syntax", "frame"),
    [
        (JPEG2000Lossless, J2K_HEAD + b"\xff\x64\0\2" * 70_000),
        (JPEG2000Lossless, J2K_HEAD + b"\xff\x90\0\x0a\0\0\0\0\0\x0e\0\0\0\0" * 70_000),
        (JPEGLosslessSV1, b"\xff\xd8" + b"\xff" * 70_000 + b"\xff\xd9"),
        (JPEGLosslessSV1, b"\xff\xd8" + b"\xff\xfe\0\2" * 70_000 + b"\xff\xd9"),
    ],
    ids=["J2K markers", "J2K tile-parts", "JPEG fill", "JPEG markers"],
)
def test_the_walk_over_a_compressed_frame_stops_at_a_bound(tmp_path, syntax, frame):
    path = in_fragments(tmp_path / "a.dcm", frame, syntax=syntax, **LARGE)
    assert "more than 65536 segments" in skipped(dicom_header.read_slice, path).detail


# ---- decoders ----

INSTEAD = (
    "import sys; sys.path.insert(0, sys.argv[1]);"
    "from srgan.formats.dicom import decoder_process as i;"
    "i.run_decoder = {};"
    "i.serve()"
)


@pytest.fixture
def _fresh():
    decoder_process.stop()
    yield
    decoder_process.stop()


@pytest.mark.usefixtures("_fresh")
@pytest.mark.parametrize("syntax", [JPEG2000Lossless, RLELossless])
@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("lambda *a, **k: [0 for i in iter(int, 1)]", "-27"),  # SIGPROF
        ("lambda *a, **k: [bytes(2 << 30), memoryview(bytes(768))][1]", ""),
    ],
)
def test_a_decoder_that_spins_or_takes_all_memory_costs_one_slice(
    tmp_path, monkeypatch, syntax, code, said
):
    path, _, _ = compressed(tmp_path, syntax)
    monkeypatch.setattr(decoder_process, "START", INSTEAD.format(code))
    with pytest.raises(Skip) as caught:
        dicom_header.read_slice(path)
    assert caught.value.detail.startswith(f"the decoder ended with status {said}")


def test_a_frame_may_take_the_processor_for_two_seconds_a_megapixel_at_most():
    assert decoder_process._cpu_limit_s(512 * 512) < decoder_process._cpu_limit_s(1_000_000) == 2


# ---- ids and tables ----

IDS = ["=cmd|' /C calc'!A0", "../../evil", "\x1b[2J\x07", "two\nlines\tx", "+1", "患者"]


@pytest.mark.parametrize("patient", IDS)
def test_a_patient_id_is_harmless_and_comes_back(tmp_path, patient, capfd):
    for i in range(2):
        values = stored_values(64, 64)
        values[i] = i
        made_dicom.write(
            tmp_path / "data" / f"{i}.dcm", PatientID=patient, z=i, values=values,
            SpecificCharacterSet="ISO_IR 192",
        )  # fmt: skip
    paths = DatasetPaths(data=tmp_path / "data", store_dir=tmp_path / "store")
    made = build_store.open_or_build(paths)
    assert set(made.patients.values()) == {visible(patient)}
    for name in ("patients.csv", "split.csv", "skipped.csv"):
        text = (made.folder / name).read_text("utf-8")
        assert all(c.isprintable() or c in "\r\n" for c in text)
        cells = [cell for line in text.splitlines() for cell in line.split(",")]
        assert not any(cell.strip('"').startswith(("=", "+", "-", "@")) for cell in cells)
    assert {p.parent for p in tmp_path.rglob("*evil*")} == set()
    assert "\x1b" not in "".join(capfd.readouterr())
    assert split.read_split_csv(made.folder / "split.csv") == {made.patients["P0001"]: "train"}


@pytest.mark.parametrize("read", [split.read_split_csv, catalogue.read_patients_csv])
@pytest.mark.parametrize(
    "content",
    [
        b"patient_id,role,series_uid\n" + b"x" * 200_000 + b",train,1\n",
        b"patient_id,role,series_uid\n" + b"x" * (MAX_ID + 1) + b",train,1\n",
        b"patient_id,role,series_uid\n\xff\xfe,train,1\n",
        b"\0" * 100,
        b'patient_id,role,series_uid\n"open,train,1\n',
        b"\n" * 1000,
    ],
    ids=range(6),
)
def test_a_table_that_was_made_to_harm_is_one_clear_line(tmp_path, read, content):
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
        read(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("read", [split.read_split_csv, catalogue.read_patients_csv])
def test_a_table_is_a_regular_file_of_bounded_size(tmp_path, read):
    os.mkfifo(tmp_path / "pipe")
    with open(tmp_path / "large", "wb") as file:
        file.truncate((8 << 20) + 1)
    for name, said in (("pipe", "regular"), ("large", "MiB"), ("/dev/zero", "regular")):
        with pytest.raises(UserError, match=said):
            read(tmp_path / name)


@pytest.mark.parametrize("read", [split.read_split_csv, catalogue.read_patients_csv])
def test_a_table_of_many_rows_or_many_columns_stops_at_a_bound(tmp_path, read):
    path = tmp_path / "table.csv"
    rows = [f"{i},test,{i}\n" for i in range(csv_tables.MAX_ROWS + 1)]
    path.write_text("".join(["patient_id,role,series_uid\n", *rows]))
    with pytest.raises(UserError, match="more than 200000 rows"):
        read(path)
    path.write_text("".join([f"patient_id,role,series_uid{',' * (1 << 21)}\n", *rows[:700]]))
    assert len(read(path)) == 700  # as dicts of two million columns each, an hour
