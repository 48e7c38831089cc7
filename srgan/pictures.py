"""A matplotlib figure to a PNG file that is complete or absent."""

from pathlib import Path

import numpy as np

from srgan.files import write_whole


def figure_to_png(figure, path: Path) -> None:
    """Draw and write. Raises OSError where the folder cannot be written."""
    import imageio.v3 as imageio
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3]
    write_whole(path, lambda part: imageio.imwrite(part, pixels, extension=".png"))
