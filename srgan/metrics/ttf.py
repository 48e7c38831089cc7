"""Task transfer function (TTF): how much of a disc's contrast an image keeps at each frequency."""

from dataclasses import dataclass

import numpy as np

REACH_PX = 12.0  # the edge profile reaches this far inwards and outwards
# Hann's taper, but flat in the middle. A taper over the whole reach narrows a wide edge: the TTF50
# of a Gaussian edge of 2 px came out 7 % too high, against 0.1 % with the middle 6 px left flat.
FLAT_PX = 6.0
BINS_PER_PX = 10
FREQUENCIES = 128  # from 0 to the Nyquist frequency of the pixels
MAX_OFFSET_PX = 3.0  # a centroid further from the expected centre does not belong to the disc
CENTROID_STEPS = 3  # a centre that is off by half a pixel lowers the TTF by 8 %


@dataclass(frozen=True)
class Ttf:
    """A task transfer function: 1 at frequency zero."""

    frequency: np.ndarray  # (n,) 1/mm, from 0 to Nyquist
    curve: np.ndarray  # (n,), NaN where no disc was found


@dataclass(frozen=True)
class Discs:
    """The TTF of each method, measured with one disc contrast at one noise level."""

    ttf: dict[str, Ttf]  # by method
    contrast_hu: float
    noise_sd_hu: float  # of the low dose, in the disc and around it
    slices: int  # number of slices that each TTF averages
    pixel_mm: float

    def as_json(self) -> dict:
        """The entry in summary.json, without the curves."""
        return {
            "contrast_hu": self.contrast_hu,
            "noise_sd_hu": self.noise_sd_hu,
            "slices": self.slices,
            "pixel_mm": self.pixel_mm,
            "ttf50_per_mm": {name: ttf50(ttf) for name, ttf in self.ttf.items()},
        }


def disc_ttf(
    images: np.ndarray, *, pixel_mm: float, centre_px: tuple[float, float], radius_px: float
) -> Ttf:
    """The TTF of a disc: |FFT| of the derivative of its radial edge profile, over its value at 0.

    Method: S. Richard et al., Med. Phys. 39 (2012) 4115, with bins of px/10 within 12 px of the
    edge.

    images: (rows, columns) or (slices, rows, columns) HU with one disc on an even background.
    Several slices are averaged first, because noise raises the curve of a single slice.
    centre_px: row and column of the disc, right to 3 px. radius_px: at least 12. The curve is NaN
    where no disc is found. Raises ValueError for NaN, or where such a disc does not fit.
    """
    image = np.asarray(images, np.float64)
    image = image.mean(0) if image.ndim == 3 else image
    room = min(*centre_px, image.shape[0] - 1 - centre_px[0], image.shape[1] - 1 - centre_px[1])
    if np.isnan(image).any() or radius_px < REACH_PX or room < radius_px + REACH_PX:
        raise ValueError("a TTF needs a disc of 12 px or more, 12 px from the border, and no NaN")
    centre = _centroid(image, np.array(centre_px, float), radius_px + REACH_PX)
    if centre is None:
        return Ttf(_frequencies(pixel_mm), np.full(FREQUENCIES, np.nan))
    rows, columns = np.indices(image.shape)
    distance = np.hypot(rows - centre[0], columns - centre[1]) - radius_px
    return _edge_ttf(image, distance, pixel_mm)


def _centroid(image: np.ndarray, expected_px: np.ndarray, reach_px: float) -> np.ndarray | None:
    """Row and column of the disc's centroid; None where it is not near the expected centre."""
    rows, columns = np.indices(image.shape)
    centre = expected_px
    for _ in range(CENTROID_STEPS):
        distance = np.hypot(rows - centre[0], columns - centre[1])
        background = np.median(image[(distance > reach_px - REACH_PX / 2) & (distance < reach_px)])
        weight = (image - background) * (distance < reach_px)
        total = weight.sum() or np.nan  # zero for a constant image
        centre = np.array([(weight * rows).sum(), (weight * columns).sum()]) / total
        if not np.hypot(*(centre - expected_px)) < MAX_OFFSET_PX:
            return None
    return centre


def _edge_ttf(image: np.ndarray, distance: np.ndarray, pixel_mm: float) -> Ttf:
    """distance: of each pixel from the edge of the disc, in px, positive outside."""
    close = np.abs(distance) < REACH_PX
    n = round(2 * REACH_PX * BINS_PER_PX)
    index = ((distance[close] + REACH_PX) * BINS_PER_PX).astype(int)
    count, total_hu, total_px = (
        np.bincount(index, weights, n) for weights in (None, image[close], distance[close])
    )
    filled = count > 0
    bin_px = (np.arange(n) + 0.5) / BINS_PER_PX - REACH_PX
    mean_px, mean_hu = (total[filled] / count[filled] for total in (total_px, total_hu))
    edge_spread = np.interp(bin_px, mean_px, mean_hu)
    x = bin_px[1:] - 0.5 / BINS_PER_PX
    taper = np.clip((np.abs(x) - FLAT_PX) / (REACH_PX - FLAT_PX), 0, 1)
    line_spread = np.diff(edge_spread) * np.cos(np.pi / 2 * taper) ** 2
    frequency = _frequencies(pixel_mm)
    spectrum = np.abs(np.exp(-2j * np.pi * pixel_mm * np.outer(frequency, x)) @ line_spread)
    return Ttf(frequency, spectrum / spectrum[0])


def _frequencies(pixel_mm: float) -> np.ndarray:
    return np.linspace(0, 0.5 / pixel_mm, FREQUENCIES)


def ttf50(ttf: Ttf) -> float | None:
    """The frequency in 1/mm where a TTF first falls to a half; None where it never does."""
    below = np.flatnonzero(ttf.curve < 0.5)
    if not len(below):
        return None
    ends = [below[0], below[0] - 1]
    return float(np.interp(0.5, ttf.curve[ends], ttf.frequency[ends]))
