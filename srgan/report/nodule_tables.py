"""The nodules of a test for people and programs: the page's section, nodules.csv, a short table."""

import csv
import textwrap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from srgan.evaluation.nodule_study import LARGE_PX, NoduleStudy
from srgan.report.about import plural
from srgan.report.columns import Column, written
from srgan.report.html.tables import Cell, Row, Table
from srgan.system.files import write_whole, writing

FILE = "nodules.csv"
NOTES = (
    "Contrast: mean of the inner disc (half the radius) less the median of the lung around it; "
    "kept: output over normal dose. Diameter: of a circle of the area above half of the contrast. "
    "Means over a patient's nodules, then over patients.",
    "Vanished: under 0.3 of the contrast is left, or under two SDs of the output's own "
    "surroundings. Appeared: blobs of 4 to 9 mm in lung, from about 300 HU on, where the normal "
    "dose has less than half of one; only slices through nodules are searched.",
)


def table(nodules: NoduleStudy) -> Table:
    """The page's table."""
    columns = (
        Column("contrast kept", "1 is all", "", "contrast_ratio", "one", ".2f"),
        Column("error", "HU", "", "mean_error_hu", "zero", "+.0f"),
        Column("mean", "mm", "diameter's error", "diameter_error_mm", "", "+.2f"),
        Column("absolute", "mm", "diameter's error", "diameter_abs_error_mm", "low", ".2f"),
        Column("all", "", "vanished", "vanished", "low", "d"),
        Column(
            f"{LARGE_PX:g} px or more", "of the low dose", "vanished", "vanished_large", "low", "d"
        ),
        Column("appeared", "a slice", "", "appeared_a_slice", "low", ".2f"),
    )
    of = {"vanished": nodules.judged(), "vanished_large": nodules.judged(LARGE_PX)}
    rows = []
    for name, means in nodules.overall().items():
        cells = []
        for column in columns:
            value, total = means[column.key], of.get(column.key)
            shown = written(value, column.form)
            cells.append(Cell(shown if total is None else f"{shown} of {total}", value))
        rows.append(Row(name, tuple(cells)))
    columns = tuple(replace(column, key=f"nodules/{column.key}") for column in columns)
    return Table("What became of the nodules", columns, tuple(rows), (counted(nodules), *NOTES))


def counted(nodules: NoduleStudy) -> str:
    """Which nodules these are, and which the low dose or the normal dose hardly shows."""
    of = nodules.summary()
    text = (
        f"{plural(of['nodules'], 'annotated nodule')} of {plural(of['patients'], 'patient')} in "
        f"{plural(of['slices'], 'slice')}, kept apart from those above; under {LARGE_PX:g} "
        f"pixels of the low dose across: {of['under_3_px_of_low_dose']}, under one: "
        f"{of['under_1_px_of_low_dose']}"
    )
    hidden = of["nodules"] - of["judged"]
    return f"{text}; not told from noise in the normal dose: {hidden}" if hidden else text


def text(nodules: NoduleStudy) -> str:
    """The table for a terminal."""
    lines = [
        *textwrap.wrap(f"nodules: {counted(nodules)}", 100),
        f"{'':12}{'contrast':>9}{'error,':>8}{'diameter, mm':>20}{'vanished':>12}{'appeared':>10}",
        f"{'':12}{'kept':>9}{'HU':>8}{'error':>10}{'absolute':>10}{'':12}{'a slice':>10}",
    ]
    for row in table(nodules).rows:
        kept, error, *wider, vanished, _, new = (cell.shown for cell in row.cells)
        line = f"{row.name:12}{kept:>9}{error:>8}{wider[0]:>10}{wider[1]:>10}"
        lines.append(f"{line}{vanished:>12}{new:>10}".rstrip())
    return "\n".join(lines)


def write(folder: Path, found: list[NoduleStudy]) -> str:
    """nodules.csv, a line a noise level, nodule and method; where none is found an old one goes.

    Returns the file's name, or nothing. Raises UserError (files.writing).
    """
    with writing(folder):
        if found:
            write_whole(folder / FILE, lambda part: _write_csv(part, found))
        else:
            (folder / FILE).unlink(missing_ok=True)
    return FILE if found else ""


def _write_csv(path: Path, found: list[NoduleStudy]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(_lines(found))


def _lines(found: list[NoduleStudy]) -> Iterator[tuple]:
    noise = list(next(iter(found[0].noise.values())))
    names = list(found[0].rows[0].metrics)
    about = ("pseudonym", "nodule", "slice", "diameter_mm", "low_dose_px")
    yield (*about, *noise, "method", *names, "appeared_in_slice")
    for each in found:
        for row in each.rows:
            levels = each.noise[row.pseudonym, row.slice]
            values = (levels[name] for name in noise), (row.metrics[name] for name in names)
            noises, figures = (tuple(map(_shown, part)) for part in values)
            sizes = (_shown(row.diameter_mm), _shown(row.low_dose_px))
            new = each.appeared[row.pseudonym, row.slice][row.method]
            first = (row.pseudonym, row.number, row.slice, *sizes)
            yield (*first, *noises, row.method, *figures, new)


def _shown(value: float | None) -> str:
    return "" if value is None else format(value, ".6g")
