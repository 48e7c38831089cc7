"""Sharpness of slices: how fast lung edges rise, and how wide small vessels are.

Edges and vessels are found in the normal dose once. Every output is then read along the same lines.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

SMOOTH_PX = 1.5  # Gaussian SD of the slice in which edges and vessels are searched
LENGTH_PX = 8.0  # half the length of a profile
_ALONG_PX = np.arange(-LENGTH_PX, LENGTH_PX + 0.125, 0.25)

LUNG_BELOW_HU = -600.0
TISSUE_HU = (-150.0, 150.0)
EVEN_HU = 150.0  # range of HU within one side of an edge; a vessel, rib or second edge exceeds it
STEEP_HU_PER_PX = 60.0
SIDE_PX = 4.0  # the sides of an edge begin this far away from it
FEWEST_EDGES = 100
RISE = (0.2, 0.8)  # 10 to 90 % would depend more on the tissue beside the edge

CURVED_HU_PER_PX2 = 20.0  # across the vessel
LONG = 0.3  # the curvature along a vessel is at most this share of the one across
BESIDE_HU = -650.0  # the lung beside a vessel is darker
BESIDE_EVEN_HU = 200.0
BESIDE_PX = 5.0
BACKGROUND_PX = 6.0  # further out than BESIDE_PX, because a blurred vessel is wider
CONTRAST_HU = 100.0  # in the smoothed slice
FEWEST_VESSELS = 50
LEAST_HU = 20.0  # a vessel with less contrast has no width
LUNG_CLOSED_PX, LUNG_RIM_PX = 6, 9


@dataclass(frozen=True)
class ProfileLines:
    """Lines across the edges or vessels of a slice, along which profiles are read."""

    centre_px: np.ndarray  # (2, n) row and column
    direction: np.ndarray  # (2, n) unit vectors, out of the lung or across the vessel
    pixel_mm: float

    def profiles(self, image: np.ndarray, order: int = 3) -> np.ndarray:
        """(n, points) HU every quarter of a pixel, interpolated by splines of `order`."""
        lines = self.centre_px[:, :, None] + self.direction[:, :, None] * _ALONG_PX
        return ndimage.map_coordinates(image, lines, order=order, mode="nearest")

    def select(self, wanted: np.ndarray, fewest: int) -> "ProfileLines | None":
        """The lines of a bool mask (n,); None where it has fewer than `fewest`."""
        if np.count_nonzero(wanted) < fewest:
            return None
        return ProfileLines(self.centre_px[:, wanted], self.direction[:, wanted], self.pixel_mm)

    def mean_profile(self, image: np.ndarray) -> np.ndarray:
        """The mean of all profiles, in which noise averages out. Raises ValueError for NaN."""
        image = np.asarray(image, np.float64)
        if np.isnan(image).any():
            raise ValueError("a profile cannot be measured with NaN")
        return self.profiles(image).mean(0)


def _crests(
    height: np.ndarray, candidates: np.ndarray, direction: np.ndarray, pixel_mm: float
) -> ProfileLines:
    """Lines through the points where `height` is largest along its direction, to subpixels.

    height: (rows, columns). candidates: (rows, columns) bool. direction: (2, rows, columns) unit
    vectors.
    """
    centre = np.array(np.nonzero(candidates), float)
    direction, here = direction[:, candidates], height[candidates]
    before, after = (
        ndimage.map_coordinates(height, centre + sign * direction, order=1) for sign in (-1, 1)
    )
    top = (here >= before) & (here > after)
    # The vertex of a parabola through the three heights.
    peak = (before - after) / np.where(top, before - 2 * here + after, 1) / 2
    return ProfileLines((centre + direction * peak)[:, top], direction[:, top], pixel_mm)


def find_edges(reference: np.ndarray, body: np.ndarray, *, pixel_mm: float) -> ProfileLines | None:
    """Lines across the edges between lung and soft tissue; None where there are fewer than 100.

    reference: (rows, columns) HU, the normal dose. body: bool, the same shape. An edge is a pixel
    of steepest slope (in the slice smoothed by 1.5 px) whose two sides, 4 to 8 px away, are lung
    and soft tissue and even within 150 HU. Pixels within 8 px of the body's rim are left out: where
    padding cuts the body, the edge was not made by the scanner.
    """
    reference = np.asarray(reference, np.float64)
    slope = np.array([ndimage.gaussian_filter(reference, SMOOTH_PX, o) for o in ((1, 0), (0, 1))])
    steepness = np.hypot(*slope)
    inside = np.pad(body, 1)  # a body that reaches the border of the slice has its rim there
    inside = ndimage.binary_erosion(inside, iterations=round(LENGTH_PX))[1:-1, 1:-1]
    steep = inside & (steepness > STEEP_HU_PER_PX)
    edges = _crests(steepness, steep, slope / np.where(steep, steepness, 1), pixel_mm)
    profiles = edges.profiles(ndimage.gaussian_filter(reference, SMOOTH_PX), order=1)
    lung, tissue = profiles[:, _ALONG_PX <= -SIDE_PX], profiles[:, _ALONG_PX >= SIDE_PX]
    clean = (lung.max(1) < LUNG_BELOW_HU) & (np.ptp(lung, 1) < EVEN_HU)
    clean &= (tissue.min(1) > TISSUE_HU[0]) & (tissue.max(1) < TISSUE_HU[1])
    return edges.select(clean & (np.ptp(tissue, 1) < EVEN_HU), FEWEST_EDGES)


def edge_rise_mm(image: np.ndarray, edges: ProfileLines) -> float | None:
    """Distance in mm over which the mean edge rises from 20 to 80 %.

    It is 1.68 SD of a Gaussian blur. image: (rows, columns) HU, of the shape of the normal dose.
    Noise averages out in the mean of the profiles: 60 HU changed the result by 5 % at most on 105
    real slices. Edges that jitter about their place are wide in the mean. None where the mean does
    not rise through both levels. Raises ValueError for NaN.
    """
    profile = edges.mean_profile(image)
    lung, tissue = (profile[side].mean() for side in (_ALONG_PX <= -SIDE_PX, _ALONG_PX >= SIDE_PX))
    share = (profile - lung) / (tissue - lung) if tissue > lung else np.zeros_like(profile)
    low, high = (_crossing_px(share, level) for level in RISE)
    return None if low is None or high is None else (high - low) * edges.pixel_mm


def _crossing_px(share: np.ndarray, level: float) -> float | None:
    """Where a profile rises through a level: the crossing nearest to the middle."""
    below = np.flatnonzero((share[:-1] < level) & (share[1:] >= level))
    if not len(below):
        return None
    at = below[np.abs(_ALONG_PX[below]).argmin()]
    return float(np.interp(level, share[at : at + 2], _ALONG_PX[at : at + 2]))


def find_vessels(
    reference: np.ndarray, lung: np.ndarray, *, pixel_mm: float
) -> ProfileLines | None:
    """Lines across small vessels in the lung; None where there are fewer than 50.

    reference: (rows, columns) HU, the normal dose. lung: bool, the same shape. A vessel is a crest
    of the slice smoothed by 1.5 px, at least 9 px from the lung's rim, with dark and even lung 5 to
    8 px beside it. This selects vessels that are 2 to 4 px wide.
    """
    reference = np.asarray(reference, np.float64)
    orders = ((2, 0), (0, 2), (1, 1))
    rows, columns, mixed = (ndimage.gaussian_filter(reference, SMOOTH_PX, o) for o in orders)
    middle, root = (rows + columns) / 2, np.hypot((rows - columns) / 2, mixed)
    angle = np.arctan2(2 * mixed, rows - columns) / 2 + np.pi / 2  # of the strongest curvature
    inside = ndimage.binary_closing(lung, iterations=LUNG_CLOSED_PX)  # includes the vessels
    inside = ndimage.binary_erosion(ndimage.binary_fill_holes(inside), iterations=LUNG_RIM_PX)
    curvature = root - middle
    curved = inside & (curvature > CURVED_HU_PER_PX2)
    curved &= np.abs(middle + root) < LONG * curvature
    vessels = _crests(curvature, curved, np.array([np.cos(angle), np.sin(angle)]), pixel_mm)
    profiles = vessels.profiles(ndimage.gaussian_filter(reference, SMOOTH_PX), order=1)
    beside = profiles[:, np.abs(_ALONG_PX) >= BESIDE_PX]
    clean = (beside.max(1) < BESIDE_HU) & (np.ptp(beside, 1) < BESIDE_EVEN_HU)
    clean &= profiles[:, _ALONG_PX == 0][:, 0] - beside.mean(1) > CONTRAST_HU
    return vessels.select(clean, FEWEST_VESSELS)


def vessel_width_mm(image: np.ndarray, vessels: ProfileLines) -> float | None:
    """Full width at half maximum of the mean vessel, in mm: 2.355 SD of a Gaussian.

    image: (rows, columns) HU, of the shape of the normal dose. The profile is the mean over all
    vessels and both sides; its background is read 6 to 8 px away. None where less than 20 HU of
    contrast are left, or where the mean does not fall to a half. Raises ValueError for NaN.
    """
    profile = vessels.mean_profile(image)
    half = (profile + profile[::-1])[_ALONG_PX >= 0] / 2  # from the middle outwards
    along = _ALONG_PX[_ALONG_PX >= 0]
    height = half - half[along >= BACKGROUND_PX].mean()
    below = np.flatnonzero(height < height[0] / 2)
    if height[0] < LEAST_HU or not len(below):
        return None
    ends = [below[0], below[0] - 1]
    return 2 * float(np.interp(height[0] / 2, height[ends], along[ends])) * vessels.pixel_mm
