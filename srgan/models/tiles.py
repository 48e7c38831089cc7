"""A slice through a generator in tiles, for bounded memory, without a seam.

Each tile is given as much around it as its pixels can depend on, and what came of that margin is
cut off. So a slice in tiles equals the whole slice but for rounding.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil

import keras
import numpy as np
from keras import layers

from srgan.models.layers import AlignedBicubic, CutTo, FusedBatchNorm, SubPixel
from srgan.system import memory
from srgan.system.errors import UserError
from srgan.system.memory import GB

AUTO = "auto"
MOST_BYTES = 2.4 * GB  # for the network: with TensorFlow itself, 4 GB are then never reached
FREE_SHARE = 0.5  # of the free memory that a tile may take
SMALLEST = 16  # side of the smallest tile that is chosen by itself
COPIES = 5  # of the largest images in a network that are in memory at one time: 3.4 to 4.7 measured
# Of a pixel these need no other: layers, and operations of Keras.
POINTWISE_LAYERS = (
    layers.InputLayer, layers.Activation, layers.Add, layers.LeakyReLU, layers.PReLU, layers.ReLU,
    layers.Rescaling, layers.BatchNormalization, FusedBatchNorm, CutTo,
)  # fmt: skip
POINTWISE_OPERATIONS = ("Add", "Subtract", "Multiply", "Maximum", "Minimum", "Relu", "Tanh")


@dataclass(frozen=True)
class Reach:
    """How far a generator sees and what it takes, in pixels of its input."""

    margin: int  # an output depends on the pixel that it lies in and this many around it
    grid: int  # tiles begin at multiples of it; so does the margin
    pixel_bytes: float  # memory that each pixel of a tile takes


def reach_of(network: keras.Model) -> Reach | None:
    """Of a generator, from its layers; None where it has one whose reach is not known here."""
    found: dict[int, tuple[float, float]] = {}  # of each tensor: margin and side of a pixel
    coarsest, most_bytes = 1.0, 0.0
    for operation in network.operations:
        tensors = operation.input if isinstance(operation.input, list) else [operation.input]
        before = [found[id(tensor)] for tensor in tensors] or [(0.0, 1.0)]
        margin, side = max(m for m, _ in before), max(s for _, s in before)
        if (after := _after(operation, margin, side)) is None:
            return None
        margin, side = after
        out = operation.output
        found[id(out)] = margin, side
        coarsest = max(coarsest, side)
        values = max(1, out.shape[-1]) / side**2
        most_bytes = max(most_bytes, values * (4 if out.dtype == "float32" else 2))
    grid = ceil(coarsest)
    margin, _ = found[id(network.outputs[0])]
    return Reach(ceil(margin / grid) * grid, grid, COPIES * most_bytes)


def _after(operation, margin: float, side: float) -> tuple[float, float] | None:
    """Margin and side of a pixel of what comes out, both in pixels of the network's input."""
    if isinstance(operation, layers.Conv2D):
        (rows, columns), (stride, _) = operation.kernel_size, operation.strides
        return margin + max(rows, columns) // 2 * side, side * stride
    if isinstance(operation, SubPixel):
        return margin, side / operation.factor
    if isinstance(operation, AlignedBicubic):
        return margin + 2 * side, side / operation.scale
    if isinstance(operation, POINTWISE_LAYERS) or type(operation).__name__ in POINTWISE_OPERATIONS:
        return margin, side
    return None


def side_of(shape: tuple[int, int], reach: Reach | None, tile: int | str) -> int:
    """Side of the tiles, without margins, in pixels of the input; for AUTO, what fits.

    tile: AUTO or a number, which is rounded up to the grid. Raises UserError where a number is
    given and the reach is not known.
    """
    longest = max(shape)
    if reach is None:
        if tile != AUTO:
            raise UserError(f"--tile {tile}: how far this network sees is not known; leave it out")
        return longest
    if tile != AUTO:
        return ceil(tile / reach.grid) * reach.grid
    free = min([MOST_BYTES] + [FREE_SHARE * room.free for room in memory.rooms()])
    room = free / reach.pixel_bytes
    if shape[0] * shape[1] <= room:
        return ceil(longest / reach.grid) * reach.grid
    most = max(SMALLEST, int(room**0.5) - 2 * reach.margin)
    equal = ceil(longest / ceil(longest / most))  # no small tile is left over
    return ceil(equal / reach.grid) * reach.grid


def in_tiles(
    enlarge: Callable[[np.ndarray], np.ndarray], image: np.ndarray, side: int, reach: Reach
) -> np.ndarray:
    """`enlarge` of (h, w) to (scale*h, scale*w), computed in tiles of side x side pixels of (h, w).

    side, reach: as of side_of and reach_of.
    """
    if side >= max(image.shape):
        return enlarge(image)
    whole = None
    for top, bottom, first_row, end_row in _spans(image.shape[0], side, reach.margin):
        for left, right, first_column, end_column in _spans(image.shape[1], side, reach.margin):
            given = image[first_row:end_row, first_column:end_column]
            made = enlarge(given)
            scale = made.shape[0] // given.shape[0]
            if whole is None:
                whole = np.empty([scale * n for n in image.shape], made.dtype)
            whole[scale * top : scale * bottom, scale * left : scale * right] = made[
                scale * (top - first_row) : scale * (bottom - first_row),
                scale * (left - first_column) : scale * (right - first_column),
            ]
    return whole


def _spans(n: int, side: int, margin: int) -> Iterator[tuple[int, int, int, int]]:
    """Of each tile along an axis: its first pixel and its end, and those of what it is given."""
    for first in range(0, n, side):
        end = min(n, first + side)
        yield first, end, max(0, first - margin), min(n, end + margin)


@contextmanager
def told(side: int) -> Iterator[None]:
    """`memory.told`, which names --tile."""
    smaller = side // 2
    remedy = f"take --tile {smaller}" if smaller >= SMALLEST else memory.FREE_SOME
    with memory.told("a slice through the network", lambda: remedy):
        yield
