"""Noise in an image: its SD, and its noise power spectrum (NPS) over frequency."""

import math
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from srgan.lowdose.estimate_photons import SMOOTH_PX, SOFT_TISSUE_HU

TEXTURE_SIGMA_PX = 2.0  # coarser structure is anatomy
BOX = 32  # pixels across, of the boxes in soft tissue; hardly one of 64 fits into a chest
STEP = 8  # pixels from box to box
FEWEST_BOXES = 4  # boxes overlap
# The frequencies in summary.json, 1/mm. They are the same for all pixel sizes, so that spectra can
# be averaged over patients.
PER_MM = tuple(f"{0.025 * i:.3f}" for i in range(1, 41))

Power = dict[str, float | None]  # HU^2 mm^2 by frequency; None beyond Nyquist, or without a box


class Spectrum(NamedTuple):
    """A radial noise power spectrum without its value at frequency zero."""

    frequency: np.ndarray  # (n,) 1/mm
    power: np.ndarray  # (n,) HU^2 mm^2
    sd_hu: float  # square root of the integral over the frequency plane

    @property
    def peak(self) -> float:
        """Frequency of the highest power, 1/mm, by a parabola through three bins.

        NaN where the highest bin is the first or the last.
        """
        top = int(self.power.argmax())
        if not 0 < top < len(self.power) - 1:
            return math.nan
        a, b, c = self.power[top - 1 : top + 2]
        step = self.frequency[1] - self.frequency[0]
        return float(self.frequency[top] + step * (a - c) / (a - 2 * b + c) / 2)

    @property
    def half(self) -> float:
        """Frequency above the peak where the power has halved, 1/mm; NaN where it never does."""
        top, half = int(self.power.argmax()), self.power.max() / 2
        below = np.flatnonzero(self.power[top:] < half)
        if not len(below):
            return math.nan
        ends = [top + below[0], top + below[0] - 1]
        return float(np.interp(half, self.power[ends], self.frequency[ends]))

    @property
    def mean(self) -> float:
        """Mean frequency over the plane up to Nyquist: sum f^2 S / sum f S, 1/mm."""
        f, s = self.frequency, self.power
        return float((f**2 * s).sum() / (f * s).sum())


def texture_sd_hu(image: np.ndarray, *, mask: np.ndarray) -> float:
    """SD in HU of (image - its Gaussian mean of 2 px) inside a mask: noise and fine structure.

    image: (rows, columns) HU. mask: bool, the same shape. Raises ValueError for NaN, infinity,
    unequal shapes or an empty mask.
    """
    image = np.asarray(image, np.float64)
    if image.shape != mask.shape or not mask.any() or not np.isfinite(image).all():
        raise ValueError("texture needs an image of finite HU and a mask of its shape, not empty")
    return float((image - ndimage.gaussian_filter(image, TEXTURE_SIGMA_PX))[mask].std())


def nps(
    noise: np.ndarray,
    *,
    pixel_mm: float,
    box: int = 64,
    mask: np.ndarray | None = None,
    places: list[tuple] | None = None,
    plane: bool = False,
) -> Spectrum:
    """Noise power spectrum: pixel_mm^2 / box^2 * mean |FFT(noise - mean)|^2 over boxes, by radius.

    noise: (..., rows, columns) HU of noise only, such as the difference of two repeated images over
    sqrt 2. The boxes overlap by half and lie inside the mask, (rows, columns) bool; or `places`
    gives them, from `boxes_in`. plane: subtract from each box its best plane instead of its mean.
    Raises ValueError for NaN, infinity or where no box fits.
    """
    noise = np.asarray(noise, np.float64)
    if places is None:
        inside = np.ones(noise.shape[-2:], bool) if mask is None else mask
        places = boxes_in(inside, box=box, step=box // 2)
    boxes = [noise[place] for place in places]
    if not boxes or not np.isfinite(boxes).all():
        raise ValueError(f"an NPS needs a box of {box} x {box} pixels of finite HU")
    boxes = np.reshape(boxes, (-1, box, box))
    boxes = _without_plane(boxes) if plane else boxes - boxes.mean((1, 2), keepdims=True)
    power = (np.abs(np.fft.fft2(boxes)) ** 2).mean(0) * (pixel_mm / box) ** 2
    k = np.fft.fftfreq(box, 1 / box)
    radius = np.rint(np.hypot(k, k[:, None])).astype(int).ravel()
    ring = np.bincount(radius, power.ravel()) / np.bincount(radius)
    frequency = np.arange(1, box // 2 + 1) / (box * pixel_mm)
    sd = math.sqrt(power.sum()) / (box * pixel_mm)
    return Spectrum(frequency, ring[1 : box // 2 + 1], sd)


def boxes_in(mask: np.ndarray, *, box: int, step: int) -> list[tuple]:
    """All squares of `box` pixels inside a (rows, columns) bool mask, as indices (..., r, c)."""
    starts = [range(0, n - box + 1, step) for n in mask.shape]
    places = [np.s_[..., r : r + box, c : c + box] for r in starts[0] for c in starts[1]]
    return [place for place in places if mask[place].all()]


def _without_plane(boxes: np.ndarray) -> np.ndarray:
    """(n, box, box), each minus the plane that fits it best."""
    ramp = np.arange(boxes.shape[-1]) - (boxes.shape[-1] - 1) / 2
    ramp /= np.sqrt((ramp**2).sum())
    rows, columns = boxes.mean(2) @ ramp, boxes.mean(1) @ ramp
    mean = boxes.mean((1, 2), keepdims=True)
    return boxes - mean - rows[:, None, None] * ramp[:, None] - columns[:, None, None] * ramp


def soft_tissue_boxes(reference: np.ndarray) -> list[tuple]:
    """Squares of 32 pixels in the soft tissue of a (rows, columns) HU slice.

    An empty list where there are fewer than four.
    """
    smooth = ndimage.gaussian_filter(np.clip(reference, -1024, 400), SMOOTH_PX)
    low, high = SOFT_TISSUE_HU
    soft = ndimage.binary_closing((smooth > low) & (smooth < high))
    places = boxes_in(soft, box=BOX, step=STEP)
    return places if len(places) >= FEWEST_BOXES else []


def power_in_boxes(image: np.ndarray, places: list[tuple], pixel_mm: float) -> Power:
    """NPS of a (rows, columns) HU slice in `soft_tissue_boxes`, at the frequencies PER_MM.

    It includes the anatomy that the boxes hold, in an output as in the normal dose.
    """
    if not places:
        return dict.fromkeys(PER_MM)
    spectrum = nps(image, pixel_mm=pixel_mm, box=BOX, places=places, plane=True)
    power = np.interp(np.array(PER_MM, float), spectrum.frequency, spectrum.power, np.nan, np.nan)
    return {f: None if np.isnan(p) else float(p) for f, p in zip(PER_MM, power, strict=True)}


def power_distance(output: Power, normal: Power) -> float | None:
    """Integral of |S_output - S_normal| over that of S_normal, in the plane up to Nyquist.

    0 for equal spectra, 1 for an output without power; None where nothing was measured.
    """
    known = [f for f, power in normal.items() if power is not None]
    difference = sum(float(f) * abs(output[f] - normal[f]) for f in known)
    total = sum(float(f) * normal[f] for f in known)
    return difference / total if total else None
