"""Estimate the dose of a scan: the photon count at which the modelled noise is that of the slice.

The noise of a slice is measured in flat soft tissue behind a high-pass filter. The noise of the
model passes the same filter in closed form, so the gain of the filter cancels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage
from scipy.special import erf

from srgan.lowdose import projection_noise
from srgan.lowdose.scanner import REFERENCE_MM, Scanner

DEFAULT_PHOTONS = 3e5  # where nothing can be estimated
FEWEST, MOST = 1e4, 1e7  # plausible photon counts; estimates are clipped to them
SOFT_TISSUE_HU = (-20.0, 150.0)
SMOOTH_PX = 2.0  # Gaussian SD of the high-pass filter, and of the image that masks are cut from
GRADIENT_PX = 3.0
FEWEST_PIXELS = 1000  # of soft tissue
NEIGHBOURS, NEIGHBOURHOOD_MM = 9, 15.0  # slices in the running median, and their largest distance
WATER_RADIUS_MM = 150.0
MAD_TO_SD = 1.4826  # of normally distributed values


@dataclass(frozen=True)
class Estimate:
    """The estimate from one slice; None where it shows too little flat soft tissue."""

    photons: float | None  # of a reading at 360 views and 0.70 mm
    sd_hu: float | None  # noise in soft tissue at full dose, over all frequencies, by the model


def flat_soft_tissue(hu: np.ndarray) -> np.ndarray | None:
    """The flatter half of the soft tissue of a (rows, columns) HU slice, as a bool mask.

    None where there are fewer than 1000 pixels of soft tissue.
    """
    hu = hu.astype(np.float32)
    smooth = ndimage.gaussian_filter(np.clip(hu, -1024, 400), SMOOTH_PX)
    low, high = SOFT_TISSUE_HU
    soft = ndimage.binary_erosion((smooth > low) & (smooth < high), iterations=3)
    if np.count_nonzero(soft) < FEWEST_PIXELS:
        return None
    gradient = ndimage.gaussian_gradient_magnitude(np.clip(hu, -200, 300), GRADIENT_PX)
    return soft & (gradient <= np.median(gradient[soft]))


def high_pass_sd_hu(hu: np.ndarray, mask: np.ndarray) -> float:
    """Robust SD of (slice - its Gaussian mean of 2 px) in a mask.

    1.4826 times the median absolute deviation (MAD). SciPy's median_abs_deviation differs in the
    sixth digit, which would change every estimate made before.
    """
    hu = hu.astype(np.float32)
    fine = (hu - ndimage.gaussian_filter(hu, SMOOTH_PX))[mask]
    return float(MAD_TO_SD * np.median(np.abs(fine - np.median(fine))))


def estimate(
    hu: np.ndarray,
    spacing_mm: tuple[float, float],
    scanner: Scanner,
    noise_hu: float | None = None,
) -> Estimate:
    """The photon count at which the modelled noise at full dose equals that of the slice.

    hu: (rows, columns), any real dtype. spacing_mm: between rows, between columns. noise_hu: look
    for the count that gives this SD in the flat soft tissue of the slice instead. The count is not
    clipped. Raises ValueError for pixels that are not square.
    """
    mask = flat_soft_tissue(hu)
    if mask is None:
        return Estimate(None, None)
    quantum, electronic = (
        v[mask].mean() for v in projection_noise.unit_variance(hu, spacing_mm, scanner)
    )
    if noise_hu is None:
        sd_hu = high_pass_sd_hu(hu, mask)
        filtered = projection_noise.unit_variance(hu, spacing_mm, scanner, _high_pass)
        unit_variances = [_robust_variance(v[mask]) for v in filtered]
    else:
        sd_hu, unit_variances = noise_hu, [quantum, electronic]
    pixel_mm = projection_noise.pixel_mm_of(spacing_mm)
    counts = _counts_for(sd_hu, *unit_variances, scanner, pixel_mm)
    if counts is None:
        return Estimate(None, None)
    photons_to_counts, sigma = scanner.readings(1, pixel_mm)
    variance = quantum / counts + sigma**2 * electronic / counts**2
    return Estimate(counts / photons_to_counts, float(np.sqrt(variance)))


def _high_pass(frequency: np.ndarray) -> np.ndarray:
    """Response of (slice - its Gaussian mean of 2 px). frequency: cycles per pixel."""
    return 1 - np.exp(-2 * (np.pi * SMOOTH_PX * frequency) ** 2)


def _robust_variance(variances: np.ndarray) -> float:
    """(1.4826 MAD)^2 of normal noise whose variance differs from pixel to pixel.

    The MAD is the deviation that half of the noise exceeds. Bisection, because scipy's root finders
    stop elsewhere in the last digits, and the noise of every slice would change with them.
    """
    sd = np.sqrt(variances[:: max(1, len(variances) // 4096)].astype(float))
    low, high = 0.0, 2 * sd.max()
    for _ in range(40):
        middle = (low + high) / 2
        if erf(middle / (np.sqrt(2) * sd)).mean() < 0.5:
            low = middle
        else:
            high = middle
    return (MAD_TO_SD * middle) ** 2


def _counts_for(
    sd_hu: float, quantum: float, electronic: float, scanner: Scanner, pixel_mm: float
) -> float | None:
    """The N that solves quantum / N + sigma^2 electronic / N^2 = sd^2; None without any noise."""
    v, b = sd_hu**2, electronic * scanner.readings(1, pixel_mm)[1] ** 2
    if not v > 0:
        return None
    return float((quantum + np.sqrt(quantum**2 + 4 * v * b)) / (2 * v))


def along_series(
    estimates: Sequence[Estimate],
    default: float = DEFAULT_PHOTONS,
    z_mm: Sequence[float | None] | None = None,
) -> list[float]:
    """Photons of each slice of a series: a running median of the estimates, from 1e4 to 1e7.

    estimates: in the order of the slices. z_mm: their positions. The median is over nine slices, or
    over those of them within 15 mm where positions are known: a single estimate is right to 20 %,
    and the tube current changes along the body. A slice without an estimate nearby takes the
    median of the series; a series without any estimate takes `default`.
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


def of_water(noise_hu: float, scanner: Scanner, pixel_mm: float = REFERENCE_MM) -> float:
    """Photons that give an SD of noise_hu in the centre of a 30 cm water cylinder at full dose."""
    distance = np.hypot(*(np.mgrid[:512, :512] - 255.5)) * pixel_mm
    edge = np.clip((WATER_RADIUS_MM - distance) / pixel_mm + 0.5, 0, 1)
    centre = distance < 20
    maps = projection_noise.unit_variance(1000 * (edge - 1), (pixel_mm, pixel_mm), scanner)
    counts = _counts_for(noise_hu, *(v[centre].mean() for v in maps), scanner, pixel_mm)
    return counts / scanner.readings(1, pixel_mm)[0]
