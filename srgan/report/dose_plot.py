"""Quality against the noise level, where a test had several: a table and a picture."""

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from srgan.evaluation.baselines import CLASSICAL
from srgan.evaluation.level import Level
from srgan.evaluation.study import Study
from srgan.hounsfield import WINDOWS
from srgan.lowdose.level_names import column_head, differing, short_name
from srgan.report.about import About, counted
from srgan.report.columns import written
from srgan.report.html.plots import floats, looks
from srgan.system.files import writing
from srgan.system.png import figure_to_png

WINDOW = "lung"
FIGURES = {"psnr_db": ("PSNR", ", dB", ".2f"), "ssim": ("SSIM", "", ".4f")}  # name, unit, form
BASELINE = "bicubic"
PICTURES = {"dose": "dose.png", "noise_lambda": "noise.png", "noise_sigma": "noise.png"}
COLOURS = (  # of plots.looks: page.css' on paper
    "#1b2026", "#767676", "#a86c00", "#7a4fb0", "#0072b2", "#c94f00", "#00795a", "#b03a80",
    "#4b2d00", "#ab00f0",
)  # fmt: skip


def styles(names: Sequence[str]) -> dict[str, dict]:
    """A colour, a line and a marker for each method, as on the page."""
    return {
        name: {"color": COLOURS[i], "linestyle": dash, "marker": marker}
        for name, (i, dash, marker) in looks(names).items()
    }


def window_text() -> str:
    low, high = WINDOWS[WINDOW]
    return f"{WINDOW} window {low:g}..{high:g} HU (range {high - low:g})"


# ---- the table ----


def table(levels: Sequence[Level]) -> str:
    """A row a method and a column a level: whole slices, the mean over patients."""
    names = differing([level.degradation for level in levels])
    heads = [column_head(level.degradation, names) for level in levels]
    width = max(8, *(len(head) + 2 for head in heads))
    lines = [
        f"quality against {'/'.join(map(short_name, names))}: {window_text()}, whole slices, "
        "mean over patients"
    ]
    for key, (name, unit, form) in FIGURES.items():
        lines += ["", f"{name + unit:12}" + "".join(f"{head:>{width}}" for head in heads)]
        for method in levels[0].study.methods:
            values = (written(level.overall[method][key][WINDOW], form) for level in levels)
            lines.append(f"{method:12}" + "".join(f"{value:>{width}}" for value in values))
    return "\n".join(lines)


# ---- the picture ----


def write(folder: Path, levels: Sequence[Level], about: About) -> str | None:
    """dose.png, or noise.png where lambda or sigma was listed; returns the name.

    Nothing is drawn of one level, or where lambda and sigma both differ. A picture of an earlier
    report goes. Raises UserError (files.writing).
    """
    names = differing([level.degradation for level in levels])
    name = PICTURES[names[0]] if len(levels) > 1 and len(names) == 1 else None
    with writing(folder):
        if name:
            figure_to_png(figure(levels, about), folder / name)
        for old in set(PICTURES.values()) - {name}:
            (folder / old).unlink(missing_ok=True)
    return name


def figure(levels: Sequence[Level], about: About):
    """Above: figures against the level. Below: what the networks gain on bicubic.

    A point below is a patient. Patients differ more from each other than methods do, hence the
    difference within each.
    """
    from matplotlib.figure import Figure

    name = differing([level.degradation for level in levels])[0]
    in_order = sorted(levels, key=lambda level: level.degradation.levels[name].low)
    x = [level.degradation.levels[name].low for level in in_order]
    drawn = Figure((11, 8.4), dpi=110)
    drawn.set_layout_engine("constrained", w_pad=0.1, h_pad=0.08)
    axes = drawn.subplots(2, len(FIGURES), sharex=True, height_ratios=(1.2, 1))
    for (above, below), (key, (title, unit, _)) in zip(axes.T, FIGURES.items(), strict=True):
        _draw_means(above, x, in_order, key)
        _draw_gains(below, x, [level.study for level in in_order], key)
        above.set_title(title, fontsize=13)
        above.set_ylabel(f"{title}{unit}", fontsize=11)
        below.set_ylabel(f"{title} gained on {BASELINE}{unit}", fontsize=11)
        below.set_xlabel(levels[0].degradation.noise.axis_labels[name], fontsize=11)
    _mark_levels(axes, x)
    _add_words(drawn, axes, in_order[0], about, name)
    return drawn


def _draw_means(axis, x: list[float], levels: list[Level], key: str) -> None:
    methods = levels[0].study.methods
    style = styles(methods)
    for method in methods:
        y = floats([level.overall[method][key][WINDOW] for level in levels])
        axis.plot(x, y, label=method, linewidth=1.8, markersize=6, **style[method])
    _tidy(axis)


def _draw_gains(axis, x: list[float], studies: list[Study], key: str) -> None:
    """Each patient's difference from the baseline, and the differences' mean."""
    from matplotlib.transforms import ScaledTranslation

    networks = [m for m in studies[0].methods if m not in CLASSICAL]
    style, apart = styles(studies[0].methods), min(12, 36 / max(len(networks), 1))
    patients = [study.by_patient() for study in studies]
    alpha = float(np.clip(15 / len(patients[0]), 0.1, 0.45))
    inches = axis.figure.dpi_scale_trans
    axis.axhline(0, linewidth=1.8, **styles([BASELINE])[BASELINE] | {"marker": None})
    for i, method in enumerate(networks):
        gains = [_gains(of_level, method, key) for of_level in patients]
        points = [(level, g) for level, of_level in zip(x, gains, strict=True) for g in of_level]
        if not points:
            continue
        beside = ScaledTranslation(apart * (i - (len(networks) - 1) / 2) / 72, 0, inches)
        axis.plot(
            *zip(*points, strict=True), "o", color=style[method]["color"], markersize=4,
            alpha=alpha, markeredgewidth=0, transform=axis.transData + beside,
        )  # fmt: skip
        axis.update_datalim(points)
        means = [math.fsum(of) / len(of) if of else math.nan for of in gains]
        axis.plot(x, means, linewidth=1.8, markersize=6, **style[method])
    _tidy(axis)


def _gains(patients: dict[str, dict], method: str, key: str) -> list[float]:
    """Of the patients in whom both were measured and are finite."""
    pairs = [(of[method][key][WINDOW], of[BASELINE][key][WINDOW]) for of in patients.values()]
    return [a - b for a, b in map(floats, pairs) if math.isfinite(a - b)]


def _tidy(axis) -> None:
    axis.grid(color="0.9")
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
    axis.ticklabel_format(axis="y", useOffset=False)
    axis.tick_params(labelsize=10)


def _mark_levels(axes, x: list[float]) -> None:
    """A shared logarithmic axis, unless a level is 0, with the tested levels as its ticks."""
    shared = axes[0, 0]
    if x[0] > 0:
        shared.set_xscale("log")
    shared.set_xticks(x, [f"{level:g}" for level in x])
    shared.minorticks_off()
    shared.margins(x=0.08)
    for axis in axes[1]:
        axis.tick_params(axis="x", labelrotation=45 if len(x) > 5 else 0)


def _add_words(drawn, axes, level: Level, about: About, name: str) -> None:
    from matplotlib.lines import Line2D

    handles, labels = axes[0, 0].get_legend_handles_labels()
    handles.append(Line2D([], [], color="0.4", marker="o", linestyle="", alpha=0.6, markersize=4))
    drawn.legend(
        handles,
        [*labels, "one patient"],
        loc="outside lower center",
        ncols=5,
        frameon=False,
        fontsize=11,
    )
    lines = [
        f"Quality against {short_name(name)}, {window_text()}",
        *about.degradation.noise.describe().split("; "),
        f"{counted(level.study)}, mean over a patient's slices, "
        f"then over patients; checkpoint of step {about.checkpoint.get('step')}",
        "; ".join([*about.remarks(), "Research use only, not a medical device"]),
    ]
    wrapped = [part for line in lines for part in textwrap.wrap(line, 130)]
    drawn.suptitle("\n".join(wrapped), fontsize=10.5)
