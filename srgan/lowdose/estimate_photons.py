"""Whose dose? The photon count at which the modelled noise is that of the slice itself.

The noise of a slice is looked at through a high-pass filter in flat soft tissue; the model's noise
goes through the same filter in closed form, so the filter's gain cancels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.special import erf

from srgan.lowdose import projection_noise
from srgan.lowdose.scanner import REFERENCE_MM, Scanner

DEFAULT_PHOTONS = 3e5  # where nothing can be estimated
FEWEST, MOST = 1e4, 1e7  # photons that are believed
SOFT_TISSUE_HU = (-20.0, 150.0)
SMOOTH_PX = 2.0  # of the high-pass filter, and of the picture that the mask is cut from
GRADIENT_PX = 3.0
FEWEST_PIXELS = 1000  # of soft tissue
NEIGHBOURS, NEIGHBOURHOOD_MM = 9, 15.0  # slices of the running median, and how far they reach
WATER_RADIUS_MM = 150.0


@dataclass(frozen=True)
class Estimate:
    """What one slice says of its dose; None where it shows too little flat soft tissue."""

    photons: float | None  # of a reading at 360 views and 0.70 mm
    sd_hu: float | None  # the noise in soft tissue at full dose: all frequencies, by the model


def flat_soft_tissue(hu: np.ndarray) -> np.ndarray | None:
    """The flatter half of the soft tissue, (rows, columns) bool; None under 1000 pixels of it."""
    hu = hu.astype(np.float32)
    smooth = ndimage.gaussian_filter(np.clip(hu, -1024, 400), SMOOTH_PX)
    low, high = SOFT_TISSUE_HU
    soft = ndimage.binary_erosion((smooth > low) & (smooth < high), iterations=3)
    if np.count_nonzero(soft) < FEWEST_PIXELS:
        return None
    steepness = ndimage.gaussian_gradient_magnitude(np.clip(hu, -200, 300), GRADIENT_PX)
    return soft & (steepness <= np.median(steepness[soft]))


def high_pass_sd_hu(hu: np.ndarray, mask: np.ndarray) -> float:
    """1.4826 times the median absolute deviation of (slice - its Gaussian of 2 px) in a mask."""
    hu = hu.astype(np.float32)
    rest = (hu - ndimage.gaussian_filter(hu, SMOOTH_PX))[mask]
    return float(1.4826 * np.median(np.abs(rest - np.median(rest))))


def estimate(
    hu: np.ndarray,
    spacing_mm: tuple[float, float],
    scanner: Scanner,
    noise_hu: float | None = None,
) -> Estimate:
    """The photon count whose modelled noise at full dose is the slice's own; not clamped.

    hu: (rows, columns), any real dtype. With `noise_hu` the count is sought that gives this SD in
    the slice's flat soft tissue instead. Raises ValueError for pixels that are not square.
    """
    mask = flat_soft_tissue(hu)
    if mask is None:
        return Estimate(None, None)
    whole = [v[mask] for v in projection_noise.unit_variance(hu, spacing_mm, scanner)]
    if noise_hu is None:
        own = high_pass_sd_hu(hu, mask)
        seen = projection_noise.unit_variance(hu, spacing_mm, scanner, _high_pass)
        units = [_robust_variance(v[mask]) for v in seen]
    else:
        own, units = noise_hu, [v.mean() for v in whole]
    pixel_mm = projection_noise.pixel_mm_of(spacing_mm)
    counts = _counts_of(own, *units, scanner, pixel_mm)
    if counts is None:
        return Estimate(None, None)
    _, sigma = scanner.readings(1, pixel_mm)
    variance = whole[0].mean() / counts + sigma**2 * whole[1].mean() / counts**2
    return Estimate(counts / scanner.readings(1, pixel_mm)[0], float(np.sqrt(variance)))


def _high_pass(frequency: np.ndarray) -> np.ndarray:
    """The response of (slice - its Gaussian of 2 px) at cycles per pixel."""
    return 1 - np.exp(-2 * (np.pi * SMOOTH_PX * frequency) ** 2)


def _robust_variance(variances: np.ndarray) -> float:
    """(1.4826 MAD)^2 of normal noise whose variance differs from pixel to pixel."""
    sd = np.sqrt(variances[:: max(1, len(variances) // 4096)].astype(float))
    low, high = 0.0, 2 * sd.max()
    for _ in range(40):
        middle = (low + high) / 2
        if erf(middle / (np.sqrt(2) * sd)).mean() < 0.5:
            low = middle
        else:
            high = middle
    return (1.4826 * middle) ** 2


def _counts_of(sd_hu: float, quantum: float, electronic: float, scanner: Scanner, pixel_mm: float):
    """N of quantum / N + sigma^2 electronic / N^2 = sd^2; None where there is no noise at all."""
    v, b = sd_hu**2, electronic * scanner.readings(1, pixel_mm)[1] ** 2
    if not v > 0:
        return None
    return float((quantum + np.sqrt(quantum**2 + 4 * v * b)) / (2 * v))


def along_series(
    estimates: Sequence[Estimate],
    default: float = DEFAULT_PHOTONS,
    z_mm: Sequence[float | None] | None = None,
) -> list[float]:
    """Photons of each slice of a series: a running median of its estimates, from 1e4 to 1e7.

    estimates: in the order of the slices; z_mm: their positions. The median is over nine slices,
    those within 15 mm where positions are known: a single estimate is good to 20 %, and the tube
    current changes along the body. A slice without a neighbour's estimate takes the series'
    median, a series without any takes `default`.
    """
    known = np.array([e.photons or np.nan for e in estimates])
    if np.isnan(known).all():
        return [default] * len(known)
    z = np.array([0.0 if v is None else v for v in z_mm or [None] * len(known)])
    reach = NEIGHBOURS // 2
    medians = []
    for i in range(len(known)):
        near = slice(max(0, i - reach), i + reach + 1)
        near = known[near][np.abs(z[near] - z[i]) <= NEIGHBOURHOOD_MM]
        near = known if np.isnan(near).all() else near
        medians.append(float(np.clip(np.nanmedian(near), FEWEST, MOST)))
    return medians


def of_water(
    noise_hu: float,
    scanner: Scanner,
    pixel_mm: float = REFERENCE_MM,
    size: int = 512,
) -> float:
    """Photons that give an SD of noise_hu in the centre of a 30 cm water cylinder at full dose."""
    rows, columns = np.mgrid[:size, :size] - (size - 1) / 2
    distance = np.hypot(rows, columns) * pixel_mm
    edge = np.clip((WATER_RADIUS_MM - distance) / pixel_mm + 0.5, 0, 1)
    centre = distance < 20
    maps = projection_noise.unit_variance(1000 * (edge - 1), (pixel_mm, pixel_mm), scanner)
    counts = _counts_of(noise_hu, *(v[centre].mean() for v in maps), scanner, pixel_mm)
    return counts / scanner.readings(1, pixel_mm)[0]
