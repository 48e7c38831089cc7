"""The page's tables of one noise level: its figures, and with what certainty they are known."""

import math
from dataclasses import replace

from srgan.evaluation import conclusions
from srgan.evaluation.level import Level
from srgan.evaluation.study import NORMAL_DOSE
from srgan.hounsfield import WINDOWS
from srgan.metrics.intervals import Comparison, Interval
from srgan.report.columns import Column, Subject, figure_of, looked_for, subjects, written
from srgan.report.html.tables import Cell, Row, Table

CERTAINTY = {  # by the key in Conclusions.intervals: name, unit, form
    "psnr_db.lung": ("PSNR, lung", "dB, ", ".2f"),
    "ssim.lung": ("SSIM, lung", "", ".4f"),
    "rmse_hu": ("RMSE", "HU, ", ".1f"),
}
IN_LUNG = f"lung window {WINDOWS['lung']}"
INTERVALS = "In small type, here and below: the 95 % interval of the mean over patients."


def tables(level: Level) -> tuple[Table, ...]:
    first, *others = [_table(subject, level) for subject in subjects(level.study.windows)]
    small = any(cell.under for row in first.rows for cell in row.cells)
    return (replace(first, notes=(*first.notes, *([INTERVALS] if small else []))), *others)


def _table(subject: Subject, level: Level) -> Table:
    """The interval of a mean stands below it, where there is one."""
    columns = tuple(
        replace(c, group="") if c.group == subject.caption.lower() else c  # said once
        for c in looked_for(subject.columns, level.overall)
    )
    rows = [
        Row(
            name, tuple(_cell(of, c, level.conclusions.intervals[name].get(c.key)) for c in columns)
        )
        for name, of in level.overall.items()
    ]
    cells = tuple(_cell(level.normal_dose, column) for column in columns)
    if any(cell.shown for cell in cells):
        rows.append(Row(NORMAL_DOSE, cells, judged=False))
    return Table(subject.caption, columns, tuple(rows), subject.notes, level=level.name)


def _cell(figures: dict, column: Column, interval: Interval | None = None) -> Cell:
    value = figure_of(figures, column)
    known = value is not None and math.isfinite(value)
    return Cell(written(value, column.form), value if known else None, _ends(interval, column.form))


def _ends(interval: Interval | None, form: str) -> str:
    if interval is None or interval.low is None:
        return ""
    return f"{interval.low:{form}} to {interval.high:{form}}"


def certainty(level: Level) -> Table:
    """Mean, SD and interval of the main figures, and what is gained on the others."""
    found, rows = level.conclusions, []
    gains = [o for o in conclusions.AGAINST if any(o in of for of in found.compared.values())]
    for name, intervals in found.intervals.items():
        cells = []
        for figure, (_, _, form) in CERTAINTY.items():
            each = intervals.get(figure, Interval(None, None, 0))
            shown = "".join(
                [
                    written(each.mean, form),
                    *([f" \N{PLUS-MINUS SIGN} {each.sd:{form}}"] if each.sd is not None else []),
                ]
            )
            cells.append(Cell(shown, each.mean, _ends(each, form)))
        for other in gains:
            cells += _gain(found.compared.get(name, {}).get(other, {}).get(conclusions.TOLD))
        rows.append(Row(name, tuple(cells)))
    columns = [
        Column(
            name, f"{unit}mean \N{PLUS-MINUS SIGN} SD", key=f"intervals/{figure}/mean", form=form
        )
        for figure, (name, unit, form) in CERTAINTY.items()
    ]
    for other in gains:
        key = f"compared/{other}/{conclusions.TOLD}"
        group = f"PSNR gained on {other}, lung"
        columns += [
            Column("mean", "dB", group, f"{key}/difference"),
            Column("p", "paired", group, f"{key}/p"),
        ]
    main = [of[figure] for of in found.intervals.values() for figure in CERTAINTY if figure in of]
    why = next((each.why for each in main if each.why), "")
    said = found.as_json()
    notes = (
        f"No interval: {why}." if why else f"In small type: {said['interval']}.",
        f"p: {said['test']}. PSNR and SSIM: {IN_LUNG}.",
    )
    return Table("With what certainty", tuple(columns), tuple(rows), notes, level=level.name)


def _gain(compared: Comparison | None) -> list[Cell]:
    """The mean difference, and p."""
    if compared is None:
        return [Cell(""), Cell("")]
    mean, p = compared.difference.mean, compared.p
    return [
        Cell(written(mean, "+.2f"), mean, _ends(compared.difference, "+.2f")),
        Cell(written(p, ".2g"), p),
    ]
