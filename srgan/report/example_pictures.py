"""Example pictures: one slice of each patient, every method side by side, whole and enlarged."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from srgan.evaluation.baselines import Method
from srgan.evaluation.level import Level
from srgan.evaluation.study_slice import StudySlice, level_of, make_pair
from srgan.hounsfield import WINDOWS, Window
from srgan.lowdose.degradation import Degradation
from srgan.lowdose.level_names import differing, file_tag
from srgan.metrics.similarity import has_contrast, psnr_db, ssim
from srgan.report.about import About
from srgan.report.shown_slices import ZOOM, median_slices, region
from srgan.system.files import writing
from srgan.system.png import figure_to_png
from srgan.system.progress import progress

MOST_PATIENTS = 20  # of a larger test, evenly chosen
SHOWN = ("lung", "mediastinum")  # windows, one picture each
OURS = re.compile(rf"example-P\d+-({'|'.join(SHOWN)})(-[a-z]+[\d.e+-]+)*\.png")
PANEL = 512  # dots across: a slice of 512 columns is drawn dot for pixel
GAP, HEAD, LINE = 8, 82, 26  # dots
DPI = 100


def write(
    folder: Path,
    levels: Sequence[Level],
    about: About,
    methods: dict[str, Method],
    slices: list[StudySlice],
    seed: int,
) -> int:
    """Write example-P0001-lung.png and so on, and return how many.

    Each patient has the slice with the median RMSE. With several noise levels each has a picture of
    that slice, example-P0001-lung-dose0.25.png. The low dose is made again, with the noise of the
    study. Pictures of an earlier report are removed. Raises UserError.
    """
    by_place = {(item.pseudonym, item.number): item for item in slices}
    chosen = [by_place[place] for place in chosen_slices(levels[0])]
    jobs = [(item, level.degradation) for item in chosen for level in levels]
    differ = differing([level.degradation for level in levels])
    written = set()
    with writing(folder):
        for item, degradation in progress(jobs, len(jobs), "pictures"):
            images = outputs(item, methods, degradation, seed)
            suffix = f"-{file_tag(degradation, differ)}" if len(levels) > 1 else ""
            noise = level_of(item, degradation, seed).noise.describe()
            for window in SHOWN:
                path = folder / f"example-{item.pseudonym}-{window}{suffix}.png"
                figure_to_png(draw(item, images, window, noise, about), path)
                written.add(path)
        for old in set(folder.glob("example-P*.png")) - written:
            if OURS.fullmatch(old.name):
                old.unlink()
    return len(written)


def chosen_slices(level: Level) -> list[tuple[str, int]]:
    """One slice of each patient, as (pseudonym, number); of MOST_PATIENTS at most."""
    chosen = sorted(median_slices(level.study).items())
    if len(chosen) > MOST_PATIENTS:
        chosen = [chosen[i * len(chosen) // MOST_PATIENTS] for i in range(MOST_PATIENTS)]
    return chosen


def outputs(
    item: StudySlice, methods: dict[str, Method], degradation: Degradation, seed: int
) -> dict[str, np.ndarray]:
    """Name of each panel to (rows, columns) HU: the normal dose first, then each method."""
    normal_dose, low_dose = make_pair(item, degradation, seed)
    size = "x".join(map(str, low_dose.shape))
    images = {"normal dose": normal_dose}
    for name, method in methods.items():
        images[f"low dose {size}" if name == "nearest" else name] = method(low_dose)
    return images


def draw(item: StudySlice, images: dict[str, np.ndarray], window: str, noise: str, about: About):
    """A matplotlib Figure: a column for each image, the whole slice above, the region below.

    images: as `outputs` makes them. noise: in words. A slice of 512 columns has one dot a pixel.
    """
    from matplotlib.figure import Figure

    normal_dose = next(iter(images.values()))
    row_mm, column_mm = item.spacing_mm
    rows, columns = normal_dose.shape
    height = round(PANEL * rows * row_mm / (columns * column_mm))
    width, bottom = len(images) * (PANEL + GAP) + GAP, HEAD + 2 * (LINE + height)
    size = (width / DPI, (bottom + LINE + GAP) / DPI)
    figure = Figure(size, dpi=DPI, facecolor="black")
    shown = WINDOWS[window]
    limits = {"vmin": shown.low, "vmax": shown.high}
    _text(figure, GAP, 26, _title(item, window), 15)
    _text(figure, GAP, 50, noise, 12)
    _text(figure, GAP, 70, "; ".join(about.remarks()), 12)
    part = region(normal_dose, window)
    for i, (name, image) in enumerate(images.items()):
        left = GAP + i * (PANEL + GAP)
        _text(figure, left, HEAD + 20, name, 14, weight="bold")
        if i and has_contrast(normal_dose, shown):
            metrics = _metrics(image, normal_dose, shown)
            _text(figure, left + PANEL, HEAD + 20, metrics, 13, ha="right")
        for j, pixels in enumerate((image, image[part])):
            axes = _panel(figure, left, HEAD + LINE + j * (height + LINE), height)
            smooth = "nearest" if j or columns <= PANEL else "antialiased"
            axes.imshow(pixels, cmap="gray", aspect="auto", interpolation=smooth, **limits)
            if i == 0 and j == 0:
                _mark(axes, part, pixels.shape, column_mm)
    enlarged = f"the framed region, {ZOOM} times enlarged"
    _text(figure, GAP, HEAD + LINE + height + 19, enlarged, 12)
    _text(figure, GAP, bottom + 19, "Research use only, not a medical device.", 11)
    return figure


def _title(item: StudySlice, window: str) -> str:
    shown = WINDOWS[window]
    return (
        f"{item.pseudonym}, slice {item.number}, {window} window "
        f"{shown.low:g} to {shown.high:g} HU; PSNR and SSIM of the whole slice, "
        f"data range {shown.width:g} HU"
    )


def _metrics(output: np.ndarray, reference: np.ndarray, window: Window) -> str:
    both = {"output": output, "reference": reference, "window": window}
    return f"{psnr_db(**both):.2f} dB, SSIM {ssim(**both):.3f}"


def _text(figure, x: float, y: float, words: str, size: float, **more) -> None:
    """White text at dots from the left and from the top."""
    width, height = figure.get_size_inches() * DPI
    figure.text(x / width, 1 - y / height, words, color="white", size=size, **more)


def _panel(figure, left: float, top: float, height: float):
    """Axes without a frame, PANEL dots wide, at dots from the left and from the top."""
    dots = figure.get_size_inches() * DPI
    box = (left, dots[1] - top - height, PANEL, height)
    axes = figure.add_axes([value / dots[k % 2] for k, value in enumerate(box)])
    axes.set_axis_off()
    return axes


def _mark(axes, part: tuple[slice, slice], shape: tuple[int, int], column_mm: float) -> None:
    """The region's frame, and a bar of 5 cm."""
    from matplotlib.patches import Rectangle

    rows, columns = part
    size = (columns.stop - columns.start, rows.stop - rows.start)
    frame = Rectangle((columns.start - 0.5, rows.start - 0.5), *size, fill=False, ec="#ffb000")
    axes.add_patch(frame)
    length, y = 50 / column_mm, 0.965 * shape[0]
    axes.plot([0.03 * shape[1], 0.03 * shape[1] + length], [y, y], color="white", lw=2.5)
    axes.text(
        0.03 * shape[1] + length / 2, y - 0.012 * shape[0], "5 cm", color="white", ha="center"
    )
