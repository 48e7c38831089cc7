"""How sharp an image is: the task transfer function of a disc, and the rise of edges in slices."""

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


# ---- the rise of edges in slices ----

LUNG_BELOW_HU = -600.0
TISSUE_HU = (-150.0, 150.0)
EVEN_HU = 150.0  # of either side: a vessel, a rib or the next edge is no side
SMOOTH_PX = 1.5
STEEP_HU = 60.0  # a px
SIDE_PX, LENGTH_PX = 4.0, 8.0  # sides lie between these, the profile within the latter
FEWEST_EDGES = 100
RISE = (0.2, 0.8)  # 10 to 90 % hangs more on what lies beside an edge
_ALONG = np.arange(-LENGTH_PX, LENGTH_PX + 0.125, 0.25)


@dataclass(frozen=True)
class Edges:
    """Places of a slice at which lung meets soft tissue, and the way into the tissue."""

    place: np.ndarray  # (2, n) row and column
    towards: np.ndarray  # (2, n), of length 1
    pixel_mm: float

    def lines(self) -> np.ndarray:
        """Rows and columns of the profiles across the edges: (2, n, points)."""
        return self.place[:, :, None] + self.towards[:, :, None] * _ALONG


def edges_of(reference: np.ndarray, body: np.ndarray, *, pixel_mm: float) -> Edges | None:
    """Where lung meets soft tissue in a normal dose; None at fewer than 100 places.

    reference: (rows, columns) HU; body: bool, the same shape. An edge is a pixel of steepest slope
    (of the slice smoothed by 1.5 px) whose sides, 4 to 8 px away, are lung and soft tissue and even
    within 150 HU. Nothing within 8 px of the body's rim: where padding cuts the body, it is no edge
    of the scanner's making.
    """
    reference = np.asarray(reference, np.float64)
    slope = [ndimage.gaussian_filter(reference, SMOOTH_PX, order=o) for o in ((1, 0), (0, 1))]
    steep = np.hypot(*slope)
    inside = np.pad(body, 1)  # a body that reaches the border has its rim there
    inside = ndimage.binary_erosion(inside, iterations=round(LENGTH_PX))[1:-1, 1:-1]
    found = inside & (steep > STEEP_HU)
    place = np.array(np.nonzero(found), float)
    here = steep[found]
    towards = np.array([of_axis[found] for of_axis in slope]) / here
    before, after = (
        ndimage.map_coordinates(steep, place + way * towards, order=1) for way in (-1, 1)
    )
    top = (here >= before) & (here > after)
    peak = (before - after) / np.where(top, before - 2 * here + after, 1) / 2  # of a parabola
    edges = Edges((place + towards * peak)[:, top], towards[:, top], pixel_mm)
    smooth = ndimage.gaussian_filter(reference, SMOOTH_PX)
    profiles = ndimage.map_coordinates(smooth, edges.lines(), order=1)
    lung, tissue = profiles[:, _ALONG <= -SIDE_PX], profiles[:, _ALONG >= SIDE_PX]
    clean = (lung.max(1) < LUNG_BELOW_HU) & (np.ptp(lung, 1) < EVEN_HU)
    clean &= (tissue.min(1) > TISSUE_HU[0]) & (tissue.max(1) < TISSUE_HU[1])
    clean &= np.ptp(tissue, 1) < EVEN_HU
    if np.count_nonzero(clean) < FEWEST_EDGES:
        return None
    return Edges(edges.place[:, clean], edges.towards[:, clean], pixel_mm)


def rise_mm(image: np.ndarray, edges: Edges) -> float | None:
    """How far an image takes from 20 to 80 % of the mean edge, in mm: 1.68 SD of a Gaussian blur.

    image: (rows, columns) HU, of the normal dose's shape: every output is read at the same places.
    The profiles' mean, in which noise averages out: 60 HU of it moved 105 real slices by 5 % at
    most. Edges that lie now here, now there are wide in the mean. None where the mean does not rise
    through both. Raises ValueError for NaN.
    """
    image = np.asarray(image, np.float64)
    if np.isnan(image).any():
        raise ValueError("the rise of edges cannot be measured with NaN")
    profile = ndimage.map_coordinates(image, edges.lines(), order=3, mode="nearest").mean(0)
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
