"""The real scans and oracles of ../shared, for tests that skip where they are not there."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from benchmarks import common

SHARED = Path(__file__).resolve().parents[3] / "shared"
CT = SHARED / "ct"
needs_ct = pytest.mark.skipif(not CT.is_dir(), reason="../shared/ct is not there")


def slices_of(patient: str) -> list[tuple[np.ndarray, tuple[float, float]]]:
    """Every slice of a patient of ../shared/ct in HU, and its pixel spacing in mm."""
    return list(common.slices_of(CT / patient))


def oracle(name: str) -> ModuleType:
    """A program of ../shared/reference. The test skips where it is not there."""
    path = SHARED / "reference" / f"{name}.py"
    if not path.is_file():
        pytest.skip(f"../shared/reference/{name}.py is not there")
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
