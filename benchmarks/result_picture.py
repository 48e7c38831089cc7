"""The picture of benchmarks/peers.py: images of one slice side by side, whole and enlarged."""

from pathlib import Path

import numpy as np
from scipy import ndimage

from srgan.hounsfield import WINDOWS
from srgan.masks import body_mask, lung_mask
from srgan.metrics.similarity import psnr_db
from srgan.system.png import figure_to_png

SIDE = 96  # pixels of the region that is enlarged
STEP = 4  # its corner is a multiple of a pixel of the low dose


def region_of(normal: np.ndarray, window_name: str = "lung") -> tuple[slice, slice]:
    """Rows and columns of a region: of the lung, where it has most detail, or the body's middle.

    normal: (rows, columns) HU.
    """
    if window_name == "lung":
        detail = normal - ndimage.gaussian_filter(normal, 3.0)
        energy = np.minimum(detail**2, 100.0**2).astype(np.float64)
        energy[~ndimage.binary_closing(lung_mask(normal), iterations=8)] = 0
        mean = ndimage.uniform_filter(energy, SIDE)
        centre = np.unravel_index(mean.argmax(), mean.shape)
    else:
        body = body_mask(normal)
        centre = ndimage.center_of_mass(body if body.any() else np.ones_like(body))
    return tuple(_side(at, size) for at, size in zip(centre, normal.shape, strict=True))


def _side(centre: float, size: int) -> slice:
    first = int(np.clip(centre - SIDE // 2, 0, size - SIDE)) // STEP * STEP
    return slice(first, first + SIDE)


def draw(path: Path, images: dict[str, np.ndarray], window_name: str = "lung") -> None:
    """Write a picture; a column for each image: whole above, the region below.

    images: name to (rows, columns) HU, "normal dose" first; the low dose may be smaller. Titles
    have PSNR of the whole slice in the window.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    window, normal = WINDOWS[window_name], images["normal dose"]
    region = region_of(normal, window_name)
    figure = Figure((2.5 * len(images), 5.5), dpi=100, layout="constrained")
    axes = figure.subplots(2, len(images))
    for (whole, part), (name, hu) in zip(axes.T, images.items(), strict=True):
        step = len(normal) // len(hu)
        title = f"{name}, {len(hu)}x{len(hu)}" if step > 1 else name
        if step == 1 and hu is not normal:
            title += f"\n{psnr_db(output=hu, reference=normal, window=window):.1f} dB"
        rows, columns = (slice(side.start // step, side.stop // step) for side in region)
        for axis, shown in ((whole, hu), (part, hu[rows, columns])):
            axis.imshow(
                shown, cmap="gray", vmin=window.low, vmax=window.high, interpolation="nearest"
            )
            axis.set_axis_off()
        side = rows.stop - rows.start
        corner = (columns.start - 0.5, rows.start - 0.5)
        whole.add_patch(Rectangle(corner, side, side, fill=False, edgecolor="gold"))
        whole.set_title(title, fontsize=11)
    figure_to_png(figure, path)
