"""What is found in a folder, and that every file of it is used or skipped with a reason."""

import csv
import gzip
import os
import sys

import numpy as np
import pytest
import SimpleITK as sitk

from srgan.dataset import catalogue
from srgan.formats import readers
from srgan.formats.scan import Catalogue, Skipped
from srgan.system import progress
from srgan.system.errors import UserError
from tests.helpers import made_volumes
from tests.helpers.made_dicom import SERIES, stored_values, write


def find(folder, *args) -> Catalogue:
    """`catalogue.find`, and used + skipped = found with no file in two places."""
    result = catalogue.find(folder, *args)
    files = [path for scan in result.scans for path in scan.files]
    files += [item.path for item in result.skipped]
    assert len(files) == len(set(files)) == result.found
    assert all(item.reason for item in result.skipped)
    return result


def reasons(result: Catalogue) -> dict[str, str]:
    return {item.path.name: item.reason for item in result.skipped}


def volume(n: int = 3) -> np.ndarray:
    return np.stack([stored_values()] * n)


def write_volume(path, n: int = 3, compressed: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(sitk.GetImageFromArray(volume(n)), str(path), compressed)


def test_a_mixed_tree(tmp_path, monkeypatch, said):
    write(tmp_path / "P1" / "study" / "1.dcm", z=0)
    write(tmp_path / "P1" / "study" / "2", z=1)
    write(tmp_path / "P2" / "3.IMA", z=0, SeriesInstanceUID="1.2.9", PatientID="P2")
    write_volume(tmp_path / "subset0" / "1.3.6.1.mhd")
    write_volume(tmp_path / "subset1" / "1.3.6.2.mhd", compressed=True)
    (tmp_path / "README.md").write_text("text")
    (tmp_path / "annotations.csv").write_text("a,b\n")
    (tmp_path / "lonely.raw").write_bytes(b"1234")
    (tmp_path / "more.zip").write_bytes(b"PK\3\4")
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(b"x"))
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0)
    result = find(tmp_path)
    assert {(s.kind, s.patient_id, len(s.slices)) for s in result.scans} == {
        ("dicom", "P1", 2),
        ("dicom", "P2", 1),
        ("metaimage", "1.3.6.1", 3),
        ("metaimage", "1.3.6.2", 3),
    }
    assert reasons(result) == {
        "README.md": "not DICOM, MetaImage, NIfTI or NRRD",
        "annotations.csv": "not DICOM, MetaImage, NIfTI or NRRD",
        "lonely.raw": "a .raw without a header",
        "more.zip": "archive",
        "a.tar.gz": "archive",
    }
    assert said[-1] == "headers 12/12, 00:00 left"
    for scan in result.scans:
        read = readers.reader(scan)
        for index in range(len(scan.slices)):
            np.testing.assert_array_equal(read(index), stored_values())


def test_the_order_of_files_does_not_matter(tmp_path):
    for name, z in (("b", 2), ("a", 1), ("c", 0)):
        write(tmp_path / name / "1.dcm", z=z)
    first = find(tmp_path)
    (tmp_path / "a").rename(tmp_path / "z")
    assert [s.z_mm for s in find(tmp_path).scans[0].slices] == [0, 1, 2]
    assert [s.z_mm for s in first.scans[0].slices] == [0, 1, 2]


@pytest.mark.parametrize(
    "name", ["two\nlines.dcm", "a b .dcm", "患者 Ä.dcm", "-rf", "=1+1.dcm", "%s.dcm", "a" * 250]
)
def test_odd_file_names(tmp_path, name):
    write(tmp_path / name)
    (scan,) = find(tmp_path).scans
    np.testing.assert_array_equal(readers.reader(scan)(0), stored_values())


@pytest.mark.parametrize("name", ["-a", "a b", "患者", "two\nlines", "=1"])
def test_odd_names_of_volumes(tmp_path, name):
    write_volume(tmp_path / "v.mha")
    (tmp_path / "v.mha").rename(tmp_path / f"{name}.mha")
    (scan,) = find(tmp_path).scans
    np.testing.assert_array_equal(readers.reader(scan)(1), stored_values())
    assert "\n" not in scan.series_uid


@pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes are Linux's")
def test_a_file_name_that_is_not_utf8(tmp_path):
    write(tmp_path / os.fsdecode(b"\xff\xfe.dcm"))
    (tmp_path / os.fsdecode(b"\xff.txt")).write_text("text")
    result = find(tmp_path)
    np.testing.assert_array_equal(readers.reader(result.scans[0])(0), stored_values())
    catalogue.write_skipped_csv(tmp_path / "skipped.csv", result.skipped)
    write_volume(tmp_path / "v" / "v.mha")
    (tmp_path / "v" / "v.mha").rename(tmp_path / "v" / os.fsdecode(b"\xff.mha"))
    (scan,) = find(tmp_path / "v").scans
    assert scan.patient_id == r"\udcff"
    np.testing.assert_array_equal(readers.reader(scan)(0), stored_values())
    catalogue.nothing_usable_message(result).encode()


def test_folders_that_are_left_out_do_not_count(tmp_path):
    write(tmp_path / "a.dcm")
    write(tmp_path / "store" / "deep" / "b.dcm")
    found = catalogue.find(tmp_path, left_out=[tmp_path / "store"])
    assert (found.found, [scan.files for scan in found.scans]) == (1, [(tmp_path / "a.dcm",)])


def test_hidden_files_do_not_count_and_circular_links_end(tmp_path):
    write(tmp_path / "a" / "1.dcm")
    for name in (".DS_Store", "Thumbs.db", "._1.dcm"):
        (tmp_path / "a" / name).write_bytes(b"1")
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "x.dcm").write_bytes(b"1")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "again").symlink_to(tmp_path / "a")
    (tmp_path / "broken").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "pipe.dcm")
    result = find(tmp_path)
    assert len(result.scans) == 1
    assert reasons(result) == {"broken": "not a regular file", "pipe.dcm": "not a regular file"}


def test_a_series_with_several_fields_of_view_is_used_in_parts_and_told_in_one_line(tmp_path):
    def series(place: str, uid: str, *spacings_mm: float) -> None:
        for i, mm in enumerate(spacings_mm):
            write(tmp_path / place / f"{i}.dcm", z=i, PixelSpacing=[mm, mm], SeriesInstanceUID=uid)

    series("a", "1.1", 0.7, 0.7000001, 0.7)  # rounding: one part
    series("b", "1.3", 0.7, 0.7, 0.75)
    result = find(tmp_path)
    assert [(s.series_uid, s.spacing_mm[0], len(s.slices)) for s in result.scans] == [
        ("1.1", 0.7, 3), ("1.3", 0.7, 2), ("1.3", 0.75, 1),
    ]  # fmt: skip
    sizes = "16 x 24 pixels of {0} x {0} mm"
    assert result.remarks == (
        "1 series with slices of several sizes, all used; the first has "
        f"2 of {sizes.format(0.7)}, 1 of {sizes.format(0.75)}",
    )
    series("c", "1.2", 0.8, 0.9, 1, 1.1, 1.2)
    (line,) = find(tmp_path).remarks
    assert line.startswith("2 series with")
    assert line.endswith(", ".join(f"1 of {sizes.format(mm)}" for mm in (0.8, 0.9, 1)))
    (tmp_path / "b" / "2.dcm").unlink()
    for i in range(1, 5):
        (tmp_path / "c" / f"{i}.dcm").unlink()
    assert find(tmp_path).remarks == ()


def test_patients_of_dicom_without_patient_id(tmp_path):
    write(tmp_path / "1.dcm", PatientID="  ")
    result = find(tmp_path)
    assert reasons(result) == {"1.dcm": "no PatientID"}
    assert "--patients" in result.skipped[0].detail
    assert find(tmp_path, {SERIES: "P9"}).scans[0].patient_id == "P9"


def test_the_patient_of_the_table_wins_over_the_one_in_a_dicom_header(tmp_path):
    write(tmp_path / "1.dcm")
    assert find(tmp_path, {SERIES: "P9"}).scans[0].patient_id == "P9"


def test_a_volume_and_the_dicom_series_of_its_uid_are_one_scan(tmp_path):
    for z in range(3):
        write(tmp_path / "dicom" / f"{z}.dcm", z=z)
    write_volume(tmp_path / f"{SERIES}.mhd", 3)
    result = find(tmp_path)
    assert [scan.kind for scan in result.scans] == ["dicom"]
    assert set(reasons(result).values()) == {"same scan as a DICOM series"}
    assert find(tmp_path, {SERIES: "P7"}).scans[0].patient_id == "P7"
    (tmp_path / "dicom" / "0.dcm").unlink()  # it stays the original
    assert [scan.kind for scan in find(tmp_path).scans] == ["dicom"]


def test_a_dicom_series_that_is_not_hu_leaves_its_volume(tmp_path):
    write(tmp_path / "dicom" / "a.dcm", values=np.abs(stored_values()))
    write_volume(tmp_path / f"{SERIES}.mhd", 3)
    result = find(tmp_path)
    assert [scan.kind for scan in result.scans] == ["metaimage"]
    assert reasons(result) == {"a.dcm": "not HU"}


def test_two_copies_of_a_volume_and_two_headers_of_one_data_file(tmp_path):
    write_volume(tmp_path / "a" / "1.2.mhd")
    write_volume(tmp_path / "b" / "1.2.mhd")
    copy = (tmp_path / "a" / "1.2.mhd").read_text()
    (tmp_path / "a" / "1.3.mhd").write_text(copy)
    result = find(tmp_path)
    assert len(result.scans) == 1
    assert reasons(result)["1.3.mhd"] == "duplicate header"
    assert reasons(result)["1.2.raw"] == "same scan as a MetaImage volume"


def test_a_header_as_data_file_and_a_hidden_one(tmp_path):
    write_volume(tmp_path / "1.2.mhd")
    text = (tmp_path / "1.2.mhd").read_text()
    (tmp_path / ".h.raw").write_bytes((tmp_path / "1.2.raw").read_bytes())
    (tmp_path / "h.mhd").write_text(text.replace("1.2.raw", ".h.raw"))
    header = text.replace("1.2.raw", "z.mhd")
    (tmp_path / "y.mhd").write_text(header)
    (tmp_path / "z.mhd").write_text((text + "#" * 3000)[: 16 * 24 * 3 * 2])
    result = find(tmp_path)
    assert len(result.scans) == 1
    assert set(reasons(result)) == {"h.mhd", "y.mhd", "z.mhd"}


def test_data_files_of_a_skipped_header(tmp_path):
    write_volume(tmp_path / "1.2.mhd")
    with open(tmp_path / "1.2.raw", "ab") as file:
        file.write(b"x")
    assert reasons(find(tmp_path)) == {
        "1.2.mhd": "damaged pixel data",
        "1.2.raw": "its header is skipped",
    }


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root reads everything")
def test_folders_and_files_without_permission_are_skipped(tmp_path):
    write(tmp_path / "a" / "1.dcm")
    write(tmp_path / "b" / "1.dcm")
    (tmp_path / "a").chmod(0)
    (tmp_path / "b" / "1.dcm").chmod(0)
    assert reasons(find(tmp_path)) == {"a": "folder cannot be read", "1.dcm": "cannot be read"}
    with pytest.raises(UserError):
        catalogue.find(tmp_path / "a")
    (tmp_path / "a").chmod(0o700)


def test_a_folder_that_vanishes_below_is_skipped(tmp_path, monkeypatch):
    write(tmp_path / "a" / "1.dcm")
    scandir = os.scandir

    def gone(path):
        if str(path).endswith("a"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", gone)
    assert reasons(find(tmp_path)) == {"a": "folder cannot be read"}


@pytest.mark.parametrize("name", ["nowhere", "file.txt", "a\0b"])
def test_a_path_that_is_not_a_folder_is_a_one_line_error(tmp_path, name):
    (tmp_path / "file.txt").write_text("text")
    with pytest.raises(UserError) as caught:
        catalogue.find(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_the_message_of_a_folder_without_a_scan(tmp_path):
    assert "holds no files" in catalogue.nothing_usable_message(find(tmp_path))
    (tmp_path / "LIDC\n.zip").write_bytes(b"PK")
    write(tmp_path / "mr.dcm", Modality="MR")
    message = catalogue.nothing_usable_message(find(tmp_path))
    for part in (tmp_path.name, "2 files", "1 archive", "1 not CT", "unpack", "expected", ".mhd"):
        assert part in message
    assert "\n" not in message


# ---- skipped.csv ----


def test_skipped_csv_is_harmless_and_complete(tmp_path):
    names = ["=1+1", "-rf", "+a", "@b", "two\nlines", "\tc", 'plain, "quoted"', "患者", "\x1b[2J"]
    skipped = [Skipped(name, "a reason", "=cmd()") for name in names]
    path = tmp_path / "skipped.csv"
    catalogue.write_skipped_csv(path, skipped)
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["path", "reason", "detail"]
    assert len(rows) == 1 + len(names)
    assert len(path.read_text("utf-8").splitlines()) == len(rows)
    for row in rows[1:]:
        assert row[0][0] not in "=+-@\t\r\n\\"
        assert row[2] == "'=cmd()"
        assert all(c.isprintable() for c in row[0])
    assert rows[7][0] == 'plain, "quoted"'


def test_nifti_and_nrrd_are_volumes_named_by_their_files(tmp_path):
    made_volumes.write_nifti(tmp_path / "LIDC.1.nii.gz", volume())
    made_volumes.write_nifti(tmp_path / "Lung 2.NII", volume())
    size = {"sizes": "{2} {1} {0}".format(*volume().shape)}
    data = volume().tobytes()
    made_volumes.write_nrrd(tmp_path / "C.nrrd", data, **size)
    for name, content in (("D.raw", data), ("E.raw.gz", gzip.compress(data))):
        (tmp_path / name).write_bytes(content)
        encoding = "gzip" if name.endswith("gz") else "raw"
        path = tmp_path / f"{name[0]}.nhdr"
        made_volumes.write_nrrd(path, b"", **size, data_file=f"./{name}", encoding=encoding)
    result = find(tmp_path)
    assert not result.skipped
    assert [(s.kind, s.series_uid, s.patient_id, len(s.files)) for s in result.scans] == [
        ("nrrd", "C", "C", 1),
        ("nrrd", "D", "D", 2),
        ("nrrd", "E", "E", 2),
        ("nifti", "LIDC.1", "LIDC.1", 1),
        ("nifti", "Lung 2", "Lung 2", 1),
    ]
    for scan in result.scans:
        read = readers.reader(scan)
        np.testing.assert_array_equal([read(i) for i in range(3)], volume())
    assert {s.patient_id for s in find(tmp_path, {"D": "P4"}).scans} >= {"P4", "C"}


def test_an_archive_is_named_as_such_and_a_damaged_nifti_is_none(tmp_path):
    packed = gzip.compress(b"any bytes")
    for name in ("a.nii.gz", "b.NII.GZ", "c.gz", "d.dcm.gz", "e.tar.gz", "f.nrrd.gz", "g.nii.zip"):
        (tmp_path / name).write_bytes(packed)
    (tmp_path / "h.nii.gz").write_bytes(b"PK\3\4")
    wanted = dict.fromkeys(("a.nii.gz", "b.NII.GZ", "h.nii.gz"), "not a NIfTI header")
    names = ("c.gz", "d.dcm.gz", "e.tar.gz", "f.nrrd.gz", "g.nii.zip")
    assert reasons(find(tmp_path)) == wanted | dict.fromkeys(names, "archive")


def test_a_pair_of_header_and_image_is_named_with_the_remedy(tmp_path):
    header = made_volumes.nifti_header(magic=b"ni1\0")
    for name in ("a.hdr", "b.HDR"):
        (tmp_path / name).write_bytes(header)
    for name in ("a.img", "b.img.gz"):
        (tmp_path / name).write_bytes(volume().tobytes())
    write(tmp_path / "dicom.img")
    result = find(tmp_path)
    assert len(result.scans) == 1
    assert {(s.reason, s.detail) for s in result.skipped} == {
        ("Analyze or NIfTI in two files", "convert the pair to one .nii.gz")
    }
    assert len(result.skipped) == 4


def test_the_data_file_of_a_skipped_nrrd_header_is_told_with_its_reason(tmp_path):
    made_volumes.write_nrrd(tmp_path / "a.nhdr", b"", data_file="a.raw.gz", type="uchar")
    (tmp_path / "a.raw.gz").write_bytes(b"x")
    (tmp_path / "b.RAW.GZ").write_bytes(b"x")
    result = find(tmp_path)
    assert [(s.path.name, s.reason, s.detail) for s in result.skipped] == [
        ("a.nhdr", "not HU", "8 bits cannot hold HU"),
        ("a.raw.gz", "its header is skipped", f"{tmp_path / 'a.nhdr'}: not HU"),
        ("b.RAW.GZ", "a .raw.gz without a header", ""),
    ]
