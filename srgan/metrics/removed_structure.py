"""What was removed from a slice: noise alone, or edges and vessels too.

Removed is input minus output, where both have the same pixels. No normal dose is needed, so a scan
can be judged of which none exists. Two figures: the share of the output's edges and vessels that
was removed with the noise, which a blur raises, and the strongest spot in what was removed, which
a vessel that is gone leaves there.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from srgan.masks import body_mask

SLOPE_PX, STEEP_HU_PER_PX = 1.5, 60.0  # an edge, as in edges_and_vessels
FEWEST_PIXELS = 500  # of edges and vessels
FINE_PX = 2.0  # structure finer than this Gaussian is what a denoiser may take away
RIM_PX = 6  # along the skin
SPOT_PX = 2.0  # Gaussian SD of a small vessel
LOCAL_PX = 20.0  # Gaussian SD of the neighbourhood that the noise is measured in
STEP_PX = 2  # the noise is measured on every second pixel
# Where powers above four times their mean count as four, a spot hardly raises the noise around it.
# Gaussian noise keeps 0.92 of its mean power then.
CLIPPED, KEPT, ROUNDS = 4.0, 0.92, 6
EDGE_PX = 0.15  # an edge may be this far from its place
LEAST_SD_HU = 1.0
# ---- the bounds ----
# On 21 slices of the five validation patients, each at doses 0.1, 0.25 and 0.5. SRResNet of scale 1
# (1797 steps, doses 0.1 to 0.5): 0.01 to 0.19, the most where the input is noisiest. The low dose
# blurred by a Gaussian of 1.5 px: 0.39 to 0.52. The normal dose: -0.01 to 0.004.
MOST_SHARE = 0.25
# The same SRResNet: 3.6 to 8.4, and 11 on one slice, where it takes away half of an air bubble in
# the bowel. With one vessel (of 67) taken out of its output: 11 to 237, and 7.9 for one in the
# noisiest slice.
MOST_SPOT = 9.0


@dataclass(frozen=True)
class RemovedStructure:
    """The structure in what was removed from a slice; see `removed_structure`."""

    share: float | None  # of fine edges and vessels; 0: none, 1: all
    spot: float | None  # the strongest, in SDs of the noise that was removed around it
    row: int = 0  # where that spot is
    column: int = 0


def removed_structure(
    *, before: np.ndarray, after: np.ndarray, body: np.ndarray | None = None
) -> RemovedStructure:
    """The structure in before - after.

    before, after: input and output, (rows, columns) HU of any real dtype, unclipped or clipped
    alike. body: bool, the same shape; else it is found in the output.

    share: with F what is finer than a Gaussian of 2 px, and sums over the edges and vessels of the
    output (slope above 60 HU/px, body without its rim), the share is sum F(before - after) F(after)
    / sum F(before) F(after). It is the part of the input's fine structure that did not reach the
    output: 0 where noise alone was removed, since noise does not follow the edges; about 0.4 to 0.5
    after a Gaussian blur of 1.5 px; negative where edges were sharpened. None with fewer than 500
    such pixels.
    spot: the largest |G(before - after)| in the body, G a Gaussian of 2 px, in units of its SD
    around that place (noise, and edges that are up to 0.15 px off). Noise alone gives 3 to 4.6.
    None without a body. Raises ValueError for NaN or unequal shapes.
    """
    before, after = (np.asarray(image, np.float32) for image in (before, after))
    if before.shape != after.shape:
        raise ValueError(f"an input of {before.shape} beside an output of {after.shape}")
    if not np.isfinite(before).all() or not np.isfinite(after).all():
        raise ValueError("input or output holds NaN or infinity")
    body = body_mask(after) if body is None else body
    inner = ndimage.binary_erosion(body, iterations=RIM_PX)
    if not inner.any():
        return RemovedStructure(None, None)
    slope = ndimage.gaussian_gradient_magnitude(after, SLOPE_PX)
    share = _share(before, after, inner & (slope > STEEP_HU_PER_PX))
    smooth = ndimage.gaussian_filter(before - after, SPOT_PX)
    noise = _local_power(smooth, inner)
    z = np.abs(smooth) / np.sqrt(noise + (EDGE_PX * slope) ** 2 + LEAST_SD_HU**2)
    z[~inner] = 0
    row, column = np.unravel_index(z.argmax(), z.shape)
    return RemovedStructure(share, float(z[row, column]), int(row), int(column))


def _share(before: np.ndarray, after: np.ndarray, steep: np.ndarray) -> float | None:
    if np.count_nonzero(steep) < FEWEST_PIXELS:
        return None
    fine_before, fine_after = (
        (image - ndimage.gaussian_filter(image, FINE_PX))[steep].astype(np.float64)
        for image in (before, after)
    )
    whole = float((fine_before * fine_after).sum())
    return 1.0 - float((fine_after**2).sum()) / whole if whole > 0 else None


def _local_power(image: np.ndarray, inner: np.ndarray) -> np.ndarray:
    """The mean square of the image around each pixel of the mask, in which spots weigh little."""
    few = (slice(None, None, STEP_PX), slice(None, None, STEP_PX))
    power, weight = np.where(inner, image, 0)[few] ** 2, inner[few].astype(np.float32)

    def local(values: np.ndarray) -> np.ndarray:
        return ndimage.gaussian_filter(values, LOCAL_PX / STEP_PX)

    around = np.maximum(local(weight), 1e-3)
    found = local(power) / around
    for _ in range(ROUNDS):
        found = local(np.minimum(power, CLIPPED * found)) / around / KEPT
    rows, columns = image.shape
    return found.repeat(STEP_PX, 0)[:rows].repeat(STEP_PX, 1)[:, :columns]
