"""CONTRIBUTING's recipe "a file format": one entry in FORMATS, and the program reads it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from srgan.dataset import catalogue
from srgan.dataset.coordinates import locate
from srgan.formats import readers
from srgan.formats.scan import Place, Scan, Slice
from srgan.system.errors import Skip
from srgan.whole_scans import single_scan
from tests.helpers.made_dicom import stored_values


@dataclass(frozen=True)
class Header:
    path: Path
    data_path: Path
    shape: tuple[int, int, int]
    made_by: str = ""


def read_header(path: Path) -> Header:
    values = np.load(path, mmap_mode="r", allow_pickle=False)
    if values.dtype != np.int16:
        raise Skip("not HU", f"voxels are {values.dtype}")
    return Header(path, path, values.shape)


def scan_of(header: Header, series_uid: str, patient_id: str) -> Scan:
    n, rows, columns = header.shape
    slices = tuple(Slice(header.path, i, 2.5 * i) for i in range(n))
    files = (header.path,)
    return Scan("numpy", series_uid, patient_id, slices, rows, columns, (0.7, 0.7), files)


def reader(scan: Scan):
    values = np.load(scan.slices[0].path, allow_pickle=False)
    return lambda index: values[index]


def place_of(scan: Scan, point_mm: np.ndarray) -> Place:
    column, row, position = point_mm / (0.7, 0.7, 2.5)
    nearest = int(np.rint(position))
    return Place(nearest, row, column, 2.5 * (position - nearest))


def test_a_format_is_added_by_one_entry_in_the_table(tmp_path, monkeypatch):
    made = readers.Format(
        "a NumPy volume", reader, place_of, read_header, scan_of, header_endings=(".npy",)
    )
    monkeypatch.setitem(readers.FORMATS, "numpy", made)
    ramp = np.linspace(-1000, 1000, 4 * 5).astype(np.int16).reshape(4, 5)
    hu = np.stack([ramp, ramp + 1, ramp + 2])
    np.save(tmp_path / "1.2.3.npy", hu)
    np.save(tmp_path / "other.npy", hu.astype(float))

    found = catalogue.find(tmp_path)
    (scan,), (skipped,) = found.scans, found.skipped
    assert (scan.patient_id, skipped.reason) == ("1.2.3", "not HU")
    assert scan.is_volume
    np.testing.assert_array_equal(readers.reader(scan)(2), hu[2])
    assert single_scan.find(tmp_path / "1.2.3.npy")[0].slices == scan.slices
    place = locate(scan, (1.4, 2.1, 5.0))
    assert (place.position, round(place.row_px), round(place.column_px)) == (2, 3, 2)


def test_a_slice_of_another_size_than_its_scan_is_a_skip(tmp_path, monkeypatch):
    made = readers.Format("a NumPy volume", reader, place_of)
    monkeypatch.setitem(readers.FORMATS, "numpy", made)
    np.save(tmp_path / "1.npy", np.zeros((1, 4, 5), np.int16))
    scan = scan_of(Header(tmp_path / "1.npy", tmp_path / "1.npy", (1, 4, 6)), "1.2", "P")
    with pytest.raises(Skip, match="size differs from the header"):
        readers.reader(scan)(0)


@pytest.mark.parametrize("compressed", [False, True])
def test_a_slice_that_cannot_be_hu_costs_that_slice_alone(tmp_path, compressed):
    values = np.stack([stored_values(), np.abs(stored_values()), stored_values()])
    sitk.WriteImage(sitk.GetImageFromArray(values), str(tmp_path / "1.2.mhd"), compressed)
    (scan,) = catalogue.find(tmp_path).scans
    read = readers.reader(scan)
    for index in (0, 2):
        np.testing.assert_array_equal(read(index), values[index])
    with pytest.raises(Skip, match="not HU"):
        read(1)


@pytest.mark.parametrize(
    ("name", "title", "stem"),
    [
        ("1.2.3.mhd", "a MetaImage volume", "1.2.3"),
        ("1.2.MHA", "a MetaImage volume", "1.2"),
        ("a.b.nii.gz", "a NIfTI volume", "a.b"),
        ("A.NII.GZ", "a NIfTI volume", "A"),
        ("a.Nii", "a NIfTI volume", "a"),
        ("a.nii.nrrd", "an NRRD volume", "a.nii"),
        ("a.nhdr", "an NRRD volume", "a"),
        ("a.gz", None, "a.gz"),
        ("a.dcm", None, "a.dcm"),
        ("a.raw.gz", None, "a"),
        ("nii.gz", None, "nii.gz"),
    ],
)
def test_the_ending_of_a_name_tells_the_format(name, title, stem):
    found = readers.volume_format(Path("folder.nii") / name)
    assert (found and found.title) == title
    assert readers.volume_name(Path(name)) == stem
