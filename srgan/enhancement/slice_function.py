"""A trained network as a function of a slice of a scan, by what the slices of the scan are."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from srgan.evaluation import baselines
from srgan.evaluation.baselines import Method
from srgan.formats.scan import Scan
from srgan.hounsfield import HU_MAX, HU_MIN
from srgan.resampling import area_mean
from srgan.system.errors import UserError

FULL, LOW_RESOLUTION, NATIVE = "full-resolution", "low-resolution", "native"


@dataclass(frozen=True)
class Use:
    """What a network of this scale is given: slices as they are, or their area mean (native)."""

    scale: int
    kind: str  # FULL at scale 1, else LOW_RESOLUTION or NATIVE
    ensemble: bool = False  # eight passes of each slice, see baselines.self_ensemble

    @property
    def passes_text(self) -> str:
        """What to add to a text about the output of the network: "" for one pass."""
        return ", self-ensemble of eight passes" if self.ensemble else ""

    @property
    def enlargement(self) -> int:
        return self.scale if self.kind == LOW_RESOLUTION else 1

    def size_text(self, scan: Scan) -> str:
        """The size of the new slices: "512 x 512 pixels"."""
        return f"{scan.rows * self.enlargement} x {scan.columns * self.enlargement} pixels"

    def sentence(self, scan: Scan) -> str:
        """What is done to this scan."""
        passes = ", in eight passes instead of one" if self.ensemble else ""
        size, new = f"{scan.rows} x {scan.columns}", self.size_text(scan)
        if self.kind == FULL:
            return f"slices of {size} pixels are denoised at their own resolution (scale 1){passes}"
        if self.kind == LOW_RESOLUTION:
            return f"slices of {size} pixels are enlarged {self.scale} times, to {new}{passes}"
        small = f"{-(-scan.rows // self.scale)} x {-(-scan.columns // self.scale)}"
        return (
            f"slices of {size} pixels are reduced to {small} by their area mean, as in training, "
            f"and enlarged again to {new}{passes}"
        )


def use_of(
    scale: int, shape: tuple[int, int], input_kind: str | None, *, ensemble: bool = False
) -> Use:
    """How a network of this scale is used on slices of this shape.

    Raises UserError where input_kind must be given, or must not.
    """
    if scale == 1:
        if input_kind is not None:
            raise UserError(
                f"--input-kind {input_kind} is for networks of scale 2 and 4: this one has scale "
                "1 and takes slices as they are"
            )
        return Use(1, FULL, ensemble)
    if input_kind is None:
        rows, columns = shape
        raise UserError(
            f"this network enlarges {scale} times: give --input-kind low-resolution to enlarge "
            f"{rows} x {columns} pixels to {rows * scale} x {columns * scale}, or --input-kind "
            f"native to reduce them {scale} times by their area mean and enlarge that to {rows} x "
            f"{columns}, as in training; a network of scale 1 denoises slices at their own size"
        )
    return Use(scale, input_kind, ensemble)


def of_network(
    model, use: Use, tile: int | str = baselines.AUTO
) -> Callable[[np.ndarray], np.ndarray]:
    """A Keras generator as a function of (rows, columns) HU: see `enhanced`."""
    return partial(enhanced, baselines.network(model, tile, ensemble=use.ensemble), use)


def enhanced(method: Method, use: Use, hu: np.ndarray) -> np.ndarray:
    """(rows, columns) HU to float HU of enlargement times as many rows and columns.

    What lies outside [-1024, 3071], the range of the network, is added again where the grid stays:
    metal keeps its HU.
    """
    clipped = np.clip(hu, HU_MIN, HU_MAX).astype(np.float32)
    if use.kind == NATIVE:
        rows, columns = hu.shape
        new = method(area_mean(_whole_pixels(clipped, use.scale), use.scale))[:rows, :columns]
    else:
        new = method(clipped)
    return new if use.enlargement > 1 else new + (hu - clipped)


def _whole_pixels(image: np.ndarray, scale: int) -> np.ndarray:
    """The edge repeated up to a multiple of the scale."""
    return np.pad(image, [(0, -n % scale) for n in image.shape], mode="edge")
