"""The page's tables for one noise level: the main results, every metric, and its uncertainty."""

import math
from dataclasses import replace

from srgan.evaluation import conclusions
from srgan.evaluation.level import Level
from srgan.evaluation.study import NORMAL_DOSE
from srgan.metrics.intervals import INTERVAL, TEST, Comparison, Interval
from srgan.report.columns import (
    IN_LUNG,
    MAIN,
    Column,
    Subject,
    measured_columns,
    notes_of,
    subjects,
    value_of,
    written,
)
from srgan.report.html.tables import Cell, Row, Table
from srgan.report.verdict_sentence import failed_checks

CERTAINTY = {  # path in Conclusions.intervals: name, unit, form
    "psnr_db.lung": ("PSNR, lung", "dB, ", ".2f"),
    "ssim.lung": ("SSIM, lung", "", ".4f"),
    "rmse_hu": ("RMSE", "HU, ", ".1f"),
}
INTERVALS = "In small type: the 95 % interval of the mean over patients."


def main_table(level: Level) -> Table:
    """What most readers want: nearness in the lung window, errors, and which checks fail."""
    rows = []
    for name in level.overall:
        cells = [cell_with_interval(level, name, column) for column in MAIN]
        rows.append(Row(name, (*cells, Cell(_checks(level, name), is_text=True))))
    note = (
        f"PSNR and SSIM: {IN_LUNG}, whole slices against the normal dose. Means over each "
        "patient's slices, then over patients."
    )
    table = Table("Main results", (*MAIN, Column("checks")), tuple(rows), (note,))
    return at_level(level, _with_interval_note(table))


def _checks(level: Level, method: str) -> str:
    if method not in level.conclusions.networks:
        return "for comparison"
    failed = failed_checks(level.conclusions.findings[method])
    return f"fails: {failed}" if failed else "no check failed"


def metric_tables(level: Level) -> tuple[Table, ...]:
    """Every metric, with the interval of its mean below it where there is one."""
    made = [_metric_table(subject, level) for subject in subjects(level.study.windows)]
    first, *others = [at_level(level, table) for table in made]
    return (_with_interval_note(first), *others)


def _with_interval_note(table: Table) -> Table:
    small = any(cell.under for row in table.rows for cell in row.cells)
    return replace(table, notes=(*table.notes, INTERVALS)) if small else table


def at_level(level: Level, table: Table) -> Table:
    """The table named after its noise level, with the failing methods marked."""
    rows = tuple(replace(row, fails=row.name in failing(level)) for row in table.rows)
    return replace(table, rows=rows, level=level.name)


def failing(level: Level) -> set[str]:
    """The networks that fail a check."""
    return {name for name in level.overall if level.conclusions.fails(name)}


def _metric_table(subject: Subject, level: Level) -> Table:
    columns = tuple(
        replace(c, group="") if c.group == subject.caption.lower() else c  # said once
        for c in measured_columns(subject.columns, level.overall)
    )
    rows = [
        Row(name, tuple(cell_with_interval(level, name, column) for column in columns))
        for name in level.overall
    ]
    cells = tuple(cell_of(level.normal_dose, column) for column in columns)
    if any(cell.shown for cell in cells):
        rows.append(Row(NORMAL_DOSE, cells, ranked=False))
    return Table(subject.caption, columns, tuple(rows), notes_of(subject, columns))


def cell_with_interval(level: Level, method: str, column: Column) -> Cell:
    """The mean of a method, with the interval below it where there is one."""
    interval = level.conclusions.intervals[method].get(column.key)
    return cell_of(level.overall[method], column, interval)


def cell_of(metrics: dict, column: Column, interval: Interval | None = None) -> Cell:
    """A value as its column writes it."""
    value = value_of(metrics, column)
    known = value is not None and math.isfinite(value)
    return Cell(written(value, column.form), value if known else None, _ends(interval, column.form))


def _ends(interval: Interval | None, form: str) -> str:
    if interval is None or interval.low is None:
        return ""
    return f"{interval.low:{form}} to {interval.high:{form}}"


def certainty_table(level: Level) -> Table:
    """Mean, SD and interval of the main metrics, and the gains on the other methods."""
    found, rows = level.conclusions, []
    gains = [o for o in conclusions.AGAINST if any(o in of for of in found.compared.values())]
    for name, intervals in found.intervals.items():
        cells = [
            _mean_and_sd(intervals.get(path, Interval(None, None, 0)), form)
            for path, (_, _, form) in CERTAINTY.items()
        ]
        for other in gains:
            cells += _gain(found.compared.get(name, {}).get(other, {}).get(conclusions.MAIN_METRIC))
        rows.append(Row(name, tuple(cells)))
    columns = [
        Column(name, f"{unit}mean \N{PLUS-MINUS SIGN} SD", key=f"intervals/{path}/mean", form=form)
        for path, (name, unit, form) in CERTAINTY.items()
    ]
    for other in gains:
        key = f"compared/{other}/{conclusions.MAIN_METRIC}"
        group = f"PSNR gained on {other}, lung"
        columns += [
            Column("mean", "dB", group, f"{key}/difference"),
            Column("p", "paired", group, f"{key}/p"),
        ]
    table = Table("Uncertainty", tuple(columns), tuple(rows), _certainty_notes(level))
    return at_level(level, table)


def _certainty_notes(level: Level) -> tuple[str, ...]:
    found = level.conclusions
    main = [of[path] for of in found.intervals.values() for path in CERTAINTY if path in of]
    why = next((interval.why for interval in main if interval.why), "")
    return (
        f"No interval: {why}." if why else f"In small type: {INTERVAL}.",
        f"p: {TEST}. PSNR and SSIM: {IN_LUNG}.",
    )


def _mean_and_sd(interval: Interval, form: str) -> Cell:
    sd = "" if interval.sd is None else f" \N{PLUS-MINUS SIGN} {interval.sd:{form}}"
    return Cell(f"{written(interval.mean, form)}{sd}", interval.mean, _ends(interval, form))


def _gain(compared: Comparison | None) -> list[Cell]:
    """The mean difference, and p."""
    if compared is None:
        return [Cell(""), Cell("")]
    mean, p = compared.difference.mean, compared.p
    return [
        Cell(written(mean, "+.2f"), mean, _ends(compared.difference, "+.2f")),
        Cell(written(p, ".2g"), p),
    ]
