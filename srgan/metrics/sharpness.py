"""How sharp an image is: the task transfer function of a disc; edges and vessels of slices."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

# ---- the task transfer function of a disc ----

REACH_PX = 12.0  # of the edge's profile, inwards and outwards
# Hann's taper, but flat in the middle: over the whole reach it narrows a wide edge, and TTF50 of a
# Gaussian edge of 2 px read 7 % too high, flat within 6 px 0.1 %.
FLAT_PX = 6.0
BINS_A_PX = 10
FREQUENCIES = 128  # from 0 to the pixels' Nyquist frequency
ASTRAY_PX = 3.0  # a centroid this far from where the disc was drawn is no disc's


@dataclass(frozen=True)
class Ttf:
    """What is left of the contrast at each frequency: 1 at zero."""

    frequency: np.ndarray  # (n,) 1/mm, from 0 to Nyquist
    curve: np.ndarray  # (n,), NaN where no disc was seen


@dataclass(frozen=True)
class Discs:
    """TTFs by name, which hold for one contrast and one noise alone."""

    ttf: dict[str, Ttf]
    contrast_hu: float
    noise_sd_hu: float  # of the low dose, in the disc and around it
    slices: int  # that each TTF is the mean of
    pixel_mm: float

    def remark(self) -> str:
        return (
            f"TTF of a disc of {self.contrast_hu:g} HU on soft tissue, mean of {self.slices} "
            f"slices with {self.noise_sd_hu:.1f} HU of noise in the low dose and pixels of "
            f"{self.pixel_mm:.3g} mm: it holds for this contrast and this noise alone."
        )

    def as_json(self) -> dict:
        """For summary.json, without the curves."""
        return {
            "contrast_hu": self.contrast_hu,
            "noise_sd_hu": self.noise_sd_hu,
            "slices": self.slices,
            "pixel_mm": self.pixel_mm,
            "ttf50_per_mm": {name: ttf50(of) for name, of in self.ttf.items()},
        }


def ttf(
    images: np.ndarray, *, pixel_mm: float, centre_px: tuple[float, float], radius_px: float
) -> Ttf:
    """The task transfer function of a disc, |FFT| of its radial edge's derivative over that at 0.

    images: (rows, columns) or (slices, rows, columns) HU, one disc on an even ground; several
    slices are averaged first, as noise lifts the curve of a single one. centre_px: row and column,
    to 3 px; radius_px: at least 12. Bins of px/10 within 12 px of the edge (Richard et al., Med
    Phys 39 (2012) 4115). NaN where no disc is seen. Raises ValueError for NaN or where a disc of
    that size does not fit.
    """
    image = np.asarray(images, np.float64)
    image = image.mean(0) if image.ndim == 3 else image
    rows, columns = np.indices(image.shape)
    near = radius_px + REACH_PX
    room = min(*centre_px, image.shape[0] - 1 - centre_px[0], image.shape[1] - 1 - centre_px[1])
    if np.isnan(image).any() or radius_px < REACH_PX or room < near:
        raise ValueError("a TTF needs a disc of 12 px or more, 12 px from the border, and no NaN")
    centre = np.array(centre_px, float)
    for _ in range(3):  # half a pixel off the centre costs 8 %
        distance = np.hypot(rows - centre[0], columns - centre[1])
        ground = np.median(image[(distance > near - REACH_PX / 2) & (distance < near)])
        weight = (image - ground) * (distance < near)
        total = weight.sum() or np.nan  # of a constant image
        centre = np.array([(weight * rows).sum(), (weight * columns).sum()]) / total
        if not np.hypot(*(centre - centre_px)) < ASTRAY_PX:
            return Ttf(_frequencies(pixel_mm), np.full(FREQUENCIES, np.nan))
    distance = np.hypot(rows - centre[0], columns - centre[1]) - radius_px
    return _of_edge(image, distance, pixel_mm)


def _of_edge(image: np.ndarray, distance: np.ndarray, pixel_mm: float) -> Ttf:
    """distance: of each pixel from the edge, in px."""
    close = np.abs(distance) < REACH_PX
    n = round(2 * REACH_PX * BINS_A_PX)
    index = ((distance[close] + REACH_PX) * BINS_A_PX).astype(int)
    count, total, place = (
        np.bincount(index, weights, n) for weights in (None, image[close], distance[close])
    )
    full = count > 0
    middles = (np.arange(n) + 0.5) / BINS_A_PX - REACH_PX
    edge = np.interp(middles, place[full] / count[full], total[full] / count[full])
    x = middles[1:] - 0.5 / BINS_A_PX
    taper = np.clip((np.abs(x) - FLAT_PX) / (REACH_PX - FLAT_PX), 0, 1)
    line = np.diff(edge) * np.cos(np.pi / 2 * taper) ** 2
    frequency = _frequencies(pixel_mm)
    spectrum = np.abs(np.exp(-2j * np.pi * pixel_mm * np.outer(frequency, x)) @ line)
    return Ttf(frequency, spectrum / spectrum[0])


def _frequencies(pixel_mm: float) -> np.ndarray:
    return np.linspace(0, 0.5 / pixel_mm, FREQUENCIES)


def ttf50(found: Ttf) -> float | None:
    """1/mm where a TTF first falls to a half; None where it never does."""
    below = np.flatnonzero(found.curve < 0.5)
    if not len(below):
        return None
    ends = [below[0], below[0] - 1]
    return float(np.interp(0.5, found.curve[ends], found.frequency[ends]))


# ---- profiles across edges and vessels of slices ----

SMOOTH_PX = 1.5  # of the slice in which they are looked for
LENGTH_PX = 8.0  # of a profile, to either side
_ALONG = np.arange(-LENGTH_PX, LENGTH_PX + 0.125, 0.25)


@dataclass(frozen=True)
class Places:
    """Places of a slice, and the way across what lies there: out of lung, or across a vessel."""

    place: np.ndarray  # (2, n) row and column
    across: np.ndarray  # (2, n), of length 1
    pixel_mm: float

    def profiles(self, image: np.ndarray, order: int = 3) -> np.ndarray:
        """(n, points) HU every quarter of a pixel, by splines of an order."""
        lines = self.place[:, :, None] + self.across[:, :, None] * _ALONG
        return ndimage.map_coordinates(image, lines, order=order, mode="nearest")

    def chosen(self, which: np.ndarray, fewest: int) -> "Places | None":
        """Those of a bool mask (n,); None where they are too few."""
        if np.count_nonzero(which) < fewest:
            return None
        return Places(self.place[:, which], self.across[:, which], self.pixel_mm)


def _crests(height: np.ndarray, among: np.ndarray, across: np.ndarray, pixel_mm: float) -> Places:
    """Where a height is largest along a way, to a fraction of a pixel.

    among: (rows, columns) bool; across: (2, rows, columns), of length 1.
    """
    place, across, here = np.array(np.nonzero(among), float), across[:, among], height[among]
    before, after = (
        ndimage.map_coordinates(height, place + way * across, order=1) for way in (-1, 1)
    )
    top = (here >= before) & (here > after)
    peak = (before - after) / np.where(top, before - 2 * here + after, 1) / 2  # of a parabola
    return Places((place + across * peak)[:, top], across[:, top], pixel_mm)


def _mean_profile(image: np.ndarray, places: Places) -> np.ndarray:
    """In which noise averages out. Raises ValueError for NaN."""
    image = np.asarray(image, np.float64)
    if np.isnan(image).any():
        raise ValueError("a profile cannot be measured with NaN")
    return places.profiles(image).mean(0)


# ---- the rise of edges ----

LUNG_BELOW_HU = -600.0
TISSUE_HU = (-150.0, 150.0)
EVEN_HU = 150.0  # of either side: a vessel, a rib or the next edge is no side
STEEP_HU = 60.0  # a px
SIDE_PX = 4.0  # sides lie this far away and further
FEWEST_EDGES = 100
RISE = (0.2, 0.8)  # 10 to 90 % hangs more on what lies beside an edge


def edges_of(reference: np.ndarray, body: np.ndarray, *, pixel_mm: float) -> Places | None:
    """Where lung meets soft tissue in a normal dose; None at fewer than 100 places.

    reference: (rows, columns) HU; body: bool, the same shape. An edge is a pixel of steepest slope
    (of the slice smoothed by 1.5 px) whose sides, 4 to 8 px away, are lung and soft tissue and even
    within 150 HU. Nothing within 8 px of the body's rim: where padding cuts the body, it is no edge
    of the scanner's making.
    """
    reference = np.asarray(reference, np.float64)
    slope = np.array([ndimage.gaussian_filter(reference, SMOOTH_PX, o) for o in ((1, 0), (0, 1))])
    steep = np.hypot(*slope)
    inside = np.pad(body, 1)  # a body that reaches the border has its rim there
    inside = ndimage.binary_erosion(inside, iterations=round(LENGTH_PX))[1:-1, 1:-1]
    found = inside & (steep > STEEP_HU)
    edges = _crests(steep, found, slope / np.where(found, steep, 1), pixel_mm)
    profiles = edges.profiles(ndimage.gaussian_filter(reference, SMOOTH_PX), order=1)
    lung, tissue = profiles[:, _ALONG <= -SIDE_PX], profiles[:, _ALONG >= SIDE_PX]
    clean = (lung.max(1) < LUNG_BELOW_HU) & (np.ptp(lung, 1) < EVEN_HU)
    clean &= (tissue.min(1) > TISSUE_HU[0]) & (tissue.max(1) < TISSUE_HU[1])
    return edges.chosen(clean & (np.ptp(tissue, 1) < EVEN_HU), FEWEST_EDGES)


def rise_mm(image: np.ndarray, edges: Places) -> float | None:
    """How far an image takes from 20 to 80 % of the mean edge, in mm: 1.68 SD of a Gaussian blur.

    image: (rows, columns) HU, of the normal dose's shape: every output is read at the same places.
    The profiles' mean, in which noise averages out: 60 HU of it moved 105 real slices by 5 % at
    most. Edges that lie now here, now there are wide in the mean. None where the mean does not rise
    through both. Raises ValueError for NaN.
    """
    profile = _mean_profile(image, edges)
    lung, tissue = (profile[side].mean() for side in (_ALONG <= -SIDE_PX, _ALONG >= SIDE_PX))
    share = (profile - lung) / (tissue - lung) if tissue > lung else np.zeros_like(profile)
    low, high = (_crossing(share, level) for level in RISE)
    return None if low is None or high is None else (high - low) * edges.pixel_mm


def _crossing(share: np.ndarray, level: float) -> float | None:
    """Where a profile rises through a level, in px; the place nearest the middle."""
    below = np.flatnonzero((share[:-1] < level) & (share[1:] >= level))
    if not len(below):
        return None
    at = below[np.abs(_ALONG[below]).argmin()]
    return float(np.interp(level, share[at : at + 2], _ALONG[at : at + 2]))


# ---- the width of vessels ----

CURVED_HU = 20.0  # a px^2, across
LONG = 0.3  # the curvature along a vessel is at most this share of that across
BESIDE_HU = -650.0  # what lies beside a vessel is darker
BESIDE_EVEN_HU = 200.0
BESIDE_PX = 5.0
GROUND_PX = 6.0  # a blurred vessel reaches further than a sharp one
CONTRAST_HU = 100.0  # of the smoothed slice
FEWEST_VESSELS = 50
LEAST_HU = 20.0  # less contrast than this has no width
LUNG_CLOSED_PX, LUNG_RIM_PX = 6, 9


def vessels_of(reference: np.ndarray, lung: np.ndarray, *, pixel_mm: float) -> Places | None:
    """Where small vessels lie across lung in a normal dose; None at fewer than 50 places.

    reference: (rows, columns) HU; lung: bool, the same shape. A vessel is a crest of the slice
    smoothed by 1.5 px, at least 9 px from the lung's rim, with dark and even lung beside it, 5 to
    8 px away: one that is 2 to 4 px wide.
    """
    reference = np.asarray(reference, np.float64)
    orders = ((2, 0), (0, 2), (1, 1))
    rows, columns, mixed = (ndimage.gaussian_filter(reference, SMOOTH_PX, o) for o in orders)
    middle, root = (rows + columns) / 2, np.hypot((rows - columns) / 2, mixed)
    angle = np.arctan2(2 * mixed, rows - columns) / 2 + np.pi / 2  # of the strongest curvature
    inside = ndimage.binary_closing(lung, iterations=LUNG_CLOSED_PX)  # with the vessels in it
    inside = ndimage.binary_erosion(ndimage.binary_fill_holes(inside), iterations=LUNG_RIM_PX)
    sharp = root - middle
    found = inside & (sharp > CURVED_HU) & (np.abs(middle + root) < LONG * sharp)
    vessels = _crests(sharp, found, np.array([np.cos(angle), np.sin(angle)]), pixel_mm)
    profiles = vessels.profiles(ndimage.gaussian_filter(reference, SMOOTH_PX), order=1)
    beside = profiles[:, np.abs(_ALONG) >= BESIDE_PX]
    clean = (beside.max(1) < BESIDE_HU) & (np.ptp(beside, 1) < BESIDE_EVEN_HU)
    clean &= profiles[:, _ALONG == 0][:, 0] - beside.mean(1) > CONTRAST_HU
    return vessels.chosen(clean, FEWEST_VESSELS)


def width_mm(image: np.ndarray, vessels: Places) -> float | None:
    """Full width at half maximum of an image's mean vessel, in mm: of a Gaussian 2.355 SD.

    image: (rows, columns) HU, of the normal dose's shape: every output is read at the same places.
    The profile is the mean of all and of both sides; its ground lies 6 to 8 px away. None where
    under 20 HU of contrast are left, or the mean does not fall to a half. Raises ValueError for
    NaN.
    """
    profile = _mean_profile(image, vessels)
    half = (profile + profile[::-1])[_ALONG >= 0] / 2  # from the middle outwards
    along = _ALONG[_ALONG >= 0]
    height = half - half[along >= GROUND_PX].mean()
    below = np.flatnonzero(height < height[0] / 2)
    if height[0] < LEAST_HU or not len(below):
        return None
    ends = [below[0], below[0] - 1]
    return 2 * float(np.interp(height[0] / 2, height[ends], along[ends])) * vessels.pixel_mm
