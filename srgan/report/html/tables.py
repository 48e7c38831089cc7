"""The page's tables: figures as they are shown and in full, the best of a column marked."""

import json
import math
from dataclasses import dataclass
from itertools import groupby

from srgan.report.columns import Column
from srgan.report.html.markup import notes_html, text

BETTER = {
    "high": lambda value: -value,
    "low": lambda value: value,
    "zero": abs,
    "one": lambda value: abs(value - 1),
}

NOTHING = '<span aria-hidden="true">\N{EN DASH}</span><span class="unseen">not measured</span>'


@dataclass(frozen=True)
class Cell:
    """A figure as it is shown, and in full; None: nothing was measured, or it is infinite."""

    shown: str
    value: float | None = None
    under: str = ""  # in small type, such as the interval


@dataclass(frozen=True)
class Row:
    name: str
    cells: tuple[Cell | str, ...]
    judged: bool = True  # False: can be no column's best (the normal dose)


@dataclass(frozen=True)
class Table:
    """columns: all but the first, which has the rows' names. level: of several, whose it is."""

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


def table_html(table: Table, key: str, fails: set[str]) -> str:
    """A table in a box in which it scrolls. key: its id; fails: the methods that do."""
    best = [_best(table, i) for i in range(len(table.columns))]
    groups = [(name, len(list(of))) for name, of in groupby(table.columns, lambda c: c.group)]
    spans = "".join(
        f'<th scope="colgroup" colspan="{n}">{text(name)}</th>'
        if name
        else f'<td colspan="{n}"></td>'
        for name, n in groups
    )
    above = f"<tr><td></td>{spans}</tr>" if any(name for name, _ in groups) else ""
    heads = "".join(
        f'<th scope="col">{text(column.name)}<small>'
        f"{',<br>'.join(map(text, column.note.split(', ')))}</small></th>"
        for column in table.columns
    )
    rows = "".join(
        f'<tr data-row="{text(row.name)}"><th scope="row">{text(row.name)}'
        f"{' <span class=badge>fails</span>' if row.name in fails else ''}</th>"
        + "".join(
            _cell(cell, column, (j, i) in best[i])
            for i, (cell, column) in enumerate(zip(row.cells, table.columns, strict=True))
        )
        + "</tr>"
        for j, row in enumerate(table.rows)
    )
    at = f", {text(table.level)}" if table.level else ""
    notes = [*table.notes, *(["Underlined: the best of the column."] if any(best) else [])]
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-labelledby="{key}">'
        f'<table data-level="{text(table.level)}"><caption id="{key}">'
        f"<span>{text(table.caption)}{at}</span></caption><thead>{above}"
        f'<tr><th scope="col">{text(table.first)}</th>{heads}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>{notes_html(tuple(notes))}"
    )


def _cell(cell: Cell | str, column: Column, best: bool) -> str:
    """data-value is the value as summary.json has it."""
    cell = Cell(cell) if isinstance(cell, str) else cell
    known = cell.value is not None and math.isfinite(cell.value)
    shown = text(cell.shown) or NOTHING
    if best:
        shown = f'<strong>{shown}</strong><span class="unseen"> (best)</span>'
    return (
        f'<td data-key="{text(column.key)}" data-value="'
        f'{json.dumps(cell.value) if known else "null"}">{shown}'
        f"{f'<small>{text(cell.under)}</small>' if cell.under else ''}</td>"
    )


def _best(table: Table, i: int) -> set[tuple[int, int]]:
    """(row, column) of a column's best values: those shown alike are equally good.

    Where all are shown alike, none is best.
    """
    rank = BETTER.get(table.columns[i].better)
    cells = {
        (j, i): cell
        for j, row in enumerate(table.rows)
        if rank and row.judged and isinstance(cell := row.cells[i], Cell)
        if cell.shown and cell.value is not None and not math.isnan(cell.value)
    }
    if len({cell.shown for cell in cells.values()}) < 2:
        return set()
    best = min(cells.values(), key=lambda cell: rank(cell.value))
    return {place for place, cell in cells.items() if cell.shown == best.shown}
