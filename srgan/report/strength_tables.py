"""--strength: what more of the SRGAN gives and costs, as tables, plots and JSON."""

from collections.abc import Iterable, Mapping, Sequence

from srgan.evaluation.level import Level
from srgan.evaluation.study import NORMAL_DOSE
from srgan.metrics import registry
from srgan.metrics.registry import TTF50, value_at
from srgan.report.columns import MAIN, Column, columns_of, measured_columns
from srgan.report.html.level_tables import at_level, cell_of, cell_with_interval
from srgan.report.html.plots import Plot, curve_plot
from srgan.report.html.tables import Cell, Row, Table

Strengths = Mapping[str, Mapping[str, float]]  # by letter of a checkpoint, method to strength
SHOWN = ("lung_texture_sd_hu", "flat_sd_hu", "edge_mm", "vessel_mm", TTF50, "invented_share")
TEXTURE = "lung_texture_sd_hu"
NOTE = (
    "0 is the SRResNet, 1 the SRGAN. More strength should bring texture and sharpness nearer to "
    "the normal dose's. From some strength on it costs PSNR, and more detail is invented. Take the "
    "least strength with the texture that you need."
)


def columns() -> tuple[Column, ...]:
    """PSNR and SSIM in the lung window, texture, sharpness, invented share."""
    shown = [metric for metric in registry.METRICS if metric.key in SHOWN]
    return (*MAIN[:2], *(column for metric in shown for column in columns_of(metric, {})))


def table(level: Level, strengths: Strengths) -> Table:
    """A row for each strength of each checkpoint, and the normal dose."""
    shown = measured_columns(columns(), level.overall)
    rows = [
        Row(name, (Cell(f"{s:g}", s), *(cell_with_interval(level, name, c) for c in shown)))
        for of in strengths.values()
        for name, s in of.items()
    ]
    cells = (Cell(""), *(cell_of(level.normal_dose, column) for column in shown))
    rows.append(Row(NORMAL_DOSE, cells, ranked=False))
    made = Table(
        "What strength gives and costs", (Column("strength"), *shown), tuple(rows), (NOTE,)
    )
    return at_level(level, made)


def as_json(level: Level, strengths: Strengths) -> dict[str, list[dict]]:
    """By letter of a checkpoint, its strengths from 0 on with the values of the table."""
    keys = [column.key for column in measured_columns(columns(), level.overall)]
    return {
        letter: [
            {"strength": s, "method": name}
            | {key: value_at(level.overall[name], key) for key in keys}
            for name, s in of.items()
        ]
        for letter, of in strengths.items()
    }


def plots(levels: Sequence[Level], strengths: Strengths) -> tuple[Plot, ...]:
    """PSNR, texture and invented share against strength: a line for each checkpoint and level."""

    def plot(caption: str, y: str, key: str, *, to_normal: bool = False) -> Plot:
        lines = {
            _line_name(level, letter, strengths): (
                list(of.values()),
                _values(level, of, key, to_normal),
            )
            for level in levels
            for letter, of in strengths.items()
        }
        return curve_plot(
            caption, lines, x="strength", y=y, ticks=ticks, level=1.0 if to_normal else None
        )

    ticks = sorted({s for of in strengths.values() for s in of.values()})
    texture = "SD in lung, 1: the normal dose's"
    return (
        plot("PSNR against strength", "PSNR, lung window, dB", MAIN[0].key),
        plot("Texture against strength", texture, TEXTURE, to_normal=True),
        plot("Invented share against strength", "invented share of the body", "invented_share"),
    )


def _line_name(level: Level, letter: str, strengths: Strengths) -> str:
    return ", ".join(filter(None, [letter * (len(strengths) > 1), level.name])) or "networks"


def _values(level: Level, methods: Iterable[str], key: str, to_normal: bool) -> list[float | None]:
    """A metric of each method; to_normal: as a share of the normal dose's."""
    values = [value_at(level.overall[name], key) for name in methods]
    if not to_normal:
        return values
    normal = value_at(level.normal_dose, key)
    return [value / normal if normal and value is not None else None for value in values]
