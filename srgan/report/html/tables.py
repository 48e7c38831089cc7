"""The page's tables as data: numbers as they are shown and in full, the best of each column."""

import json
import math
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

from srgan.report.columns import Column

RANK = {  # of a value: the best has the lowest
    "high": lambda value: -value,
    "low": lambda value: value,
    "zero": abs,
    "one": lambda value: abs(value - 1),
}


@dataclass(frozen=True)
class Cell:
    """A number as it is shown, and in full. Without a value: not measured, infinite, or a word."""

    shown: str
    value: float | None = None
    under: str = ""  # in small type, such as the interval
    is_text: bool = False

    @property
    def json(self) -> str:
        """The value as summary.json has it."""
        finite = self.value is not None and math.isfinite(self.value)
        return json.dumps(self.value) if finite else "null"


@dataclass(frozen=True)
class Row:
    name: str
    cells: tuple[Cell, ...]
    ranked: bool = True  # False: is never a column's best (the normal dose)
    fails: bool = False  # a badge beside the name


@dataclass(frozen=True)
class Table:
    """columns: without the first, which has the rows' names. level: the noise level, if several."""

    caption: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()
    first: str = "method"
    level: str = ""

    def __post_init__(self):
        for row in self.rows:
            if len(row.cells) != len(self.columns):
                raise ValueError(f"{row.name}: {len(row.cells)} cells, {len(self.columns)} columns")

    @property
    def groups(self) -> list[tuple[str, int]]:
        """Headings over neighbouring columns, each with the number of its columns."""
        return [(name, len(list(of))) for name, of in groupby(self.columns, lambda c: c.group)]

    @cached_property
    def best(self) -> set[tuple[str, int]]:
        """(row, column) of every column's best values."""
        return {
            (name, i)
            for i, column in enumerate(self.columns)
            if column.better in RANK
            for name in self._best_rows(i, RANK[column.better])
        }

    def _best_rows(self, i: int, rank) -> set[str]:
        """Values that are shown alike are equally good. If all are shown alike, none is best."""
        cells = {row.name: row.cells[i] for row in self.rows if row.ranked}
        cells = {n: cell for n, cell in cells.items() if cell.shown and cell.value is not None}
        if len({cell.shown for cell in cells.values()}) < 2:
            return set()
        best = min(cells.values(), key=lambda cell: rank(cell.value))
        return {name for name, cell in cells.items() if cell.shown == best.shown}
