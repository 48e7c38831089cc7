"""Write a matplotlib figure to a PNG file that is complete or absent."""

from pathlib import Path

import numpy as np

from srgan.system.files import write_whole


def figure_to_png(figure, path: Path, compress_level: int = -1) -> None:
    """Draw the figure and write it. compress_level: zlib's; -1 is 6. Raises OSError."""
    import imageio.v3 as imageio
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3]
    # In memory first: imageio prints a traceback if it cannot close a file on a full disk.
    png = imageio.imwrite("<bytes>", pixels, extension=".png", compress_level=compress_level)
    write_whole(path, lambda part: part.write_bytes(png))
