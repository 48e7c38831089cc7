"""Pictures in train/: a grid of validation patches, and one whole slice."""

import textwrap

import numpy as np

from srgan.hounsfield import WINDOWS, Window, network_to_hu
from srgan.metrics.similarity import has_contrast, psnr_db
from srgan.resampling import INPUT, bicubic
from srgan.training.validation import Validation

GRID = 8  # patches in a grid
GRID_WIDTH = 96  # characters in a line of the title


def grid(validation: Validation, output: np.ndarray, title: str):
    """A matplotlib figure of eight patches: normal dose | low dose | bicubic | output.

    At scale 1: normal dose | input | output. output: (n, crop, crop, 1) in the networks' range.
    Shown in the lung window.
    """
    from matplotlib.figure import Figure

    low = network_to_hu(validation.low[:GRID, ..., 0])
    normal = network_to_hu(validation.normal[:GRID, ..., 0])
    images = _named(normal, low, network_to_hu(output[:GRID, ..., 0]))
    window = WINDOWS["full"]
    figure = Figure((8.4, 2.08 * GRID + 0.8), dpi=72, layout="constrained")
    axes = figure.subplots(GRID, len(images), squeeze=False)
    for row, line in enumerate(axes):
        for axis, (name, patches) in zip(line, images.items(), strict=True):
            label = f"{name}, {patches.shape[1]}x{patches.shape[2]}" if row == 0 else ""
            if name in ("bicubic", INPUT, "output"):
                below = _psnr_label(patches[row], normal[row], window)
                axis.set_xlabel(below, fontsize=9, labelpad=1)
            _show(axis, patches[row], label)
    title += f"\nshown in the lung window -1350 to 150 HU; PSNR in {window.width:g} HU"
    lines = [part for line in title.splitlines() for part in textwrap.wrap(line, GRID_WIDTH)]
    figure.suptitle("\n".join(lines), fontsize=9)
    return figure


def whole_slice(low_hu: np.ndarray, normal_hu: np.ndarray, output_hu: np.ndarray, title: str):
    """A matplotlib figure of one slice in two windows: normal dose | low dose | bicubic | output.

    At scale 1: normal dose | input | output. low_hu: (h/scale, w/scale); the others (h, w).
    """
    from matplotlib.figure import Figure

    figure = Figure((16, 9.2), dpi=100, layout="constrained")
    images = _named(normal_hu, low_hu, output_hu)
    axes = figure.subplots(2, len(images))
    for column, (name, image) in enumerate(images.items()):
        for row, window in enumerate(("lung", "mediastinum")):
            label = f"{name}, {image.shape[0]}x{image.shape[1]}"
            if image.shape == normal_hu.shape and name != "normal dose":
                psnr = _psnr_label(image, normal_hu, WINDOWS[window])
                label += f", {psnr}" if psnr else ""
            _show(axes[row, column], image, label, window)
    for row, window in enumerate(("lung", "mediastinum")):
        low, high = WINDOWS[window]
        axes[row, 0].set_ylabel(f"{window} window, {low:g} to {high:g} HU")
    figure.suptitle(title, fontsize=11)
    return figure


def _named(normal: np.ndarray, low: np.ndarray, output: np.ndarray) -> dict[str, np.ndarray]:
    """The images of a row by name. At scale 1 low dose and bicubic are one, the input."""
    scale = normal.shape[-1] // low.shape[-1]
    between = {"low dose": low, "bicubic": bicubic(low, scale)} if scale > 1 else {INPUT: low}
    return {"normal dose": normal, **between, "output": output}


def _psnr_label(image: np.ndarray, normal: np.ndarray, window: Window) -> str:
    """PSNR in dB; empty where the normal dose is constant in the window, as a patch of air is."""
    if not has_contrast(normal, window):
        return ""
    return f"{psnr_db(output=image, reference=normal, window=window):.2f} dB"


def _show(axis, hu: np.ndarray, title: str, window: str = "lung") -> None:
    low, high = WINDOWS[window]
    axis.imshow(hu, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
    axis.set_title(title, fontsize=10)
    axis.set_xticks([])
    axis.set_yticks([])
    for spine in axis.spines.values():
        spine.set_visible(False)
