"""Slices with known answers, scans of them counted photon by photon, and a slow projector."""

import numpy as np
from scipy import ndimage

from srgan.lowdose import projection_noise
from srgan.lowdose.projection_noise import Fields
from srgan.lowdose.projector import filtered, projector
from srgan.lowdose.scanner import Scanner

SPACING = 0.7, 0.7  # mm; 512 pixels hold the thorax


def ellipse(size: int, pixel_mm: float, across: float, down: float, x=0.0, y=0.0) -> np.ndarray:
    """Area of each pixel inside an ellipse, 0..1: half axes and centre in mm, x right, y down."""
    rows, columns = (np.mgrid[:size, :size] - (size - 1) / 2) * pixel_mm
    rows, columns = rows - y, columns - x
    radius = np.hypot(columns / across, rows / down)
    slope = np.hypot(columns / across**2, rows / down**2) / np.maximum(radius, 1e-9)
    slope[radius < 1e-9] = 1
    return np.clip(0.5 + (1 - radius) / (slope * pixel_mm), 0, 1)


def painted(size: int, pixel_mm: float, parts) -> np.ndarray:
    """(size, size) float32 HU: (HU, half axes, centre) painted one over another on air."""
    hu = np.full((size, size), -1000.0)
    for value, *place in parts:
        inside = ellipse(size, pixel_mm, *place)
        hu += inside * (value - hu)
    return hu.astype(np.float32)


def water(size: int = 512, pixel_mm: float = 0.7, radius: float = 150.0) -> np.ndarray:
    return painted(size, pixel_mm, [(0, radius, radius)])


def thorax(size: int = 512, pixel_mm: float = 0.7) -> np.ndarray:
    """340 x 230 mm: soft tissue, two lungs, heart and spine."""
    parts = [
        (20, 170, 115),
        (-850, 58, 85, -80, 0),
        (-850, 58, 85, 80, 0),
        (45, 50, 45, 10, -15),
        (300, 20, 20, 0, 75),
    ]
    return painted(size, pixel_mm, parts)


def with_anatomy(hu: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Smooth blobs of 12 HU SD added to what is denser than lung."""
    blobs = ndimage.gaussian_filter(rng.standard_normal(hu.shape, np.float32), 8)
    return hu + 12 / blobs.std() * blobs * (hu > -200)


def regions(size: int = 512, pixel_mm: float = 0.7) -> dict[str, np.ndarray]:
    """Masks of the thorax, each well inside its tissue."""
    places = {
        "heart": (40, 35, 10, -15),
        "lung": (20, 60, -110, 0),
        "chest wall": (50, 6, 0, -100),
        "spine": (16, 16, 0, 75),
        "air": (12, 60, 173, -110),
    }
    return {name: ellipse(size, pixel_mm, *place) == 1 for name, place in places.items()}


def starvation(inserts: bool = True, size: int = 512, pixel_mm: float = 0.75) -> np.ndarray:
    """Water, 360 x 240 mm, with two inserts of 50 mm and 1500 HU beside each other."""
    dense = [(1500, 25, 25, x, 0) for x in (-90, 90)] if inserts else []
    return painted(size, pixel_mm, [(0, 180, 120), *dense])


def counted(hu, pixel_mm, photons, scanner: Scanner, rng, doses=(1.0,), depth=None) -> np.ndarray:
    """(doses, size, size) HU of scans counted photon by photon: Poisson and electronic noise.

    hu: the slice without noise. depth: its `projection_noise.attenuation`, where it is known.
    Readings below one count are set to one.
    """
    geometry = projector(len(hu), scanner.views)
    depth = projection_noise.attenuation(hu, pixel_mm, scanner) if depth is None else depth
    start, sigma = scanner.readings(photons, pixel_mm)
    start = start * np.reshape(doses, (-1, 1, 1))
    counts = rng.poisson(start * np.exp(-depth)).astype(np.float32)
    counts += np.float32(sigma) * rng.standard_normal(counts.shape, np.float32)
    lines = np.log(start / np.maximum(counts, 1)) - projection_noise.bowtie(
        geometry, pixel_mm, scanner
    )
    images = filtered(geometry, lines, scanner.filter_cutoff * pixel_mm)
    return images * np.float32(scanner.hu_per_line(pixel_mm)) - 1000


def spread(images: np.ndarray) -> np.ndarray:
    """Variance of each pixel over realisations (the first axis)."""
    return np.var(images, axis=0, ddof=1, dtype=np.float64)


def sd_over(images: np.ndarray, mask: np.ndarray) -> float:
    """Root mean over a mask of the variance over realisations (the first axis)."""
    return float(np.sqrt(spread(np.asarray(images)[:, mask]).mean()))


def realisations(hu, photons, scanner: Scanner, lowest_dose, seeds, pixel_mm=0.7) -> list[Fields]:
    """The noise fields of a slice, once for each seed."""
    level = (pixel_mm, pixel_mm), photons, scanner, lowest_dose
    return [
        projection_noise.noise_fields(hu, *level, np.random.default_rng(seed)) for seed in seeds
    ]


def slow_forward(image: np.ndarray, views: int, bins: int) -> np.ndarray:
    """Line integrals by linear interpolation between bins, pixel by pixel: (views, bins)."""
    rows, columns = np.mgrid[: len(image), : len(image)] - (len(image) - 1) / 2
    sinogram = np.zeros((views, bins))
    for view, angle in zip(sinogram, np.pi * np.arange(views) / views, strict=True):
        position = columns * np.cos(angle) - rows * np.sin(angle) + bins // 2
        below = np.floor(position).astype(int)
        for index, weight in ((below, below + 1 - position), (below + 1, position - below)):
            view += np.bincount(index.ravel(), (image * weight).ravel(), bins)
    return sinogram
