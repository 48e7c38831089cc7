"""The real slices in ../shared/ct and every case of ../shared/hard, where they are there."""

import csv
import hashlib
import re
import time
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from srgan.dataset import catalogue
from srgan.formats import readers
from srgan.system.errors import Skip

SHARED = Path(__file__).resolve().parents[3] / "shared"
CT, HARD = SHARED / "ct", SHARED / "hard"
needs_ct = pytest.mark.skipif(not CT.is_dir(), reason="../shared/ct is not there")
needs_hard = pytest.mark.skipif(not HARD.is_dir(), reason="../shared/hard is not there")

# Files beside the slice that make a case with one usable slice; else every file must be used.
SKIPPED_BESIDE = {"mixed-good-and-bad": 2, "series-duplicate-position": 1}
SKIPPED_BESIDE |= {"series-same-file-twice": 1}
USED_SLICES = {"series-duplicate-position": 3, "series-gap": 4}


def manifest() -> list[dict]:
    path = HARD / "MANIFEST.csv"
    return list(csv.DictReader(path.open(encoding="utf-8"))) if path.is_file() else []


DETAILS = {row["case"]: row["detail"] for row in manifest()}


def read_all(folder: Path) -> tuple[catalogue.Catalogue, list[np.ndarray], list[Skip]]:
    """The catalogue of a folder, its readable slices, and what the others are skipped for."""
    found = catalogue.find(folder)
    assert found.found == len(found.skipped) + sum(len(s.files) for s in found.scans)
    slices, faults = [], []
    for scan in found.scans:
        read = readers.reader(scan)
        for index in range(len(scan.slices)):
            try:
                slices.append(read(index))
            except Skip as skip:
                faults.append(skip)
    return found, slices, faults


def oracle(path: Path) -> np.ndarray:
    """SimpleITK's HU: (rows, columns) or (slices, rows, columns)."""
    values = np.rint(sitk.GetArrayFromImage(sitk.ReadImage(str(path)))).astype(np.int16)
    return values[0] if path.suffix.lower() not in (".mhd", ".mha") else values


def oracle_of(case: str) -> np.ndarray:
    """What the manifest's hash was taken of, from the case it is said to be equal to."""
    equal = re.search(r"equal to case ([\w-]+)", DETAILS[case])
    folder = HARD / (equal[1] if equal else case)
    path = next(p for p in sorted(folder.iterdir()) if p.suffix not in (".raw", ".zraw"))
    return oracle(path)


@needs_ct
@pytest.mark.parametrize(
    "folder", sorted(CT.glob("*/")) if CT.is_dir() else [], ids=lambda p: p.name
)
def test_every_real_slice_is_what_simpleitk_reads(folder):
    found, slices, faults = read_all(folder)
    files = [item.path for scan in found.scans for item in scan.slices]
    assert len(files) == len(slices) == found.found
    assert not faults
    assert {scan.patient_id for scan in found.scans} == {folder.name}
    for path, hu in zip(files, slices, strict=True):
        expected = oracle(path)
        air = expected < -1024
        np.testing.assert_array_equal(hu[~air], expected[~air])
        assert (hu[air] == -1024).all()


@needs_ct
@pytest.mark.parametrize("patient", ["LIDC-IDRI-0001", "LIDC-IDRI-0002", "LIDC-IDRI-0003"])
def test_metaimage_of_a_dicom_series_reads_back_identical(tmp_path, patient):
    (scan,) = catalogue.find(CT / patient).scans
    read = readers.reader(scan)
    volume = np.stack([read(i) for i in range(len(scan.slices))])
    for name, compressed in (("plain.mhd", False), ("packed.mhd", True), ("one.mha", True)):
        sitk.WriteImage(sitk.GetImageFromArray(volume), str(tmp_path / name), compressed)
        (tmp_path / "wanted").mkdir(exist_ok=True)
    copies = catalogue.find(tmp_path).scans
    assert len(copies) == 3
    for copy in copies:
        again = readers.reader(copy)
        np.testing.assert_array_equal([again(i) for i in range(len(copy.slices))], volume)


@needs_hard
@pytest.mark.parametrize("row", manifest(), ids=lambda row: row["case"])
def test_hard_case(row):
    case, expect, detail = row["case"], row["expect"], row["detail"]
    start = time.monotonic()
    found, slices, faults = read_all(HARD / case)
    assert time.monotonic() - start < 60  # a tenth of a second, unless it hangs
    if expect == "error":
        assert found.found == 0
        assert "holds no files" in catalogue.nothing_usable_message(found)
        return
    assert found.found == int(row["files"])
    assert all(item.reason for item in found.skipped)
    assert all(skip.reason for skip in faults)
    if expect == "skipped" or not slices:
        assert not slices
        assert expect != "used"
        assert found.skipped or faults
        return
    if expect == "used":
        assert len(found.skipped) == SKIPPED_BESIDE.get(case, 0)
        assert not faults
    if case == "series-two-sizes":  # a scan of each size
        assert [hu.shape for hu in slices] == [(256, 256), (192, 192)]
        return
    check_values(case, detail, np.stack(slices))


def check_values(case: str, detail: str, hu: np.ndarray) -> None:
    shape = re.search(r"shape (\d+)x(\d+)x(\d+)", detail)
    if shape:
        assert hu.shape == tuple(map(int, shape.groups()))
    assert len(hu) == USED_SLICES.get(case, len(hu))
    maximum = re.search(r"max (-?[\d.]+)", detail)
    if maximum:
        assert abs(hu.max() - float(maximum[1])) <= 0.5
    if "HU have fractions" in detail or case == "pix-slope-fraction":
        assert abs(hu.mean() - float(re.search(r"mean HU (-?[\d.]+)", detail)[1])) < 0.5
        return
    if case.startswith("series-") and "sha256" not in detail:
        return
    if "equal to case" in detail or "sha256" in detail:
        expected = oracle_of(case)
        digest = re.search(r"sha256 of int16 HU (\w+)", detail)
        if digest:
            assert hashlib.sha256(expected.tobytes()).hexdigest() == digest[1]
        np.testing.assert_array_equal(hu.squeeze(), np.maximum(expected, -1024).squeeze())
