"""Example pictures: one slice a patient, every method side by side, whole and enlarged."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy import ndimage

from srgan.evaluation.baselines import CLASSICAL, Method
from srgan.evaluation.level import Level
from srgan.evaluation.study import Study, StudySlice, level_of, make_pair
from srgan.hounsfield import WINDOWS
from srgan.lowdose.degradation import Degradation
from srgan.lowdose.level_names import differing, file_tag
from srgan.masks import body_mask, lung_mask
from srgan.metrics.similarity import has_contrast, psnr_db, ssim
from srgan.report.about import About
from srgan.system.files import writing
from srgan.system.png import figure_to_png
from srgan.system.progress import progress

MOST_PATIENTS = 20  # of a larger test, evenly chosen
SHOWN = ("lung", "mediastinum")  # windows, one picture each
OURS = re.compile(rf"example-P\d+-({'|'.join(SHOWN)})(-[a-z]+[\d.e+-]+)*\.png")
PANEL = 512  # dots across: a slice of 512 columns is drawn dot for pixel
ZOOM = 4  # the second row shows a fourth of the slice in each direction
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
    """example-P0001-lung.png and so on, of the slice that `median_slices` names; returns how many.

    Of several noise levels each has its pictures, example-P0001-lung-dose0.25.png, of the slice
    that the first level's study names. The low dose is made again, with the noise that the study
    had. Pictures of an earlier report in the folder go. Raises UserError (files.writing).
    """
    chosen = median_slices(levels[0].study)
    names = sorted(chosen)
    if len(names) > MOST_PATIENTS:
        names = [names[i * len(names) // MOST_PATIENTS] for i in range(MOST_PATIENTS)]
    by_name = {(item.pseudonym, item.number): item for item in slices}
    differ = differing([level.degradation for level in levels])
    jobs = [(by_name[name, chosen[name]], level.degradation) for name in names for level in levels]
    written = set()
    with writing(folder):
        for item, degradation in progress(jobs, len(jobs), "pictures"):
            images = outputs(item, methods, degradation, seed)
            level = f"-{file_tag(degradation, differ)}" if len(levels) > 1 else ""
            noise = level_of(item, degradation, seed).noise.describe()
            for window in SHOWN:
                path = folder / f"example-{item.pseudonym}-{window}{level}.png"
                figure_to_png(figure(item, images, window, noise, about), path)
                written.add(path)
        for old in set(folder.glob("example-P*.png")) - written:
            if OURS.fullmatch(old.name):
                old.unlink()
    return len(written)


def best_of(study: Study) -> str:
    """The network (or method, without one) of the least RMSE."""
    overall = study.overall()
    networks = [name for name in overall if name not in CLASSICAL]
    return min(networks or overall, key=lambda name: overall[name]["rmse_hu"])


def median_slices(study: Study) -> dict[str, int]:
    """Each patient's slice of the median RMSE by the best network (or method, without one)."""
    best, chosen = best_of(study), {}
    for pseudonym in study.patients():
        found = sorted(
            (row.metrics["rmse_hu"], row.number)
            for row in study.rows
            if (row.pseudonym, row.part, row.method) == (pseudonym, "whole", best)
        )
        chosen[pseudonym] = found[(len(found) - 1) // 2][1]
    return chosen


def outputs(
    item: StudySlice, methods: dict[str, Method], degradation: Degradation, seed: int
) -> dict[str, np.ndarray]:
    """Panel name to (rows, columns) HU: the normal dose first, then each method."""
    normal, low_dose = make_pair(item, degradation, seed)
    size = "x".join(map(str, low_dose.shape))
    images = {"normal dose": normal}
    for name, method in methods.items():
        images[f"low dose {size}" if name == "nearest" else name] = method(low_dose)
    return images


def region(normal: np.ndarray, window: str) -> tuple[slice, slice]:
    """The fourth of the slice in each direction that is worth enlarging in a window.

    Lung: where the gradient of lung sums to the most, that is where its vessels are; mediastinum:
    the middle of the body at the height of the lungs. Without lung, the middle of the body.
    """
    size = np.array(normal.shape) // ZOOM
    body, lung = body_mask(normal), lung_mask(normal)
    if lung.any() and window == "lung":
        inner = ndimage.binary_erosion(lung, iterations=4)  # the wall is no vessel
        gradient = ndimage.gaussian_gradient_magnitude(np.clip(normal, *WINDOWS[window]), 1.5)
        sums = np.pad((gradient * inner).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
        sums = sums[size[0] :] - sums[: -size[0]]
        sums = sums[:, size[1] :] - sums[:, : -size[1]]
        first = np.array(np.unravel_index(np.argmax(sums), sums.shape))
    else:
        body = body if body.any() else ~body
        rows = np.flatnonzero((lung if lung.any() else body).any(1))
        columns = np.flatnonzero(body.any(0))
        first = np.array([rows[0] + rows[-1], columns[0] + columns[-1]]) // 2 - size // 2
    first = np.clip(first, 0, np.array(normal.shape) - size)
    return tuple(slice(int(start), int(start + n)) for start, n in zip(first, size, strict=True))


def figure(item: StudySlice, images: dict[str, np.ndarray], window: str, noise: str, about: About):
    """A matplotlib Figure: a column an image, the whole slice above, the region below.

    images: as `outputs` makes them; noise: in words. One dot a pixel for a slice of 512 columns.
    """
    from matplotlib.figure import Figure

    normal = next(iter(images.values()))
    shown = WINDOWS[window]
    row_mm, column_mm = item.spacing_mm
    height = round(PANEL * normal.shape[0] * row_mm / (normal.shape[1] * column_mm))
    dots = (len(images) * (PANEL + GAP) + GAP, HEAD + 2 * (LINE + height) + LINE + GAP)
    drawn = Figure((dots[0] / DPI, dots[1] / DPI), dpi=DPI, facecolor="black")

    def text(x: float, y: float, words: str, size: float, **more) -> None:
        drawn.text(x / dots[0], 1 - y / dots[1], words, color="white", size=size, **more)

    title = (
        f"{item.pseudonym}, slice {item.number}, {window} window "
        f"{shown.low:g} to {shown.high:g} HU; PSNR and SSIM of the whole slice, "
        f"data range {shown.width:g} HU"
    )
    text(GAP, 26, title, 15)
    text(GAP, 50, noise, 12)
    text(GAP, 70, "; ".join(about.remarks()), 12)
    part = region(normal, window)
    for i, (name, image) in enumerate(images.items()):
        left = GAP + i * (PANEL + GAP)
        text(left, HEAD + 20, name, 14, weight="bold")
        if i and has_contrast(normal, shown):
            both = {"output": image, "reference": normal, "window": shown}
            figures = (psnr_db(**both), ssim(**both))
            said = "{:.2f} dB, SSIM {:.3f}".format(*figures)
            text(left + PANEL, HEAD + 20, said, 13, ha="right")
        for j, pixels in enumerate((image, image[part])):
            top = HEAD + LINE + j * (height + LINE)
            box = (left, dots[1] - top - height, PANEL, height)
            axes = drawn.add_axes([v / dots[k % 2] for k, v in enumerate(box)])
            axes.set_axis_off()
            smooth = "nearest" if j or pixels.shape[1] <= PANEL else "antialiased"
            axes.imshow(
                pixels, cmap="gray", vmin=shown.low, vmax=shown.high, aspect="auto",
                interpolation=smooth,
            )  # fmt: skip
            if i == 0 and j == 0:
                _mark(axes, part, pixels.shape, column_mm)
    bottom = HEAD + 2 * (LINE + height)
    text(GAP, HEAD + LINE + height + 19, f"the framed region, {ZOOM} times enlarged", 12)
    text(GAP, bottom + 19, "Research use only, not a medical device.", 11)
    return drawn


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
