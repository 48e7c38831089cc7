"""Low dose in the projections, by insertion: only the noise that the lower dose adds.

Filtered backprojection is linear, so noise is made in the line integrals, reconstructed alone and
added; the slice keeps its own sharpness and kernel. The method: L. Yu et al., J. Comput. Assist.
Tomogr. 36 (2012) 477; D. Zeng et al., IEEE Trans. Nucl. Sci. 62 (2015) 2226. See docs/dose.md.
"""

from typing import NamedTuple

import numpy as np

from srgan.hounsfield import AIR_HU
from srgan.lowdose.projector import Projector, filtered, hann, projector, ramp, variance_map
from srgan.lowdose.scanner import Scanner
from srgan.resampling import area_mean

BOWTIE_RADIUS_MM = 160.0
FEWEST_PHOTONS = 3.0  # behind the patient; the linearised noise of fewer means nothing
DEEPEST = 25.0  # no photon gets further, and single precision still holds its square
SAME_SPACING = 0.01  # rows and columns agree within this share


class Fields(NamedTuple):
    """The noise of one scan at full dose in HU, split by its source; see `insert`."""

    quantum: np.ndarray  # (rows, columns) float32
    electronic: np.ndarray  # (rows, columns) float32
    floored: float  # share of the readings whose photon count was held at the floor


def pixel_mm_of(spacing_mm: tuple[float, float]) -> float:
    """The side of a pixel. Raises ValueError where rows and columns differ by over 1 %."""
    row_mm, column_mm = spacing_mm
    if not abs(row_mm - column_mm) <= SAME_SPACING * column_mm:
        raise ValueError(f"pixels of {row_mm:g} x {column_mm:g} mm are not square")
    return (row_mm + column_mm) / 2


def check_dose(dose) -> None:
    """Raises ValueError unless every dose lies in 0 < dose <= 1."""
    if not np.all((np.asarray(dose) > 0) & (np.asarray(dose) <= 1)):
        raise ValueError(f"a dose of {dose} is none: give a fraction above 0, at most 1")


def attenuation(hu: np.ndarray, pixel_mm: float, scanner: Scanner) -> np.ndarray:
    """-log of the transmitted share of each reading, slice and bowtie: (views, bins) float32.

    hu: square (n, n), any real dtype.
    """
    geometry = projector(len(hu), scanner.views)
    mu = scanner.mu_water * np.maximum(1 + hu.astype(np.float32) / 1000, 0)  # 1/mm
    lines = np.maximum(geometry.forward(mu) * np.float32(pixel_mm), 0)
    return lines + bowtie(geometry, pixel_mm, scanner)


def bowtie(geometry: Projector, pixel_mm: float, scanner: Scanner) -> np.ndarray:
    """The bowtie's attenuation of each bin, (bins,) float32: flat water of 160 mm where it is 1."""
    distance = geometry.bin_mm(pixel_mm)
    path = BOWTIE_RADIUS_MM - np.sqrt(np.maximum(BOWTIE_RADIUS_MM**2 - distance**2, 0))
    return (scanner.bowtie * 2 * scanner.mu_water * path).astype(np.float32)


def noise_fields(
    hu: np.ndarray,
    spacing_mm: tuple[float, float],
    photons: float,
    scanner: Scanner,
    lowest_dose: float,
    rng: np.random.Generator,
) -> Fields:
    """The quantum and electronic noise of one scan of a slice at full dose.

    hu: (rows, columns), any real dtype; photons: of a reading at 360 views and 0.70 mm. The noise
    of a reading with N photons is 1/sqrt(N) and sigma/N in the line integral. N is held at
    max(3, sigma) / lowest_dose or above, so that at the lowest dose the linearised noise of a
    starved reading stays near what a counted one has. Raises ValueError for pixels that are not
    square or a dose that is none.
    """
    check_dose(lowest_dose)
    pixel_mm = pixel_mm_of(spacing_mm)
    square, place = _squared(hu)
    counts, sigma, floored = _counts(square, pixel_mm, photons, scanner, lowest_dose)
    noise = rng.standard_normal((2, *counts.shape), np.float32)
    noise[0] /= np.sqrt(counts)
    noise[1] *= np.float32(sigma) / counts
    geometry = projector(len(square), scanner.views)
    images = filtered(geometry, noise, scanner.filter_cutoff * pixel_mm)
    images *= np.float32(scanner.hu_per_line(pixel_mm))
    return Fields(images[0][place], images[1][place], floored)


def _counts(
    square: np.ndarray, pixel_mm: float, photons: float, scanner: Scanner, lowest_dose: float
) -> tuple[np.ndarray, float, float]:
    """(photons of each reading held at the floor, electronic SD, share of readings held)."""
    depth = attenuation(square, pixel_mm, scanner)
    unattenuated, sigma = scanner.readings(photons, pixel_mm)
    counts = unattenuated * np.exp(-depth)
    floor = np.float32(max(FEWEST_PHOTONS, sigma) / lowest_dose)
    return np.maximum(counts, floor), sigma, float(np.mean(counts < floor))


def weights(dose):
    """(quantum, electronic): what the fields are multiplied by to go from full dose to `dose`.

    Quantum variance goes with 1/dose and electronic with 1/dose^2; full dose has one of each.
    """
    return np.sqrt((1 - dose) / dose), np.sqrt((1 - dose * dose) / (dose * dose))


def insert(hu: np.ndarray, fields: Fields, dose: float) -> np.ndarray:
    """The slice at a fraction of its dose: (rows, columns) float32 HU, not clipped.

    Dose 1 returns the input bit for bit, in its own dtype. Raises ValueError for a dose that is
    none.
    """
    check_dose(dose)
    if dose == 1:
        return hu
    quantum, electronic = map(np.float32, weights(dose))
    return hu + (quantum * fields.quantum + electronic * fields.electronic)


def low_dose(
    hu: np.ndarray,
    spacing_mm: tuple[float, float],
    dose: float,
    photons: float,
    scanner: Scanner,
    rng: np.random.Generator,
) -> np.ndarray:
    """One slice at a fraction of its dose, with noise of its own: float32 HU, not clipped.

    Dose 1 returns the input bit for bit. Raises ValueError as `noise_fields` does.
    """
    check_dose(dose)
    return insert(hu, noise_fields(hu, spacing_mm, photons, scanner, dose, rng), dose)


def unit_variance(
    hu: np.ndarray, spacing_mm: tuple[float, float], scanner: Scanner, seen=None
) -> tuple[np.ndarray, np.ndarray]:
    """Noise variance at full dose of each pixel, HU^2, had every reading started with one photon.

    Returns (quantum, electronic): with N photons at the start the variance is quantum / N +
    sigma^2 electronic / N^2. No floor, no random numbers. seen: a function from cycles per pixel
    to the response of what looks at the noise afterwards. Raises ValueError as `noise_fields`.
    """
    pixel_mm = pixel_mm_of(spacing_mm)
    square, place = _squared(hu)
    depth = np.minimum(attenuation(square, pixel_mm, scanner), DEEPEST)
    geometry = projector(len(square), scanner.views)
    response = ramp(geometry) * hann(geometry, scanner.filter_cutoff * pixel_mm)
    if seen is not None:
        response = response * seen(geometry.frequency)
    variance = np.stack([np.exp(depth), np.exp(2 * depth)])
    maps = variance_map(geometry, variance, response) * scanner.hu_per_line(pixel_mm) ** 2
    return maps[0][place], maps[1][place]


def noise_sd_hu(
    hu: np.ndarray,
    spacing_mm: tuple[float, float],
    photons: float,
    scanner: Scanner,
    dose: float,
) -> np.ndarray:
    """SD in HU of the noise that `low_dose` adds to each pixel: (rows, columns) float32.

    Without the photon floor: in starved rays `low_dose` adds less.
    """
    check_dose(dose)
    quantum, electronic = unit_variance(hu, spacing_mm, scanner)
    counts, sigma = scanner.readings(photons, pixel_mm_of(spacing_mm))
    by_quantum, by_electronics = weights(dose)
    variance = by_quantum**2 * quantum / counts
    return np.sqrt(variance + by_electronics**2 * sigma**2 * electronic / counts**2)


def block_noise_sd_hu(
    hu: np.ndarray,
    spacing_mm: tuple[float, float],
    photons: float,
    scanner: Scanner,
    dose: float,
    scale: int,
) -> np.ndarray:
    """SD in HU of the mean over scale x scale pixels of the noise that `low_dose` adds.

    hu: (rows, columns), multiples of scale; returns (rows/scale, columns/scale) float32. With the
    photon floor of `low_dose`, before any clipping. The block mean is a filter, and a view at
    angle t sees its response along the view's line alone: box(k cos t) box(k sin t), k in cycles
    per pixel. Raises ValueError as `noise_fields` does, and where a size is no multiple of scale.
    """
    check_dose(dose)
    pixel_mm = pixel_mm_of(spacing_mm)
    square, place = _squared(hu)
    counts, sigma, _ = _counts(square, pixel_mm, photons, scanner, dose)
    by_quantum, by_electronics = weights(dose)
    variance = by_quantum**2 / counts + (by_electronics * sigma / counts) ** 2
    geometry = projector(len(square), scanner.views)
    angle = np.pi * np.arange(scanner.views)[:, None] / scanner.views
    across, down = geometry.frequency * np.cos(angle), geometry.frequency * np.sin(angle)
    block = np.prod([np.sinc(scale * k) / np.sinc(k) for k in (across, down)], axis=0)
    response = ramp(geometry) * hann(geometry, scanner.filter_cutoff * pixel_mm) * block
    (of_pixels,) = variance_map(geometry, variance[None], response)
    # The map is of blocks around each pixel; a block of even size lies between four of them.
    return np.sqrt(area_mean(of_pixels[place], scale)) * np.float32(scanner.hu_per_line(pixel_mm))


def _squared(hu: np.ndarray) -> tuple[np.ndarray, tuple[slice, slice]]:
    """The slice in the middle of a square of air, and its place there."""
    rows, columns = hu.shape
    n = max(rows, columns)
    top, left = (n - rows) // 2, (n - columns) // 2
    place = slice(top, top + rows), slice(left, left + columns)
    if rows == columns:
        return hu, place
    square = np.full((n, n), AIR_HU, np.float32)
    square[place] = hu
    return square, place
