"""What the benchmarks share: their arguments, slices of a folder, time, and lines of a table."""

import argparse
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from srgan.dataset import catalogue
from srgan.formats import readers
from srgan.formats.scan import Scan
from srgan.lowdose.degradation import Degradation
from srgan.lowdose.image_noise import ImageNoise
from srgan.lowdose.levels import Levels
from srgan.system.errors import UserError

IMAGE_NOISE = Degradation(ImageNoise(Levels((1700.0,)), Levels((0.005,))), 4)


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


def only_scan(folder: Path) -> Scan:
    """Raises UserError unless the folder holds one usable scan."""
    found = catalogue.find(folder)
    if not found.scans:
        raise UserError(catalogue.nothing_usable_message(found))
    if len(found.scans) > 1:
        raise UserError(f"{folder} holds {len(found.scans)} series: give a folder with one")
    return found.scans[0]


def slices_of(folder: Path) -> Iterator[tuple[np.ndarray, tuple[float, float]]]:
    """Every slice of every scan: (rows, columns) int16 or float HU, and its spacing in mm."""
    for scan in catalogue.find(folder).scans:
        read = readers.reader(scan)
        for i in range(len(scan.slices)):
            yield read(i), scan.spacing_mm


def seconds(work: Callable[[], object]) -> float:
    """How long a call takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def line(name: str, values: dict[str, float], forms: dict[str, str], width: int) -> str:
    """A row of a table: a name, and the value of each form's key; "-" for NaN."""
    cells = (f"{format(values[key], form):>{width}}" for key, form in forms.items())
    return name + "".join(cells).replace("nan", "  -")
