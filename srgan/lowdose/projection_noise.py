"""Noise of a lower dose, inserted in the projections of a slice.

Filtered backprojection is linear. So the noise that a lower dose adds is made in the line
integrals, reconstructed alone, and added to the slice, which keeps its own sharpness and kernel.
Method: L. Yu et al., J. Comput. Assist. Tomogr. 36 (2012) 477; D. Zeng et al., IEEE Trans. Nucl.
Sci. 62 (2015) 2226. See docs/dose.md.
"""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from srgan.hounsfield import AIR_HU
from srgan.lowdose.levels import Levels
from srgan.lowdose.projector import Projector, filter_response, filtered, projector, variance_map
from srgan.lowdose.scanner import Scanner
from srgan.resampling import area_mean

BOWTIE_RADIUS_MM = 160.0
FEWEST_PHOTONS = 3.0  # behind the patient; linearised noise means nothing for fewer
MAX_ATTENUATION = 25.0  # no photon passes more, and its exponential squared fits in float32
SQUARE_TOLERANCE = 0.01  # largest relative difference between row and column spacing


class Fields(NamedTuple):
    """The noise of one scan at full dose in HU, by its source; see `insert`."""

    quantum: np.ndarray  # (rows, columns) float32
    electronic: np.ndarray  # (rows, columns) float32
    at_floor: float  # share of the readings whose photon count was raised to the floor


@dataclass(frozen=True)
class ProjectionNoise:
    """A noise model (see `degradation.NoiseModel`): noise inserted in the projections."""

    dose: Levels  # fractions of the full dose
    photons: float | None  # of a reading at 360 views and 0.70 mm; None: estimated for each slice
    noise_hu: float | None  # SD in soft tissue at full dose that the photons are to give
    scanner: Scanner

    in_projections: ClassVar[bool] = True
    axis_labels: ClassVar[dict[str, str]] = {"dose": "dose, fraction of the full dose"}

    def new_fields(
        self,
        hu: np.ndarray,
        spacing_mm: tuple[float, float],
        photons: float,
        rng: np.random.Generator,
    ) -> Fields:
        """The photon floor is that of the lowest dose."""
        return noise_fields(hu, spacing_mm, photons, self.scanner, self.dose.low, rng)

    def apply(
        self, hu: np.ndarray, rng: np.random.Generator, fields: tuple[np.ndarray, np.ndarray]
    ) -> np.ndarray:
        dose = self.dose.sample(len(hu), rng).astype(np.float32)
        quantum, electronic = dose_weights(dose)
        return hu + (quantum * fields[0] + electronic * fields[1])

    def expected_sd_hu(
        self,
        *,
        normal_dose: np.ndarray,
        scale: int,
        spacing_mm: tuple[float, float],
        photons: float,
        **_,
    ) -> np.ndarray:
        dose = self.dose.only
        return block_noise_sd_hu(normal_dose, spacing_mm, photons, self.scanner, dose, scale)

    def clean_chi2(self) -> float:
        """1 / (1 - dose), and 1 at full dose.

        The low dose also holds the noise of the full dose, which no network can tell from the
        inserted noise. The inserted part is 1 - dose of the whole quantum variance.
        """
        dose = self.dose.only
        return 1.0 / (1.0 - dose) if dose < 1 else 1.0

    def as_json(self) -> dict:
        return {
            "model": "projection",
            "dose": str(self.dose),
            "photons": self.photons if self.photons is not None else "auto",
            "noise_hu": self.noise_hu,
            **self.scanner.as_json(),
        }

    def describe(self) -> str:
        if self.noise_hu is not None:
            source = f"a scan with {self.noise_hu:g} HU of noise"
        elif self.photons is not None:
            source = f"a reference scanner of {self.photons:g} photons"
        else:
            source = "the scan's own, photons matched"
        scanner = self.scanner
        return (
            f"projection noise: dose {self.dose} of {source}; electronic noise "
            f"{scanner.electronic_noise:g} counts, cutoff {scanner.filter_cutoff:g}/mm, bowtie "
            f"{scanner.bowtie:g}"
        )


def pixel_mm_of(spacing_mm: tuple[float, float]) -> float:
    """The side of a pixel. Raises ValueError where rows and columns differ by more than 1 %."""
    row_mm, column_mm = spacing_mm
    if not abs(row_mm - column_mm) <= SQUARE_TOLERANCE * column_mm:
        raise ValueError(f"pixels of {row_mm:g} x {column_mm:g} mm are not square")
    return (row_mm + column_mm) / 2


def check_dose(dose) -> None:
    """Raises ValueError unless every dose lies in 0 < dose <= 1."""
    if not np.all((np.asarray(dose) > 0) & (np.asarray(dose) <= 1)):
        raise ValueError(f"dose must be greater than 0 and at most 1, got {dose}")


def attenuation(hu: np.ndarray, pixel_mm: float, scanner: Scanner) -> np.ndarray:
    """-log of the share of photons that pass slice and bowtie: (views, bins) float32.

    hu: square (n, n), any real dtype.
    """
    geometry = projector(len(hu), scanner.views)
    mu = scanner.mu_water * np.maximum(1 + hu.astype(np.float32) / 1000, 0)  # 1/mm
    lines = np.maximum(geometry.forward(mu) * np.float32(pixel_mm), 0)
    return lines + bowtie(geometry, pixel_mm, scanner)


def bowtie(geometry: Projector, pixel_mm: float, scanner: Scanner) -> np.ndarray:
    """Attenuation of the bowtie filter in each bin, (bins,) float32.

    With scanner.bowtie = 1 it makes water of 160 mm radius flat.
    """
    distance = geometry.bin_mm(pixel_mm)
    path_mm = BOWTIE_RADIUS_MM - np.sqrt(np.maximum(BOWTIE_RADIUS_MM**2 - distance**2, 0))
    return (scanner.bowtie * 2 * scanner.mu_water * path_mm).astype(np.float32)


def noise_fields(
    hu: np.ndarray,
    spacing_mm: tuple[float, float],
    photons: float,
    scanner: Scanner,
    lowest_dose: float,
    rng: np.random.Generator,
) -> Fields:
    """The quantum and electronic noise of one scan of a slice at full dose.

    hu: (rows, columns), any real dtype. spacing_mm: between rows, between columns. photons: of a
    reading at 360 views and 0.70 mm. A reading with N photons has the noise 1/sqrt(N) and sigma/N
    in its line integral. N is at least max(3, sigma) / lowest_dose, so that at the lowest dose the
    linearised noise of a starved reading stays close to that of counted photons. Raises ValueError
    for pixels that are not square, or a dose outside 0 < dose <= 1.
    """
    check_dose(lowest_dose)
    pixel_mm = pixel_mm_of(spacing_mm)
    square, place = _in_square(hu)
    counts, sigma, at_floor = _photon_counts(square, pixel_mm, photons, scanner, lowest_dose)
    noise = rng.standard_normal((2, *counts.shape), np.float32)
    noise[0] /= np.sqrt(counts)
    noise[1] *= np.float32(sigma) / counts
    geometry = projector(len(square), scanner.views)
    images = filtered(geometry, noise, scanner.filter_cutoff * pixel_mm)
    images *= np.float32(scanner.hu_per_line(pixel_mm))
    return Fields(images[0][place], images[1][place], at_floor)


def _photon_counts(
    square: np.ndarray, pixel_mm: float, photons: float, scanner: Scanner, lowest_dose: float
) -> tuple[np.ndarray, float, float]:
    """(photons of each reading, raised to the floor; electronic SD; share of readings raised)."""
    depth = attenuation(square, pixel_mm, scanner)
    unattenuated, sigma = scanner.readings(photons, pixel_mm)
    counts = unattenuated * np.exp(-depth)
    floor = np.float32(max(FEWEST_PHOTONS, sigma) / lowest_dose)
    return np.maximum(counts, floor), sigma, float(np.mean(counts < floor))


def dose_weights(dose):
    """(quantum, electronic) factors that take the noise fields from full dose to `dose`.

    Quantum variance is proportional to 1/dose and electronic variance to 1/dose^2. The full-dose
    slice holds one of each already.
    """
    return np.sqrt((1 - dose) / dose), np.sqrt((1 - dose * dose) / (dose * dose))


def insert(hu: np.ndarray, fields: Fields, dose: float) -> np.ndarray:
    """The slice at a fraction of its dose: (rows, columns) float32 HU, not clipped.

    Dose 1 returns the input unchanged, in its own dtype. Raises ValueError for a dose outside
    0 < dose <= 1.
    """
    check_dose(dose)
    if dose == 1:
        return hu
    quantum, electronic = map(np.float32, dose_weights(dose))
    return hu + (quantum * fields.quantum + electronic * fields.electronic)


def low_dose(
    hu: np.ndarray,
    spacing_mm: tuple[float, float],
    dose: float,
    photons: float,
    scanner: Scanner,
    rng: np.random.Generator,
) -> np.ndarray:
    """One slice at a fraction of its dose, with new noise: float32 HU, not clipped.

    For use from Python (docs/dose.md); the program itself uses `degradation.degrade`. hu: (rows,
    columns). Dose 1 returns the input unchanged. Raises ValueError as `noise_fields` does.
    """
    check_dose(dose)
    return insert(hu, noise_fields(hu, spacing_mm, photons, scanner, dose, rng), dose)


def noise_sd_hu(
    hu: np.ndarray,
    spacing_mm: tuple[float, float],
    photons: float,
    scanner: Scanner,
    dose: float,
) -> np.ndarray:
    """SD in HU of the noise that `low_dose` adds to each pixel: (rows, columns) float32.

    For use from Python (docs/dose.md). A formula without random numbers and without the photon
    floor: in starved rays `low_dose` adds less.
    """
    check_dose(dose)
    quantum, electronic = unit_variance(hu, spacing_mm, scanner)
    counts, sigma = scanner.readings(photons, pixel_mm_of(spacing_mm))
    by_quantum, by_electronics = dose_weights(dose)
    variance = by_quantum**2 * quantum / counts
    return np.sqrt(variance + by_electronics**2 * sigma**2 * electronic / counts**2)


def unit_variance(
    hu: np.ndarray, spacing_mm: tuple[float, float], scanner: Scanner, observer=None
) -> tuple[np.ndarray, np.ndarray]:
    """Noise variance of each pixel at full dose in HU^2, for one photon per unattenuated reading.

    Returns (quantum, electronic), each (rows, columns). With N photons per unattenuated reading the
    variance is quantum / N + sigma^2 electronic / N^2. No photon floor, no random numbers.
    observer: the frequency response of a filter through which the noise is seen, a function of
    cycles per pixel. Raises ValueError as `noise_fields` does.
    """
    pixel_mm = pixel_mm_of(spacing_mm)
    square, place = _in_square(hu)
    depth = np.minimum(attenuation(square, pixel_mm, scanner), MAX_ATTENUATION)
    geometry = projector(len(square), scanner.views)
    response = filter_response(geometry, scanner.filter_cutoff * pixel_mm)
    if observer is not None:
        response = response * observer(geometry.frequency)
    variance = np.stack([np.exp(depth), np.exp(2 * depth)])
    maps = variance_map(geometry, variance, response) * scanner.hu_per_line(pixel_mm) ** 2
    return maps[0][place], maps[1][place]


def block_noise_sd_hu(
    hu: np.ndarray,
    spacing_mm: tuple[float, float],
    photons: float,
    scanner: Scanner,
    dose: float,
    scale: int,
) -> np.ndarray:
    """SD in HU of the mean over scale x scale pixels of the noise that `low_dose` adds.

    hu: (rows, columns), multiples of scale. Returns (rows/scale, columns/scale) float32. It
    includes the photon floor and ignores any clipping. The block mean is a filter: a view at angle
    t sees its response along the line of the view, box(k cos t) box(k sin t) at k cycles per pixel.
    Raises ValueError as `noise_fields` does, and where a size is not a multiple of scale.
    """
    check_dose(dose)
    pixel_mm = pixel_mm_of(spacing_mm)
    square, place = _in_square(hu)
    counts, sigma, _ = _photon_counts(square, pixel_mm, photons, scanner, dose)
    by_quantum, by_electronics = dose_weights(dose)
    variance = by_quantum**2 / counts + (by_electronics * sigma / counts) ** 2
    geometry = projector(len(square), scanner.views)
    angle = np.pi * np.arange(scanner.views)[:, None] / scanner.views
    across, down = geometry.frequency * np.cos(angle), geometry.frequency * np.sin(angle)
    block = np.prod([np.sinc(scale * k) / np.sinc(k) for k in (across, down)], axis=0)
    response = filter_response(geometry, scanner.filter_cutoff * pixel_mm) * block
    (pixel_variance,) = variance_map(geometry, variance[None], response)
    # The map holds the variance of a block around each pixel; a block of even size lies between
    # four of them.
    sd = np.sqrt(area_mean(pixel_variance[place], scale))
    return sd * np.float32(scanner.hu_per_line(pixel_mm))


def _in_square(hu: np.ndarray) -> tuple[np.ndarray, tuple[slice, slice]]:
    """The slice in the middle of a square of air, and the rows and columns it takes there."""
    rows, columns = hu.shape
    n = max(rows, columns)
    top, left = (n - rows) // 2, (n - columns) // 2
    place = slice(top, top + rows), slice(left, left + columns)
    if rows == columns:
        return hu, place
    square = np.full((n, n), AIR_HU, np.float32)
    square[place] = hu
    return square, place
