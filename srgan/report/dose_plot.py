"""Quality against the noise level, where a test has several levels: dose.png."""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from srgan.evaluation.baselines import CLASSICAL, input_of
from srgan.evaluation.level import Level
from srgan.hounsfield import WINDOWS
from srgan.lowdose.level_names import differing, short_name
from srgan.report.about import About, counted
from srgan.report.method_styles import PAPER_COLOURS, line_styles
from srgan.system.files import writing
from srgan.system.png import figure_to_png

WINDOW = "lung"
METRICS = {"psnr_db": ("PSNR", ", dB"), "ssim": ("SSIM", "")}  # name, unit
SIZES = {"linewidth": 1.8, "markersize": 6}
PICTURES = {"dose": "dose.png", "noise_lambda": "noise.png", "noise_sigma": "noise.png"}


@dataclass(frozen=True)
class QualityAgainstLevel:
    """What dose.png and the page draw, in the order of the levels."""

    field: str  # of the noise model: "dose"
    levels: tuple[Level, ...]
    x: tuple[float, ...]

    def means(self, key: str) -> dict[str, list[float]]:
        """A metric of each method at each level, NaN where it is not finite."""
        return {
            method: [_finite(level.overall[method][key][WINDOW]) for level in self.levels]
            for method in self.levels[0].study.methods
        }

    @property
    def baseline(self) -> str:
        """The method on which the others gain: "bicubic", at scale 1 "input"."""
        return input_of(self.levels[0].study.methods)

    @property
    def name(self) -> str:
        return short_name(self.field)

    @property
    def axis(self) -> str:
        return self.levels[0].degradation.noise.axis_labels[self.field]

    @property
    def is_logarithmic(self) -> bool:
        return self.x[0] > 0


def quality_against_level(levels: Sequence[Level]) -> QualityAgainstLevel | None:
    """None for one level, and where lambda and sigma both differ: that needs two axes."""
    fields = differing([level.degradation for level in levels])
    if len(levels) < 2 or len(fields) != 1:
        return None

    def x_of(level: Level) -> float:
        return level.degradation.levels[fields[0]].middle

    in_order = tuple(sorted(levels, key=x_of))
    return QualityAgainstLevel(fields[0], in_order, tuple(map(x_of, in_order)))


def _finite(value: float | None) -> float:
    """NaN for None and for infinity."""
    return math.nan if value is None or math.isinf(value) else value


def write(folder: Path, levels: Sequence[Level], about: About) -> str | None:
    """Write dose.png, or noise.png if lambda or sigma was listed, and return its name.

    Nothing is written for what `quality_against_level` refuses. A picture of an earlier report is
    removed. Raises UserError.
    """
    quality = quality_against_level(levels)
    name = PICTURES[quality.field] if quality else None
    with writing(folder):
        if quality:
            figure_to_png(draw(quality, about), folder / name)
        for old in set(PICTURES.values()) - {name}:
            (folder / old).unlink(missing_ok=True)
    return name


def draw(quality: QualityAgainstLevel, about: About):
    """A matplotlib Figure. Above: metrics against the level. Below: gains on the input.

    Each point below is a patient. Patients differ more from each other than methods do, so the
    difference is taken within each patient.
    """
    from matplotlib.figure import Figure

    figure = Figure((11, 8.4), dpi=110)
    figure.set_layout_engine("constrained", w_pad=0.1, h_pad=0.08)
    axes = figure.subplots(2, len(METRICS), sharex=True, height_ratios=(1.2, 1))
    for (above, below), (key, (name, unit)) in zip(axes.T, METRICS.items(), strict=True):
        _draw_means(above, quality, key)
        _draw_gains(below, quality, key)
        above.set_title(name, fontsize=13)
        above.set_ylabel(f"{name}{unit}", fontsize=11)
        below.set_ylabel(f"{name} gained on {quality.baseline}{unit}", fontsize=11)
        below.set_xlabel(quality.axis, fontsize=11)
    _mark_levels(axes, quality)
    _add_words(figure, axes, quality, about)
    return figure


def _draw_means(axis, quality: QualityAgainstLevel, key: str) -> None:
    means = quality.means(key)
    styles = line_styles(list(means), PAPER_COLOURS)
    for method, of_method in means.items():
        axis.plot(quality.x, of_method, label=method, **SIZES, **styles[method])
    _tidy(axis)


def _draw_gains(axis, quality: QualityAgainstLevel, key: str) -> None:
    """Each patient's difference from the baseline, and the mean of these differences."""
    from matplotlib.transforms import ScaledTranslation

    methods = quality.levels[0].study.methods
    networks = [method for method in methods if method not in CLASSICAL]
    styles = line_styles(methods, PAPER_COLOURS)
    step = min(12, 36 / max(len(networks), 1))  # points
    patients = [level.study.by_patient() for level in quality.levels]
    alpha = float(np.clip(15 / len(patients[0]), 0.1, 0.45))
    inches = axis.figure.dpi_scale_trans
    axis.axhline(0, **SIZES, **styles[quality.baseline] | {"marker": None})
    for i, method in enumerate(networks):
        gains = [_gains(of_level, method, quality.baseline, key) for of_level in patients]
        points = [(x, gain) for x, of_level in zip(quality.x, gains, strict=True)
                  for gain in of_level]  # fmt: skip
        if not points:
            continue
        beside = ScaledTranslation(step * (i - (len(networks) - 1) / 2) / 72, 0, inches)
        axis.plot(
            *zip(*points, strict=True), "o", color=styles[method]["color"], markersize=4,
            alpha=alpha, markeredgewidth=0, transform=axis.transData + beside,
        )  # fmt: skip
        axis.update_datalim(points)
        means = [math.fsum(of) / len(of) if of else math.nan for of in gains]
        axis.plot(quality.x, means, **SIZES, **styles[method])
    _tidy(axis)


def _gains(patients: dict[str, dict], method: str, baseline: str, key: str) -> list[float]:
    """Of the patients for whom both values are finite."""
    pairs = [(of[method][key][WINDOW], of[baseline][key][WINDOW]) for of in patients.values()]
    gains = [_finite(value) - _finite(other) for value, other in pairs]
    return [gain for gain in gains if math.isfinite(gain)]


def _tidy(axis) -> None:
    axis.grid(color="0.9")
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
    axis.ticklabel_format(axis="y", useOffset=False)
    axis.tick_params(labelsize=10)


def _mark_levels(axes, quality: QualityAgainstLevel) -> None:
    """Set up the shared x axis, with the tested levels as its ticks."""
    shared = axes[0, 0]
    if quality.is_logarithmic:
        shared.set_xscale("log")
    shared.set_xticks(quality.x, [f"{level:g}" for level in quality.x])
    shared.minorticks_off()
    shared.margins(x=0.08)
    for axis in axes[1]:
        axis.tick_params(axis="x", labelrotation=45 if len(quality.x) > 5 else 0)


def _add_words(figure, axes, quality: QualityAgainstLevel, about: About) -> None:
    from matplotlib.lines import Line2D

    handles, labels = axes[0, 0].get_legend_handles_labels()
    handles.append(Line2D([], [], color="0.4", marker="o", linestyle="", alpha=0.6, markersize=4))
    figure.legend(
        handles, [*labels, "one patient"], loc="outside lower center", ncols=5, frameon=False,
        fontsize=11,
    )  # fmt: skip
    low, high = WINDOWS[WINDOW]
    lines = [
        f"Quality against {quality.name}, {WINDOW} window {low:g}..{high:g} HU "
        f"(range {high - low:g})",
        *about.degradation.noise.describe().split("; "),
        f"{counted(quality.levels[0].study)}, mean over a patient's slices, "
        f"then over patients; checkpoint of step {about.checkpoint.get('step')}",
        "; ".join([*about.remarks(), "Research use only, not a medical device"]),
    ]
    wrapped = [part for line in lines for part in textwrap.wrap(line, 130)]
    figure.suptitle("\n".join(wrapped), fontsize=10.5)
