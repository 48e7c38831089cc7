"""Plots of the page: inline SVG in the page's font and in the colours of its theme.

Equal arguments give equal bytes.
"""

import io
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from srgan.report.method_styles import PAPER_COLOURS, line_styles

INK, FAINT, LINE = "#a0b0f0", "#a0b0f1", "#a0b0c"  # stand-ins, replaced by the page's colours
WIDTH = 6.2  # inches, that is 446 units: text of 12 units is legible on a phone
COLOURS = [f"{LINE}{i}" for i in range(len(PAPER_COLOURS))]
FEW = 5  # fewer values have points and a median, and no box


@dataclass(frozen=True)
class Plot:
    """One drawing with its words; made by `curve_plot` and `box_plot`."""

    caption: str
    svg: str
    alt: str  # what it shows, for readers who cannot see it
    notes: tuple[str, ...] = ()


def curve_plot(
    caption: str,
    lines: Mapping[str, tuple[Sequence[float], Sequence[float | None]]],
    *,
    x: str,
    y: str,
    log_x: bool = False,
    level: float | None = None,
    ticks: Sequence[float] = (),
    notes: Sequence[str] = (),
) -> Plot:
    """Several lines over one axis, for quality against dose, an NPS or a TTF.

    lines: name to x and y; None, NaN and infinity are gaps. x, y: names of the axes with units.
    level: a dotted horizontal line, such as a TTF of 0.5. ticks: the labelled values of x, such as
    the doses tested. With ticks the points are marked.
    """
    styles = line_styles(list(lines), COLOURS)
    if not ticks:
        styles = {name: style | {"marker": None} for name, style in styles.items()}

    def draw(axis) -> None:
        for name, (xs, ys) in lines.items():
            axis.plot(xs, floats(ys), linewidth=1.9, markersize=5.5, **styles[name])
        if level is not None:
            axis.axhline(level, color=INK, linewidth=1, linestyle=":")
        if log_x:
            axis.set_xscale("log")
        if ticks:
            axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
            axis.minorticks_off()
        axis.set(xlabel=x, ylabel=y)

    alt = [f"{caption}. {y} against {x}{' (logarithmic)' if log_x else ''}."]
    alt += [f"{name}: {_line_in_words(*of_name)}." for name, of_name in lines.items()]
    return Plot(caption, _svg(caption, draw, 4.4, styles), " ".join(alt), tuple(notes))


def box_plot(caption: str, values: Mapping[str, Sequence[float | None]], *, x: str) -> Plot:
    """One row for each name: values as points (one a patient), median, quartiles, whiskers.

    Whiskers reach the last value within 1.5 times the box. x: name of the axis with its unit.
    """
    finite = {name: floats(of_name) for name, of_name in values.items()}
    finite = {name: of_name[np.isfinite(of_name)] for name, of_name in finite.items()}
    styles = line_styles(list(finite), COLOURS)

    def draw(axis) -> None:
        for row, (name, of_name) in enumerate(finite.items()):
            _draw_box(axis, row, of_name, styles[name]["color"])
        axis.set_yticks(range(len(finite)), list(finite))
        axis.set_ylim(len(finite) - 0.45, -0.55)
        axis.grid(False, axis="y")
        axis.tick_params(axis="y", length=0)
        axis.set(xlabel=x)

    alt = [f"{caption}. {x}, one point for each patient."]
    alt += [f"{name}: {_box_in_words(of_name)}." for name, of_name in finite.items()]
    return Plot(caption, _svg(caption, draw, 1.1 + 0.62 * len(finite), {}), " ".join(alt))


def _draw_box(axis, row: int, values: np.ndarray, color: str) -> None:
    if not len(values):
        return
    if len(values) >= FEW:
        parts = ("box", "whisker", "cap")
        axis.boxplot(
            values, positions=[row - 0.13], widths=0.36, orientation="horizontal",
            showfliers=False, manage_ticks=False,
            **{f"{part}props": {"color": color, "linewidth": 1.6} for part in parts},
            medianprops={"color": color, "linewidth": 3.2},
        )  # fmt: skip
    else:
        axis.plot([np.median(values)] * 2, [row - 0.31, row + 0.05], color=color, linewidth=3.2)
    y = row + 0.26 + 0.09 * (np.arange(len(values)) * 0.618 % 1 - 0.5)  # spread, so all are seen
    alpha = float(np.clip(20 / len(values), 0.25, 0.8))
    axis.plot(values, y, "o", color=color, markersize=4.5, markeredgewidth=0, alpha=alpha)


def floats(values: Sequence[float | None]) -> np.ndarray:
    """float64, with NaN for None and for infinity."""
    found = np.array([math.nan if v is None else v for v in values], float)
    return np.where(np.isfinite(found), found, math.nan)


def _line_in_words(xs: Sequence[float], ys: Sequence[float | None]) -> str:
    known = [(x, y) for x, y in zip(xs, floats(ys), strict=True) if not math.isnan(y)]
    if not known:
        return "nothing measured"
    (x0, y0), (x1, y1) = known[0], known[-1]
    top = max(known, key=lambda point: point[1])
    more = f", highest {top[1]:.4g} at {top[0]:.3g}" if top not in (known[0], known[-1]) else ""
    return f"{y0:.4g} at {x0:.3g}, {y1:.4g} at {x1:.3g}{more}"


def _box_in_words(values: np.ndarray) -> str:
    if not len(values):
        return "nothing measured"
    low, median, high = np.percentile(values, (25, 50, 75))
    return f"median {median:.4g}, quartiles {low:.4g} and {high:.4g}, n {len(values)}"


# ---- from matplotlib's SVG to one that lives in the page ----

_RC = {
    "svg.fonttype": "none", "text.parse_math": False, "font.size": 12,
    "axes.spines.top": False, "axes.spines.right": False, "axes.facecolor": "none",
    "figure.facecolor": "none", "axes.grid": True, "grid.color": FAINT, "axes.axisbelow": True,
    "axes.edgecolor": INK, "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK,
    "text.color": INK, "axes.formatter.useoffset": False, "legend.frameon": False,
    "legend.handlelength": 3.2,
}  # fmt: skip


def _svg(salt: str, draw: Callable, height: float, legend: Mapping[str, dict]) -> str:
    """A figure with one axis as `<svg>`, with a legend of the styles below it.

    salt: makes the ids unique in the page, where no two plots have the same caption.
    """
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    with matplotlib.rc_context(_RC | {"svg.hashsalt": salt}):
        figure = Figure((WIDTH, height + 0.3 * math.ceil(len(legend) / 3)))
        figure.set_layout_engine("constrained", w_pad=0.04, h_pad=0.04)
        draw(figure.subplots())
        if legend:
            handles = [Line2D([], [], linewidth=1.9, **style) for style in legend.values()]
            names = [name if name[:1] != "_" else f"\u2009{name}" for name in legend]
            figure.legend(handles, names, loc="outside lower center", ncols=min(3, len(names)))
        file = io.StringIO()
        FigureCanvasSVG(figure).print_svg(file, metadata={"Date": None})
    return _for_page(file.getvalue())


def _for_page(svg: str) -> str:
    """Take out the preamble, global styles and unused ids; put in the page's colours."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", svg, flags=re.S)
    svg = re.sub(r'( xmlns(:\w+)?| version)="[^"]*"', "", svg).replace("xlink:href", "href")
    used = set(re.findall(r"#([\w-]+)", svg))
    svg = re.sub(r' id="([^"]*)"', lambda found: found[0] if found[1] in used else "", svg)
    svg = svg.replace(INK, "currentColor").replace(FAINT, "var(--faint)")
    return re.sub(LINE + r"(\d)", r"var(--line-\1)", svg)
