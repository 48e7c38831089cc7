"""The real scans of ../shared/ct, for tests that skip where they are not there."""

from pathlib import Path

import numpy as np
import pytest

from srgan.dataset import catalogue
from srgan.formats import readers

SHARED = Path(__file__).resolve().parents[3] / "shared"
CT = SHARED / "ct"
needs_ct = pytest.mark.skipif(not CT.is_dir(), reason="../shared/ct is not there")


def slices_of(patient: str) -> list[tuple[np.ndarray, tuple[float, float]]]:
    """Every slice of a patient of ../shared/ct in HU, and its pixel spacing in mm."""
    scans = catalogue.find(CT / patient).scans
    read = [(readers.reader(scan), scan) for scan in scans]
    return [(get(i), scan.spacing_mm) for get, scan in read for i in range(len(scan.slices))]
