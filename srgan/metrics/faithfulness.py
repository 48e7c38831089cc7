"""Invented structure: what an output shows without support in its low dose or its normal dose.

Each measure sees what the others miss. Consistency sees structure coarser than a pixel of the low
dose, and needs no normal dose. Invention sees finer detail. sFRC is the published count, reported
for comparison and never used for a verdict: its limit lies at the Nyquist frequency of the low
dose, so it measures sharpness first, and false texture above that frequency does not change it.

All arrays are HU, float64 inside. Frequencies are fractions of Nyquist. A value is None where the
slice shows no body to measure it in.
"""

import math
from typing import NamedTuple

import numpy as np
import scipy.fft
from numpy.lib.stride_tricks import sliding_window_view
from scipy import ndimage

from srgan.resampling import area_mean

SPOT_Z = 4.0  # expected SDs; the normal dose itself has up to 1.5 spots a slice, of single pixels
# Low-dose pixels in a wide spot. The normal dose itself has no wide spot: WIDE_PX holds for image
# noise, WIDE_PX_UNCLEAN where the low dose holds the noise of the full dose too, which no network
# can tell from the inserted noise. A blob of 12 px covers about 7 low-dose pixels.
WIDE_PX = 2
WIDE_PX_UNCLEAN = 5
LOW_EDGE = 2  # low-dose pixels along the skin that are left out
HIGH_EDGE = 6  # pixels along the skin that are left out
DETAIL = (0.25, 0.6)  # band above the Nyquist frequency of a fourfold smaller low dose
OUTLINE = (0.02, 0.2)  # band that every usable output reproduces; the shift is measured in it
LOCAL_PX = 8.0  # Gaussian SD of a local mean
INVENTED_RHO = 0.3
FAINTEST_HU = 4.0  # RMS of detail below which nobody sees it
PATCH, STRIDE = 64, 32  # pixels
LEAST_CORRELATION, LIMIT = 0.5, 0.25


class Consistency(NamedTuple):
    """How the block means of an output differ from its low dose; see `consistency`."""

    chi2: float | None
    spots: int
    z: np.ndarray  # (h, w), 0 outside the body
    wide_spots: int


class Invention(NamedTuple):
    """Detail that the normal dose does not support; see `invention`."""

    share: float | None
    energy_hu2: float | None
    rho: np.ndarray  # (rows, columns) from -1 to 1, 0 outside the body


class Sfrc(NamedTuple):
    """Patches whose ring correlation falls too early; see `sfrc`."""

    share: float | None
    patches: int  # in the body
    flagged: np.ndarray  # (rows, columns) bool: pixels of a flagged patch


def consistency(
    *,
    output: np.ndarray,
    low_dose: np.ndarray,
    sd_hu: np.ndarray,
    body: np.ndarray,
    scale: int,
    clean_chi2: float = 1.0,
) -> Consistency:
    """z = (area mean of the output - its low dose) / expected noise SD of the low dose.

    output: (scale*h, scale*w) HU. low_dose: (h, w) HU. sd_hu: (h, w), the
    `expected_sd_hu` of the noise model; pixels where it is 0 are left out. body: bool, of the shape
    of output. clean_chi2: the chi2 of an output without noise, also from the noise model.

    chi2 is the mean of z^2 in the body: 1.00 for the normal dose, less for an output that follows
    the noise of its input, more for one that departs from its input. spots: connected areas with
    |z| > 4. wide_spots: those of at least two pixels, of which the normal dose has none. With
    clean_chi2 above 1 a spot has |z| > 4 sqrt(clean_chi2), and a wide one at least 5 pixels: where
    the expected noise is a few HU, single pixels of redrawn edges exceed it.
    Raises ValueError for NaN or shapes that do not fit.
    """
    means = area_mean(_checked(output, body), scale)
    difference = means - _checked(_checked(low_dose, sd_hu), means)
    whole = area_mean(body.astype(np.float64), scale) > 0.99
    included = ndimage.binary_erosion(whole, iterations=LOW_EDGE) & (sd_hu > 0)
    z = np.divide(difference, sd_hu, out=np.zeros_like(difference), where=included)
    chi2 = float((z[included] ** 2).mean()) if included.any() else None
    areas, _ = ndimage.label(np.abs(z) > SPOT_Z * math.sqrt(clean_chi2))
    sizes_px = np.bincount(areas.ravel())[1:]
    least_px = WIDE_PX if clean_chi2 == 1 else WIDE_PX_UNCLEAN
    return Consistency(chi2, len(sizes_px), z, np.count_nonzero(sizes_px >= least_px))


def invention(*, output: np.ndarray, reference: np.ndarray, body: np.ndarray) -> Invention:
    """rho, the local correlation of the output's detail with the output's error.

    output, reference (the normal dose): (rows, columns) HU. body: bool, the same shape.

    With o the output in the band from 0.25 to 0.6 of Nyquist, d the same of (output - reference),
    and G a Gaussian mean of 8 px: rho = G(o d) / sqrt(G(o^2) G(d^2)). A conditional mean has
    E[o d] = 0 whatever the noise of the reference. Detail without support adds its own energy;
    missing detail subtracts some.
    share: the part of the body with rho > 0.3 where detail and error, sqrt(G(o^2)) and
    sqrt(G(d^2)), exceed 4 HU. The limit is needed because rho has no scale: -2 HU in the lung of a
    perfect output would count as invention along its edges. energy_hu2: the mean of o d.
    Raises ValueError for NaN or unequal shapes.
    """
    output, reference = _checked(output, body), _checked(reference, output)
    detail, error = _band(output, *DETAIL), _band(output - reference, *DETAIL)
    product, powers = detail * error, [_local_mean(part**2) for part in (detail, error)]
    rho = _local_mean(product) / np.sqrt(np.maximum(powers[0] * powers[1], 1e-9))
    inner = ndimage.binary_erosion(body, iterations=HIGH_EDGE)
    if not inner.any():
        return Invention(None, None, np.zeros_like(output))
    invented = (rho > INVENTED_RHO) & (np.minimum(*powers) > FAINTEST_HU**2)
    share, energy = float(invented[inner].mean()), float(product[inner].mean())
    return Invention(share, energy, np.where(inner, rho, 0.0))


def shift_px(
    *, output: np.ndarray, reference: np.ndarray, body: np.ndarray
) -> tuple[float, float] | None:
    """How far the output lies below and right of its reference, in pixels.

    output, reference: (rows, columns) HU. body: bool, the same shape.

    Both images are filtered to the band from 0.02 to 0.2 of Nyquist. The shift is the vertex of a
    parabola through their correlation in the body at -1, 0 and 1 px: half the difference between
    output against reference and reference against output. The cut of the body through the slice
    moves both alike, by up to 0.15 px where the field of view ends in it, and cancels.
    Accurate to 0.1 px up to 1 px, and too large beyond. From about 6 px on the sign means nothing,
    but the value stays large. None without a body or without structure. Raises ValueError for NaN
    or unequal shapes.
    """
    output, reference = _checked(output, body), _checked(reference, output)
    a, b = _band(output, *OUTLINE), _band(reference, *OUTLINE)
    inner = ndimage.binary_erosion(body, iterations=HIGH_EDGE)
    shift = []
    for axis in (0, 1):
        forth, back = _vertex_px(a, b, inner, axis), _vertex_px(b, a, inner, axis)
        if forth is None or back is None:
            return None
        shift.append((forth - back) / 2)
    return tuple(shift)


def _vertex_px(moved: np.ndarray, fixed: np.ndarray, inner: np.ndarray, axis: int) -> float | None:
    """Vertex of the parabola through the correlation at -1, 0 and 1 px; None for a line."""
    before, at, after = (
        (np.roll(moved, step, axis)[inner] * fixed[inner]).sum() for step in (1, 0, -1)
    )
    curvature = 2 * at - before - after
    return float((after - before) / (2 * curvature)) if curvature else None


def sfrc(*, output: np.ndarray, reference: np.ndarray, body: np.ndarray) -> Sfrc:
    """Scanning Fourier ring correlation: the share of the body's patches that it flags.

    P. Kc, R. Zeng, N. Soni, A. Badano, "sFRC for assessing hallucinations in medical image
    restoration", arXiv:2603.04673; code: github.com/DIDSR/sfrc.

    output, reference: (rows, columns) HU. body: bool, the same shape. Patches of 64 px every 32 px
    that are at least half body, minus their mean and tapered by a Hann window. A patch is flagged
    where the correlation of the two spectra over a ring, one frequency step wide, is below 0.5 in
    any ring up to 0.25 of Nyquist. Three points differ from the published code: the limit is in
    units of Nyquist (theirs: 0.33 /mm), the mean of the patch is subtracted (it leaks into the
    first ring and hides it), and a negative correlation counts as a low one.
    Raises ValueError for NaN or unequal shapes.
    """
    output, reference = _checked(output, body), _checked(reference, output)
    flagged = np.zeros(output.shape, bool)
    if min(output.shape) < PATCH:
        return Sfrc(None, 0, flagged)
    rows, columns = np.nonzero(_patches(body).mean((2, 3)) >= 0.5)
    a, b = (_spectra(_patches(image)[rows, columns]) for image in (output, reference))
    cross, *powers = map(_ring_sums, ((a * b.conj()).real, abs(a) ** 2, abs(b) ** 2))
    norm, equal = np.sqrt(powers[0] * powers[1]), (powers[0] == powers[1]).astype(float)
    correlation = np.divide(cross, norm, out=equal, where=norm > 0)
    low = (correlation < LEAST_CORRELATION).any(1)
    for row, column in zip(rows[low] * STRIDE, columns[low] * STRIDE, strict=True):
        flagged[row : row + PATCH, column : column + PATCH] = True
    return Sfrc(float(low.mean()) if len(low) else None, len(low), flagged)


def _checked(image: np.ndarray, beside: np.ndarray) -> np.ndarray:
    """The image in float64. Raises ValueError for NaN, or where `beside` has another shape."""
    image = np.asarray(image, np.float64)
    if image.shape != beside.shape:
        raise ValueError(f"an image of {image.shape} beside one of {beside.shape}")
    if np.isnan(image).any():
        raise ValueError("the image holds NaN")
    return image


def _band(image: np.ndarray, low: float, high: float) -> np.ndarray:
    """The image between two frequencies, with Gaussian edges; periodic at the border."""
    rows, columns = image.shape
    down, across = 2 * scipy.fft.fftfreq(rows)[:, None], 2 * scipy.fft.rfftfreq(columns)
    square = down**2 + across**2
    gain = np.exp(-square / (2 * high**2)) * -np.expm1(-square / (2 * low**2))
    return scipy.fft.irfft2(scipy.fft.rfft2(image) * gain, image.shape)


def _local_mean(image: np.ndarray) -> np.ndarray:
    return ndimage.gaussian_filter(image, LOCAL_PX)


def _patches(image: np.ndarray) -> np.ndarray:
    """(n, m, 64, 64) views, every 32 pixels."""
    return sliding_window_view(image, (PATCH, PATCH))[::STRIDE, ::STRIDE]


def _spectra(patches: np.ndarray) -> np.ndarray:
    """The spectra of (k, 64, 64) patches, minus their mean and tapered."""
    taper = np.hanning(PATCH)
    centred = patches - patches.mean((1, 2), keepdims=True)
    return scipy.fft.fft2(centred * np.outer(taper, taper))


def _ring_sums(values: np.ndarray) -> np.ndarray:
    """(k, 64, 64) to (k, 8) sums over the rings 1 to 8, which reach 0.25 of Nyquist."""
    step = scipy.fft.fftfreq(PATCH) * PATCH
    ring = np.rint(np.hypot(step[:, None], step))
    wanted = np.arange(1, int(LIMIT * PATCH / 2) + 1)
    return np.stack([values[:, ring == radius].sum(1) for radius in wanted], 1)
