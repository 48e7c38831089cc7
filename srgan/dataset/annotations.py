"""LUNA16's annotations.csv: where nodules were found, and how large they are.

Columns: seriesuid, coordX, coordY, coordZ and diameter_mm. All lengths are in mm.
"""

import math
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from srgan.dataset.scan_source import Source
from srgan.formats import csv_tables
from srgan.formats.scan import tidy_id
from srgan.system.errors import Skip

TABLE = "annotations.csv"
COLUMNS = ("coordX", "coordY", "coordZ", "diameter_mm")
LEAST_MM, MOST_MM = 3.0, 100.0  # LUNA16 has nodules of 3 to 33 mm


@dataclass(frozen=True)
class Annotation:
    """One row of annotations.csv."""

    series_uid: str
    point_mm: tuple[float, float, float]
    diameter_mm: float


def find(source: Source) -> Path | None:
    """annotations.csv in the folder of scans or in a folder right below it; None without one."""
    try:
        below = sorted(p for p in source.folder.iterdir() if not p.name.startswith("."))
    except OSError:
        return None
    folders = [source.folder, *(p for p in below if p not in source.left_out)]
    return next((f / TABLE for f in folders if os.path.isfile(f / TABLE)), None)


def read(content: bytes) -> tuple[list[Annotation], Counter]:
    """The rows of the table that can be used, each once, and how many others there are by reason.

    Raises Skip if it is another table.
    """
    found, left_out = {}, Counter()
    try:
        for _, cells in csv_tables.rows(content, ("seriesuid", *COLUMNS)):
            made = _annotation(*cells)
            if isinstance(made, str):
                left_out[made] += 1
            elif found.setdefault(made, made) is not made:
                left_out["listed twice"] += 1
    except ValueError:
        raise Skip("not LUNA16's", "it is no CSV") from None
    return list(found), left_out


def _annotation(uid: str, *numbers: str) -> Annotation | str:
    """A row, or why it cannot be used."""
    try:
        x, y, z, diameter = map(float, numbers)
    except ValueError:
        return "without numbers"
    uid = tidy_id(uid)
    if not uid or not all(map(math.isfinite, (x, y, z, diameter))) or diameter > MOST_MM:
        return "without numbers"
    if diameter < LEAST_MM:
        return f"under {LEAST_MM:g} mm"
    return Annotation(uid, (x, y, z), diameter)
