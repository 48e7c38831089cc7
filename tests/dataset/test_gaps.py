"""Gaps in a scan: how many slices are missing between its slices."""

from pathlib import Path

import pytest

from srgan.dataset.gaps import missing_slices, remark
from srgan.formats.scan import Scan, Slice


def scan(*z_mm) -> Scan:
    path = Path("a.dcm")
    slices = tuple(Slice(path, i, z) for i, z in enumerate(z_mm))
    return Scan("dicom", "1", "p", slices, 64, 64, (1.0, 1.0), (path,))


@pytest.mark.parametrize(
    ("z_mm", "missing"),
    [
        ((0, 1, 2, 3), 0),
        ((3, 2, 1, 0), 0),
        ((0, 1.001, 1.999, 3.002), 0),
        ((0, 1, 2.4, 3.4), 0),  # less than half a slice too far
        ((0, 2.5, 7.5, 10), 1),
        ((-10, -12.5, -15, -30, -32.5), 5),
        ((0, 1, 3, 4, 7, 8, 9), 3),
        ((0, 10), 0),  # nothing says what is usual
        ((5,), 0),
        ((), 0),
        ((0, 1, None, 9), 0),
        ((0, 0, 0, 9), 0),
    ],
)
def test_a_gap_is_a_step_of_more_than_one_and_a_half_usual_ones(z_mm, missing):
    assert missing_slices(scan(*z_mm)) == missing


def test_all_scans_are_told_of_in_one_line():
    whole, one, three = scan(0, 1, 2), scan(0, 1, 2, 4), scan(0, 1, 2, 3, 7)
    assert remark([whole, whole]) == ""
    assert remark([whole, one]) == (
        "1 of 2 scans has gaps: 1 slice is missing between their slices"
    )
    assert remark([whole, one, three]) == (
        "2 of 3 scans have gaps: 4 slices are missing between their slices"
    )
