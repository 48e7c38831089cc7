"""What became of the annotated nodules: the table of the page and of the terminal."""

from dataclasses import replace

from srgan.evaluation.nodule_study import LARGE_PX, NoduleStudy
from srgan.report.columns import Column, written
from srgan.report.html.tables import Cell, Row, Table
from srgan.system.errors import plural

NOTES = (
    "Contrast: mean of the inner disc (half the radius) less the median of the lung around it; "
    "kept: output over normal dose. Diameter: of a circle of the area above half of the contrast. "
    "Means over a patient's nodules, then over patients.",
    "Vanished: under 0.3 of the contrast is left, or under two SDs of the output's own "
    "surroundings. Appeared: blobs of 4 to 9 mm in lung, from about 300 HU on, where the normal "
    "dose has less than half of one; only slices through nodules are searched.",
)


def table(nodules: NoduleStudy) -> Table:
    """The table of the page and of the terminal."""
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
    of = {"vanished": nodules.visible(), "vanished_large": nodules.visible(LARGE_PX)}
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
    """How many nodules there are, and how many the low dose or the normal dose hardly shows."""
    of = nodules.summary()
    text = (
        f"{plural(of['nodules'], 'annotated nodule')} of {plural(of['patients'], 'patient')} in "
        f"{plural(of['slices'], 'slice')}, not among those above; under {LARGE_PX:g} "
        f"pixels of the low dose across: {of['under_3_px_of_low_dose']}, under one: "
        f"{of['under_1_px_of_low_dose']}"
    )
    hidden = of["nodules"] - of["judged"]
    return f"{text}; hidden by noise in the normal dose: {hidden}" if hidden else text
