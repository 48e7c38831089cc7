"""NRRD volumes against SimpleITK, and what is refused."""

import contextlib
import gzip
from random import Random

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from srgan.dataset.coordinates import locate
from srgan.formats import readers
from srgan.formats.volumes import nrrd, volume
from srgan.system.errors import Skip
from tests.helpers.made_metaimage import volume as made_hu
from tests.helpers.made_volumes import nrrd_header, write_nrrd, written_by_simpleitk

DATA = made_hu().tobytes()
FOUR = {"sizes": "6 5 2 2", "dimension": "4"}
SAMPLES = "more than one sample per pixel"
LESS = "damaged pixel data: inflates to less"
MORE = "damaged pixel data: inflates to more"


def read(path):
    """The scan and its pixels, before they are judged: (slices, rows, columns) int16."""
    scan = volume.scan_of(nrrd.read_header(path), "1.2", "P")
    read_slice = readers.FORMATS["nrrd"].reader(scan)
    return scan, np.stack([read_slice(i) for i in range(len(scan.slices))])


def check_as_itk(path):
    """Same pixels, spacing and places of points as SimpleITK has."""
    image = sitk.ReadImage(str(path))
    expected = np.rint(np.clip(sitk.GetArrayFromImage(image).astype(float), -1024, 32767))
    scan, hu = read(path)
    np.testing.assert_array_equal(hu, expected.astype(np.int16))
    np.testing.assert_allclose(scan.spacing_mm, image.GetSpacing()[1::-1], rtol=1e-9)
    for index in ((0, 0, 0), (5, 1, 2), (2, 4, 3)):
        place = locate(scan, image.TransformIndexToPhysicalPoint(index))
        assert place.position == index[2]
        np.testing.assert_allclose((place.column_px, place.row_px), index[:2], atol=1e-6)
        assert abs(place.off_mm) < 1e-6


def refusal(path) -> str:
    with pytest.raises(Skip) as caught:
        read(path)
    return f"{caught.value.reason}: {caught.value.detail}"


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("ending", [".nrrd", ".nhdr"])
def test_files_that_simpleitk_writes(tmp_path, ending, compressed):
    tags = {"0010|0010": "A note: of a name"}
    for path in written_by_simpleitk(tmp_path / f"x{ending}", made_hu(), compressed, tags):
        check_as_itk(path)


@pytest.mark.parametrize(
    ("name", "dtype", "endian"),
    [
        ("short", "<i2", "little"), ("signed short int", ">i2", "big"),
        ("int16_t", "<i2", "little"),
        ("int", "<i4", "little"), ("int32", ">i4", "big"), ("float", "<f4", "little"),
        ("double", ">f8", "BIG"), ("long long", "<i8", "Little"), ("Short", "<i2", "little"),
    ],
)  # fmt: skip
def test_types_and_byte_orders_as_simpleitk_reads_them(tmp_path, name, dtype, endian):
    values = made_hu().astype(dtype)
    if dtype[1] == "f":
        values += 0.3
    for encoding, data in (("raw", values.tobytes()), ("gzip", gzip.compress(values.tobytes()))):
        changes = {"type": name, "endian": endian, "encoding": encoding}
        check_as_itk(write_nrrd(tmp_path / "x.nrrd", data, **changes))


def test_unsigned_types_are_read_and_left_to_be_judged_by_their_values(tmp_path):
    values = (made_hu().astype(int) + 1024).astype("<u2")
    values[0, 0, 0] = 65535
    for name, dtype in (("ushort", "<u2"), ("uint32_t", "<u4"), ("uint64", "<u8")):
        data = values.astype(dtype).tobytes()
        check_as_itk(write_nrrd(tmp_path / "x.nrrd", data, type=name))


@pytest.mark.parametrize(
    "changes",
    [
        {"space": "right-anterior-superior"}, {"space": "RAS"}, {"space": "LAS"}, {"space": "lps"},
        {"space": "Left-Anterior-Superior"}, {"space_origin": None}, {"kinds": None},
        {"kinds": "space space space"}, {"kinds": "??? none domain"},
        {"space_units": '"mm" "mm" "mm"'},
        {"space_directions": "( 0.7, 0 ,0)  (0,0.8,0.1) (0,0,2.5)"}, {"thicknesses": "1 nan 2"},
        {"space_directions": "(0,0.7,0) (-0.8,0,0) (0,0,-2.5)"}, {"content": "a: b"},
        {"byte_skip": "-1"}, {"byte_skip": "0", "line_skip": "0"}, {"magic": "NRRD0001"},
        {"encoding": "gz", "data": gzip.compress(DATA[:100]) + gzip.compress(DATA[100:])},
        {"byte_skip": "4", "data": b"junk" + DATA}, {"byte_skip": "-1", "data": b"junk" + DATA},
        {"measurement_frame": "(1,0,0) (0,1,0) (0,0,1)", "old_min": "-5", "sample_units": '"HU"'},
    ],
)  # fmt: skip
def test_forms_of_headers_are_read_as_simpleitk_reads_them(tmp_path, changes):
    check_as_itk(write_nrrd(tmp_path / "x.nrrd", **changes))


def test_lines_may_end_as_on_windows(tmp_path):
    header = nrrd_header().replace(b"\n", b"\r\n")
    (tmp_path / "x.nrrd").write_bytes(header + DATA)
    check_as_itk(tmp_path / "x.nrrd")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"space": None}, "not known to be axial: space is missing"),
        ({"space": "scanner-xyz"}, "not known to be axial: space is scanner-xyz"),
        ({"space": "left-posterior-superior-time"}, "not known to be axial"),
        ({"space_directions": None}, "not known to be axial: space directions"),
        ({"space_directions": "(0.7,0,0) (0,0.8,0) none"}, "not known to be axial"),
        ({"space_directions": "(0.7,0,0) (0,0.8,0) (0,x,2.5)"}, "not known to be axial"),
        ({"space_directions": "(0.7,0,0) (0,0.8,0) (0,nan,2.5)"}, "no pixel spacing"),
        ({"space_directions": "(0.7,0,0) (0.7,0,0) (0,0,2.5)"}, "not known to be axial"),
        ({"space_directions": "(0,0.7,0) (0,0,0.8) (2.5,0,0)"}, "not axial"),
        ({"space_directions": "(0,0,0) (0,0.8,0) (0,0,2.5)"}, "no pixel spacing"),
        ({"space_directions": "(1e308,1e308,0) (0,0.8,0) (0,0,2.5)"}, "no pixel spacing"),
        ({"space_origin": "(1,2)"}, "damaged header: space origin"),
        ({"space_units": '"um" "um" "um"'}, "no pixel spacing: space units are not mm"),
        ({"sizes": "6 20", "dimension": "2", "kinds": None}, "no volume of axial slices: 2 axes"),
        ({**FOUR, "kinds": "domain domain domain list"}, SAMPLES),
        ({**FOUR, "kinds": "domain domain domain time"}, "no volume"),
        ({**FOUR, "kinds": "vector domain domain domain"}, SAMPLES),
        ({"kinds": "domain domain list"}, "no volume of axial slices"),
        ({"kinds": "domain"}, "damaged header: kinds"),
        ({"sizes": "6 5 0"}, "no usable size"),
        ({"sizes": "6 5 -4"}, "damaged header: sizes"),
        ({"sizes": "6 5000 4"}, "too large"),
        ({"sizes": None}, "damaged header: dimension"),
        ({"dimension": "4"}, "damaged header: dimension"),
        ({"Dimension": "3"}, "damaged header: dimension is there twice"),
        ({"type": "uchar"}, "not HU: 8 bits cannot hold HU"),
        ({"type": "block"}, "voxel type is not read: type block"),
        ({"type": None}, "voxel type is not read: type is missing"),
        ({"endian": None}, "damaged header: endian"),
        ({"encoding": "bzip2"}, "encoding is not read: encoding bzip2, not raw or gzip"),
        ({"encoding": "ascii"}, "encoding is not read"),
        ({"encoding": None}, "encoding is not read: encoding is missing"),
        ({"line_skip": "1"}, "damaged header: line skip"),
        ({"byte_skip": "-2"}, "damaged header: line skip or byte skip"),
        ({"encoding": "gzip", "byte_skip": "4"}, "damaged header: byte skip with compressed data"),
        ({"byte_skip": "4"}, "damaged pixel data: the data file is shorter than the header says"),
        ({"data": DATA[:-1]}, "damaged pixel data: the data file is shorter"),
        ({"data": DATA[:-1], "byte_skip": "-1"}, "damaged pixel data: the data file is shorter"),
        ({"data": DATA + b"x"}, "damaged pixel data: the data file is longer"),
        ({"encoding": "gzip"}, "damaged pixel data: the compressed data are not gzip or damaged"),
        ({"encoding": "gzip", "data": gzip.compress(DATA)[:-9]}, "truncated"),
        ({"encoding": "gzip", "data": gzip.compress(DATA[:-1])}, LESS),
        ({"encoding": "gzip", "data": gzip.compress(DATA + b"x")}, MORE),
        ({"encoding": "gzip", "sizes": "4096 4096 60"}, "too large: compressed"),
        ({"data_file": "LIST 2\nx.raw"}, "data in several files"),
        ({"data_file": "x%02d.raw 1 4 1"}, "data in several files"),
        ({"data_file": "../x.raw"}, "data file outside the folder"),
        ({"data_file": "/etc/passwd"}, "data file outside the folder"),
        ({"data_file": "sub/x.raw"}, "data file outside the folder"),
        ({"datafile": ".."}, "data file outside the folder"),
        ({"data_file": "nobody.raw"}, "data file is missing"),
        ({"magic": "NRRD0006"}, "not an NRRD header"),
        ({"magic": "PK"}, "not an NRRD header"),
        ({"content": "x\nno field"}, "not an NRRD header: a line that is no field"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("error")
def test_what_is_no_axial_ct_is_skipped_with_its_reason(tmp_path, changes, reason):
    assert refusal(write_nrrd(tmp_path / "x.nrrd", **changes)).startswith(reason)


def test_an_empty_file_and_a_header_without_an_end(tmp_path):
    path = tmp_path / "x.nrrd"
    path.write_bytes(b"")
    assert refusal(path) == "empty file: "
    path.write_bytes(b"NRRD0004\n" + b"a" * (2 << 20))
    assert refusal(path) == "not an NRRD header: no end within 1 MiB"


@pytest.mark.parametrize("name", ["x.raw", "./x.raw", "x.img"])
def test_a_detached_data_file_lies_beside_its_header(tmp_path, name):
    (tmp_path / name).write_bytes(DATA)
    path = write_nrrd(tmp_path / "scan.nhdr", b"", data_file=name)
    check_as_itk(path)
    assert read(path)[0].files == (path, tmp_path / name.removeprefix("./"))


@pytest.mark.filterwarnings("error")
@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 1 << 64), st.booleans())
def test_random_bytes_in_a_header_end_in_a_reason_or_in_a_volume(tmp_path, seed, packed):
    rng, path = Random(seed), tmp_path / "x.nrrd"
    header = nrrd_header(encoding="gzip" if packed else "raw")
    data = bytearray(header + (gzip.compress(DATA) if packed else DATA))
    for _ in range(rng.choice((1, 2, 8))):
        data[rng.randrange(len(header))] = rng.choice(b"\n\r0123459-.e() :=\0\xff%/#")
    path.write_bytes(data)
    with contextlib.suppress(Skip):
        scan, hu = read(path)
        assert (hu.dtype, hu.shape) == (np.int16, (len(scan.slices), scan.rows, scan.columns))
        assert np.isfinite([item.z_mm for item in scan.slices]).all()
        locate(scan, (0.0, 0.0, 0.0))
