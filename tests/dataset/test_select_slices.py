"""Pixels that were selected before are left out, with the file that has them."""

from pathlib import Path

import numpy as np
import pytest

from srgan.dataset.select_slices import COPY, SelectionReport, select_slices
from srgan.formats.scan import Scan
from tests.helpers.made_chest import chest
from tests.helpers.made_scans import scan


def selected(pixels: dict[Scan, np.ndarray], quota: int) -> tuple[dict[Path, int], SelectionReport]:
    """How many slices each scan gives, and the report."""
    scans, report = list(pixels), SelectionReport()
    roles = {each.patient_id: "train" for each in scans}
    found = select_slices(
        scans, roles, [quota] * len(scans), lambda s: pixels[s].__getitem__, report
    )
    counts = {each.files[0].parent: 0 for each in scans}
    for item in found:
        counts[item.scan.files[0].parent] += 1
    return counts, report


@pytest.mark.parametrize("kind", ["dicom", "metaimage", "nifti"])
@pytest.mark.parametrize("patients", [("A", "A"), ("A", "B")])
def test_a_copy_of_a_scan_is_told_with_the_path_of_a_file_of_the_other(kind, patients):
    """Also where both have files of one name."""
    first, second = (
        scan("1", 3, f"data/{place}", kind, patient_ids=(patient,))
        for place, patient in zip("ab", patients, strict=True)
    )
    counts, report = selected({first: chest(1), second: chest(1)}, 3)
    assert counts == {Path("data/a"): 3, Path("data/b"): 0}
    assert set(report.skipped) == set(second.files)
    assert {item.reason for item in report.skipped.values()} == {COPY}
    for path, item in report.skipped.items():
        same = Path("data/a") / path.name
        wanted = {f"same pixels as {same}", f"a copy of the scan with {first.slices[-1].path}"}
        assert item.detail in wanted
        assert str(Path("data/a")) in item.detail


def test_one_slice_of_the_same_pixels_is_told_with_the_path_of_the_other():
    first, second = (scan("1", 4, f"data/{p}", patient_ids=(p,)) for p in "ab")
    mixed = chest(2, 4)
    mixed[1] = chest(1, 4)[2]
    counts, report = selected({first: chest(1, 4), second: mixed}, 4)
    assert counts == {Path("data/a"): 4, Path("data/b"): 3}
    ((path, item),) = report.skipped.items()
    assert path == second.slices[1].path
    assert (item.reason, item.detail) == (COPY, f"same pixels as {first.slices[2].path}")
    assert list(report.shared.values()) == [("a", "b")]
