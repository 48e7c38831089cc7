"""preview.png: slices of a scan as input | output | what was removed, in two windows."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from srgan.enhancement.slice_function import LOW_RESOLUTION, Use
from srgan.hounsfield import HU_MAX, HU_MIN, WINDOWS, Window
from srgan.lowdose.estimate_photons import MAD_TO_SD
from srgan.masks import body_mask
from srgan.resampling import area_mean
from srgan.system.png import figure_to_png

SHOWN = ("lung", "mediastinum")  # windows
PANEL, GAP, LINE, HEAD = 490, 8, 22, 58  # dots
TALLEST = 2 * PANEL  # what is narrower than half its height is shown wider than it is
DPI = 100
PNG_LEVEL = 2  # a noisy picture gets no smaller by more, which takes three times as long
RIM = 0.04  # of the larger side of the body, shown around it
# What was removed is shown in a grey window around 0 HU: three of its own SDs to either side beside
# the mediastinum, where noise is judged, twice that beside the lung, for structure.
SDS, WIDER, LEAST_HU = 3.0, 2, 20.0


@dataclass(frozen=True)
class Pane:
    """One slice of the preview."""

    index: int  # in the scan, from 0
    hu_in: np.ndarray  # (rows, columns) HU
    hu_out: np.ndarray  # (enlargement*rows, enlargement*columns) HU
    noise_hu: float | None  # of the network's input


def write(
    path: Path,
    panes: Sequence[Pane],
    use: Use,
    spacing_mm: tuple[float, float],
    n_slices: int,
    title: str,
) -> None:
    """Write the picture; nothing without panes. spacing_mm: of hu_in. Raises OSError."""
    if panes:
        figure_to_png(draw(panes, use, spacing_mm, n_slices, title), path, PNG_LEVEL)


def draw(
    panes: Sequence[Pane],
    use: Use,
    spacing_mm: tuple[float, float],
    n_slices: int,
    title: str,
):
    """A matplotlib Figure, three panels wide: for each slice a row in either window."""
    from matplotlib.figure import Figure

    bodies = [body_mask(pane.hu_in) for pane in panes]
    removed = [removed_of(pane, use) for pane in panes]
    part, removed_hu = _around_body(bodies), _removed_range_hu(removed, bodies)
    rows, columns = (s.stop - s.start for s in part)
    height = round(PANEL * rows * spacing_mm[0] / (columns * spacing_mm[1]))
    height = min(max(height, LINE), TALLEST)
    of_slice = LINE + len(SHOWN) * (LINE + height)
    bottom = HEAD + len(panes) * of_slice
    size = (3 * (PANEL + GAP) + GAP, bottom + LINE + GAP)
    figure = Figure([dots / DPI for dots in size], dpi=DPI, facecolor="black")
    _text(figure, GAP, 24, title, 13, weight="bold")
    _text(figure, GAP, 46, _removed_text(use), 11)
    for k, pane in enumerate(panes):
        top = HEAD + k * of_slice
        _text(figure, GAP, top + 17, _slice_text(pane, n_slices), 12, color="#ffb000")
        for j, window in enumerate(SHOWN):
            place = top + LINE + j * (LINE + height), height
            range_hu = removed_hu * (WIDER if window == "lung" else 1)
            _row(figure, *place, pane, removed[k], part, window, range_hu)
    _text(figure, GAP, bottom + 19, "Research use only, not a medical device.", 11)
    return figure


def _row(figure, top, height, pane: Pane, removed, part, window: str, removed_hu: float) -> None:
    """Input | output | removed in one window, each with its label above."""
    shown = WINDOWS[window]
    in_window = f"{window} window {shown.low:g} to {shown.high:g} HU"
    panels = (
        (f"input {_size(pane.hu_in)}, {in_window}", pane.hu_in, shown),
        (f"output {_size(pane.hu_out)}, {in_window}", pane.hu_out, shown),
        (
            f"removed, {-removed_hu:g} to {removed_hu:g} HU",
            removed,
            Window(-removed_hu, removed_hu),
        ),
    )
    for i, (label, image, (low, high)) in enumerate(panels):
        left = GAP + i * (PANEL + GAP)
        _text(figure, left, top + 17, label, 10.5)
        pixels = image[_scaled(part, image.shape[0] / pane.hu_in.shape[0])]
        smooth = "nearest" if pixels.shape[1] <= PANEL else "antialiased"
        limits = {"vmin": low, "vmax": high, "aspect": "auto", "interpolation": smooth}
        _panel(figure, left, top + LINE, height).imshow(pixels, cmap="gray", **limits)


def removed_of(pane: Pane, use: Use) -> np.ndarray:
    """Input minus output on the grid of the input: (rows, columns) HU.

    Of an enlarged output its block means are subtracted. Both are clipped as the network does.
    """
    given, made = (x.clip(HU_MIN, HU_MAX).astype(np.float32) for x in (pane.hu_in, pane.hu_out))
    return given - (area_mean(made, use.scale) if use.kind == LOW_RESOLUTION else made)


def _removed_text(use: Use) -> str:
    if use.kind == LOW_RESOLUTION:
        return "removed: input minus the output's means over the pixels of the input"
    return "removed: input minus output"


def _removed_range_hu(removed: Sequence[np.ndarray], bodies: Sequence[np.ndarray]) -> float:
    """Three SDs, robust, of what was removed inside the body; a round number of HU."""
    parts = [np.abs(hu[body]) for hu, body in zip(removed, bodies, strict=True)]
    inside = np.concatenate(parts)
    sd_hu = MAD_TO_SD * float(np.median(inside)) if inside.size else 0.0
    return max(LEAST_HU, float(round(SDS * sd_hu, -1)))


def _around_body(bodies: Sequence[np.ndarray]) -> tuple[slice, slice]:
    """The rows and columns of the input that hold the body in any slice; all without a body."""
    body = np.any(bodies, axis=0)
    if not body.any():
        body = np.ones_like(body)
    ends = [(x.min(), x.max() + 1) for x in np.nonzero(body)]
    rim = round(RIM * max(high - low for low, high in ends))
    return tuple(
        slice(max(0, int(low) - rim), min(n, int(high) + rim))
        for (low, high), n in zip(ends, body.shape, strict=True)
    )


def _scaled(part: tuple[slice, slice], factor: float) -> tuple[slice, slice]:
    return tuple(slice(round(s.start * factor), round(s.stop * factor)) for s in part)


def _slice_text(pane: Pane, n_slices: int) -> str:
    noise = "not measurable" if pane.noise_hu is None else f"{pane.noise_hu:.1f} HU"
    return f"slice {pane.index + 1} of {n_slices}, noise of the network's input {noise}"


def _size(image: np.ndarray) -> str:
    return "x".join(map(str, image.shape))


def _text(figure, x: float, y: float, words: str, size: float, color="white", **more) -> None:
    """Text at dots from the left and from the top."""
    width, height = figure.get_size_inches() * DPI
    figure.text(x / width, 1 - y / height, words, color=color, size=size, **more)


def _panel(figure, left: float, top: float, height: float):
    """Axes without a frame, PANEL dots wide, at dots from the left and from the top."""
    width, tall = figure.get_size_inches() * DPI
    axes = figure.add_axes(
        [left / width, (tall - top - height) / tall, PANEL / width, height / tall]
    )
    axes.set_axis_off()
    return axes
