"""Plots of the page: inline SVG whose text takes the page's font and whose colours its theme.

Lines differ by colour, dashes and marker, so that they are told apart in print and by the
colour-blind. Equal arguments give equal bytes. Colours are variables of page.css.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

KNOWN = ("normal dose", "nearest", "bicubic", "nlm+bicubic", "srresnet", "srgan")
DASHES = ("-", ":", "--", (0, (6, 2, 1, 2, 1, 2)), (0, (1, 0)), "-.")
MARKERS = (None, "v", "s", "^", "o", "D")
COLOURS = 10  # of page.css
# Of other names, each with the next colour that is left: 5 and 7, so that a pair comes back late.
OTHER_DASHES = ((0, (8, 3)), (0, (3, 2)), (0, (9, 2, 2, 2)), (0, (5, 1, 1, 1)), (0, (12, 4)))
OTHER_MARKERS = ("P", "X", "*", "<", ">", "p", "h")
INK, FAINT, LINE = "#a0b0f0", "#a0b0f1", "#a0b0c"  # stand-ins, replaced by the page's colours
WIDTH = 6.2  # inches, that is 446 units: text of 12 units is legible on a phone
FEW = 5  # fewer values have points and a median, and no box


@dataclass(frozen=True)
class Plot:
    """One drawing with its words; made by `curve_plot` and `box_plot`."""

    caption: str
    svg: str
    alt: str  # what it shows, for those who cannot see it
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Line:
    """One named line; None, NaN and infinity are gaps. low and high: a band around it."""

    name: str
    x: Sequence[float]
    y: Sequence[float | None]
    low: Sequence[float | None] = ()
    high: Sequence[float | None] = ()


def curve_plot(
    caption: str,
    lines: Sequence[Line],
    *,
    x: str,
    y: str,
    log_x: bool = False,
    level: float | None = None,
    ticks: Sequence[float] = (),
    markers: bool = True,
    notes: Sequence[str] = (),
) -> Plot:
    """Several lines over one axis, as for quality against dose, or an NPS or a TTF.

    x, y: the axes' names with units. level: a dotted horizontal line, such as 0 HU or a TTF of
    0.5. ticks: the values along x that are named, such as the doses tested. markers: at the points.
    """
    styles = _styles([line.name for line in lines])
    if not markers:
        styles = {name: style | {"marker": None} for name, style in styles.items()}

    def draw(axis) -> None:
        for line in lines:
            style = styles[line.name]
            axis.plot(line.x, floats(line.y), linewidth=1.9, markersize=5.5, **style)
            if len(line.low):
                band = (floats(line.low), floats(line.high))
                axis.fill_between(line.x, *band, color=style["color"], alpha=0.15, linewidth=0)
        if level is not None:
            axis.axhline(level, color=INK, linewidth=1, linestyle=":")
        if log_x:
            axis.set_xscale("log")
        if ticks:
            axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
            axis.minorticks_off()
        axis.set(xlabel=x, ylabel=y)

    alt = [f"{caption}. {y} against {x}{' (logarithmic)' if log_x else ''}."]
    alt += [_told_line(line) for line in lines]
    return Plot(caption, _svg(draw, 4.4, styles), " ".join(alt), tuple(notes))


def box_plot(
    caption: str,
    values: Mapping[str, Sequence[float | None]],
    *,
    x: str,
    level: float | None = None,
    notes: Sequence[str] = (),
) -> Plot:
    """A row a name: the values as points (one a patient), with median, quartiles and whiskers.

    Whiskers reach the last value within 1.5 times the box. x: the axis' name with its unit.
    level: a dotted vertical line, such as 0 HU.
    """
    found = {name: floats(of_name) for name, of_name in values.items()}
    found = {name: of_name[np.isfinite(of_name)] for name, of_name in found.items()}
    styles = _styles(list(found))

    def draw(axis) -> None:
        for row, (name, of_name) in enumerate(found.items()):
            _draw_row(axis, row, of_name, styles[name]["color"])
        if level is not None:
            axis.axvline(level, color=INK, linewidth=1, linestyle=":")
        axis.set_yticks(range(len(found)), list(found))
        axis.set_ylim(len(found) - 0.45, -0.55)
        axis.grid(False, axis="y")
        axis.tick_params(axis="y", length=0)
        axis.set(xlabel=x)

    alt = " ".join([f"{caption}. {x}, a point a patient.", *map(_told_row, found.items())])
    return Plot(caption, _svg(draw, 1.1 + 0.62 * len(found), {}), alt, tuple(notes))


def _draw_row(axis, row: int, values: np.ndarray, color: str) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    if not len(values):
        return
    if len(values) >= FEW:
        axis.boxplot(
            values, positions=[row - 0.13], widths=0.36, orientation="horizontal",
            showfliers=False, manage_ticks=False,
            **{f"{part}props": {"color": color, "linewidth": 1.6}
               for part in ("box", "whisker", "cap")},
            medianprops={"color": color, "linewidth": 3.2},
        )  # fmt: skip
    else:
        axis.plot([np.median(values)] * 2, [row - 0.31, row + 0.05], color=color, linewidth=3.2)
    # points as round ends of lines without length: one path, a third of the bytes of markers
    y = row + 0.26 + 0.09 * (np.arange(len(values)) * 0.618 % 1 - 0.5)
    dots = np.stack([values, y], 1).repeat(2, 0)
    path = Path(dots, [Path.MOVETO, Path.LINETO] * len(values))
    alpha = float(np.clip(20 / len(values), 0.25, 0.8))
    axis.add_patch(
        PathPatch(path, fill=False, edgecolor=color, linewidth=4.5, capstyle="round", alpha=alpha)
    )
    axis.update_datalim(dots)
    axis.autoscale_view()


def looks(names: Sequence[str]) -> dict[str, tuple[int, str | tuple, str | None]]:
    """The number of a colour, a dash and a marker each, no two alike.

    A known name has its own; others have what is left.
    """
    free = list(range(len(KNOWN), COLOURS))
    free += [i for i, name in enumerate(KNOWN) if name not in names]
    found = {name: (i, DASHES[i], MARKERS[i]) for i, name in enumerate(KNOWN)}
    found |= {
        name: tuple(of[i % len(of)] for of in (free, OTHER_DASHES, OTHER_MARKERS))
        for i, name in enumerate(name for name in names if name not in KNOWN)
    }
    return {name: found[name] for name in names}


def _styles(names: list[str]) -> dict[str, dict]:
    return {
        name: {"color": f"{LINE}{i}", "linestyle": dash, "marker": marker}
        for name, (i, dash, marker) in looks(names).items()
    }


def floats(values: Sequence[float | None]) -> np.ndarray:
    """NaN where there is none, and for infinity."""
    found = np.array([math.nan if v is None else v for v in values], float)
    return np.where(np.isfinite(found), found, math.nan)


def _told_line(line: Line) -> str:
    known = [(x, y) for x, y in zip(line.x, floats(line.y), strict=True) if not math.isnan(y)]
    if not known:
        return f"{line.name}: nothing measured."
    (x0, y0), (x1, y1) = known[0], known[-1]
    top = max(known, key=lambda point: point[1])
    more = f", highest {top[1]:.4g} at {top[0]:.3g}" if top not in (known[0], known[-1]) else ""
    return f"{line.name}: {y0:.4g} at {x0:.3g}, {y1:.4g} at {x1:.3g}{more}."


def _told_row(row: tuple[str, np.ndarray]) -> str:
    name, values = row
    if not len(values):
        return f"{name}: nothing measured."
    low, median, high = np.percentile(values, (25, 50, 75))
    return f"{name}: median {median:.4g}, quartiles {low:.4g} and {high:.4g}, n {len(values)}."


# ---- from matplotlib's SVG to one that lives in the page ----

_RC = {
    "svg.fonttype": "none", "svg.hashsalt": "page", "text.parse_math": False, "font.size": 12,
    "path.simplify": False, "axes.spines.top": False, "axes.spines.right": False,
    "axes.grid": True, "grid.color": FAINT, "axes.axisbelow": True, "axes.edgecolor": INK,
    "axes.labelcolor": INK, "xtick.color": INK, "ytick.color": INK, "text.color": INK,
    "axes.formatter.useoffset": False, "legend.frameon": False, "legend.handlelength": 3.2,
}  # fmt: skip


def _svg(draw, height: float, legend: dict[str, dict]) -> str:
    """A figure of one axis as `<svg>`, with a legend below of the styles by name."""
    import io

    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    with matplotlib.rc_context(_RC):
        figure = Figure((WIDTH, height + 0.3 * math.ceil(len(legend) / 3)))
        figure.set_layout_engine("constrained", w_pad=0.04, h_pad=0.04)
        draw(figure.subplots())
        if legend:
            handles = [Line2D([], [], linewidth=1.9, **style) for style in legend.values()]
            names = [name if name[:1] != "_" else f"\u2009{name}" for name in legend]
            figure.legend(handles, names, loc="outside lower center", ncols=min(3, len(names)))
        file = io.StringIO()
        FigureCanvasSVG(figure).print_svg(file, metadata={"Date": None})
    return _slim(file.getvalue())


def _slim(svg: str) -> str:
    """No preamble, metadata, styles, fonts or white background; two decimals; the page's colours.

    In a page's HTML an `<svg>` needs no namespace.
    """
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", "", svg, flags=re.S)
    svg = re.sub(r'<g id="patch_1">.*?</g>', "", svg, count=1, flags=re.S)
    svg = re.sub(r'<g id="patch_2">.*?</g>', "", svg, count=1, flags=re.S)
    svg = re.sub(r"<[^>]*>", _slim_tag, svg)
    used = set(re.findall(r"#([\w-]+)", svg))
    svg = re.sub(r' id="([^"]*)"', lambda m: m[0] if m[1] in used else "", svg)
    svg = re.sub(r"<defs>\s*</defs>|\n\s*", "", svg)
    return svg


def _slim_tag(tag: re.Match) -> str:
    text = re.sub(r"(\.\d\d)\d+", r"\1", tag[0])
    text = re.sub(r'( xmlns(:\w+)?| version)="[^"]*"', "", text).replace("xlink:href", "href")
    if text.startswith("<svg"):
        text = re.sub(r' (width|height)="[^"]*"', "", text)
    text = re.sub(r"font: (?:\w+ )?([\d.]+px) [^;\"]*", r"font-size: \1", text)
    text = re.sub(r' ?font-family: [^;"]*;?| transform="rotate\(-0 [^"]*"', "", text)
    text = text.replace(INK, "currentColor").replace(FAINT, "var(--faint)")
    return re.sub(LINE + r"(\d)", r"var(--line-\1)", text)


def with_ids(svg: str, prefix: str) -> str:
    """Ids under a prefix, so that two drawings fit into one page."""
    svg = re.sub(r' id="', f' id="{prefix}-', svg)
    return re.sub(r'(url\(|href=")#', rf"\1#{prefix}-", svg)
