"""What the benchmarks share: their arguments, slices of a folder, and lines of a table."""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from srgan.dataset import catalogue
from srgan.formats import readers
from srgan.formats.scan import Scan


def parser(doc: str) -> argparse.ArgumentParser:
    """A parser whose --help is the docstring of the benchmark."""
    raw = argparse.RawDescriptionHelpFormatter
    return argparse.ArgumentParser(description=doc, formatter_class=raw)


def largest_scans(folder: Path) -> dict[str, Scan]:
    """The scan with the most slices of each patient, in order of the patients."""
    largest: dict[str, Scan] = {}
    for scan in catalogue.find(folder).scans:
        best = largest.setdefault(scan.patient_id, scan)
        if len(scan.slices) > len(best.slices):
            largest[scan.patient_id] = scan
    return dict(sorted(largest.items()))


def slices_of(folder: Path) -> Iterator[tuple[np.ndarray, tuple[float, float]]]:
    """Every slice of every scan: (rows, columns) int16 or float HU, and its spacing in mm."""
    for scan in catalogue.find(folder).scans:
        read = readers.reader(scan)
        for i in range(len(scan.slices)):
            yield read(i), scan.spacing_mm


def line(name: str, values: dict[str, float], forms: dict[str, str], width: int) -> str:
    """A row of a table: a name, and the value of each form's key; "-" for NaN."""
    cells = (f"{format(values[key], form):>{width}}" for key, form in forms.items())
    return name + "".join(cells).replace("nan", "  -")
