"""One nodule in an output and in its normal dose, and blobs that look like nodules but are new.

Both images are measured in the same pixels: an inner disc around the centre of the nodule, and a
ring of lung around it. Distances are in mm, whatever the pixel spacing.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

RING_MM = (2.0, 7.0)  # beyond the radius of the nodule
LEAST_LUNG = 0.25  # share of the ring that must be lung; otherwise the whole ring counts
# A region that reaches this far (or a radius) beyond the nodule includes another structure.
LEAST_REACH_PX = 3
SEEN_SDS, LOST_SDS = 3.0, 2.0  # contrast in SDs of the ring
LOST_SHARE = 0.3  # of the contrast in the normal dose
BLOB_MM = (4.0, 6.0, 9.0)  # diameters that the blob detector looks for
# Least response of a blob. The noise of a quarter dose, added to 21 slices, made no such blob.
BLOB_HU = 100.0
NEAR_MM = 3.0
SUPPORT = 0.5  # share of the output's response that the normal dose must have


@dataclass(frozen=True)
class NoduleInSlice:
    """An annotated nodule in the pixels of a cropped slice."""

    number: int  # within the patient
    row_px: float
    column_px: float
    diameter_mm: float


@dataclass(frozen=True)
class NoduleMeasurement:
    """One nodule in one image."""

    contrast_hu: float  # mean of the inner disc minus median of the ring
    mean_hu: float  # of the inner disc
    ring_sd_hu: float  # 1.4826 times the median absolute deviation
    diameter_mm: float | None  # see `measure`


@dataclass(frozen=True)
class NoduleRegion:
    """The pixels that a nodule is measured in. The masks are (rows, columns) bool of `part`."""

    part: tuple[slice, slice]  # of the slice
    disc: np.ndarray
    ring: np.ndarray
    outside: np.ndarray  # belongs to another structure
    pixel_mm2: float

    @classmethod
    def around(
        cls, nodule: NoduleInSlice, lung: np.ndarray, spacing_mm: tuple[float, float]
    ) -> "NoduleRegion | None":
        """The region of a nodule; None where it lies outside the slice.

        lung: (rows, columns) bool, of the normal dose. spacing_mm: between rows, between columns.
        """
        row_mm, column_mm = spacing_mm
        radius, pixel = nodule.diameter_mm / 2, max(spacing_mm)
        beyond = max(radius, LEAST_REACH_PX * pixel)
        part = _part_around(nodule, radius + max(RING_MM[1], beyond), spacing_mm, lung.shape)
        rows, columns = (np.arange(p.start, p.stop) for p in part)
        distance = np.hypot(
            (rows[:, None] - nodule.row_px) * row_mm, (columns - nodule.column_px) * column_mm
        )
        disc = distance <= max(radius / 2, pixel)
        if not disc.any():
            return None
        ring = (distance > radius + RING_MM[0]) & (distance <= radius + RING_MM[1])
        in_lung = ring & lung[part]
        ring = in_lung if in_lung.sum() >= LEAST_LUNG * ring.sum() else ring
        outside = distance > radius + beyond
        return cls(part, disc, ring, outside, row_mm * column_mm) if ring.any() else None


def _part_around(
    nodule: NoduleInSlice, reach_mm: float, spacing_mm: tuple[float, float], shape: tuple[int, int]
) -> tuple[slice, slice]:
    """The rows and columns within reach of a nodule; empty where it lies outside the slice."""
    part = []
    for centre, mm, size in zip((nodule.row_px, nodule.column_px), spacing_mm, shape, strict=True):
        first, last = int(centre - reach_mm / mm), int(centre + reach_mm / mm) + 2
        part.append(slice(max(first, 0), min(max(last, 0), size)))
    return tuple(part)


def measure(image: np.ndarray, region: NoduleRegion) -> NoduleMeasurement:
    """A nodule in an image of (rows, columns) HU.

    The diameter is that of a circle with the area of the connected region, around the inner disc,
    above the middle between the mean of the disc and the median of the ring. It is None where there
    is no contrast, or where the region runs into another structure.
    """
    image = image[region.part].astype(np.float64)
    mean, background = image[region.disc].mean(), np.median(image[region.ring])
    sd = 1.4826 * np.median(np.abs(image[region.ring] - background))
    label, _ = ndimage.label(image > (mean + background) / 2)
    inside = np.bincount(label[region.disc])
    inside[0] = 0
    diameter = None
    if mean > background and inside.any():
        bright = label == inside.argmax()
        if not (bright & region.outside).any():
            diameter = 2 * float(np.sqrt(bright.sum() * region.pixel_mm2 / np.pi))
    return NoduleMeasurement(float(mean - background), float(mean), float(sd), diameter)


def is_visible(normal: NoduleMeasurement) -> bool:
    """Whether the normal dose itself shows the nodule. If not, no output can lose it."""
    return normal.contrast_hu > 0 and normal.contrast_hu >= SEEN_SDS * normal.ring_sd_hu


def has_vanished(output: NoduleMeasurement, normal: NoduleMeasurement) -> bool:
    """Whether less than 0.3 of the contrast is left, or less than two SDs of the output's ring.

    The share is needed because a smooth output has hardly any noise. It lies between what bicubic
    keeps of a blurred nodule and what is left where a nodule was removed (docs/metrics.md).
    """
    least = max(LOST_SHARE * normal.contrast_hu, LOST_SDS * output.ring_sd_hu)
    return output.contrast_hu < least


def blob_response(
    image: np.ndarray, spacing_mm: tuple[float, float], diameter_mm: float
) -> np.ndarray:
    """-sigma^2 times the Laplacian of a Gaussian, in HU: large in the middle of a bright disc.

    sigma = d / (2 sqrt 2): the middle of a disc of diameter d and contrast c then gives 2/e c =
    0.74 c (T. Lindeberg, Int. J. Comput. Vision 30 (1998) 79). image: (rows, columns) HU.
    """
    sigma_mm = diameter_mm / np.sqrt(8)
    sigma_px = [sigma_mm / mm for mm in spacing_mm]
    response = np.zeros(image.shape)
    for axis, mm in enumerate(spacing_mm):
        order = [2 if a == axis else 0 for a in (0, 1)]
        response -= ndimage.gaussian_filter(image.astype(np.float64), sigma_px, order) / mm**2
    return sigma_mm**2 * response


def new_blobs(
    output: np.ndarray, reference: np.ndarray, lung: np.ndarray, spacing_mm: tuple[float, float]
) -> list[tuple[int, int, float]]:
    """(row, column, response in HU) of blobs in the output's lung that the normal dose lacks.

    output, reference: (rows, columns) HU. lung: bool, the same shape. A blob is a local maximum of
    `blob_response` of at least BLOB_HU. The normal dose lacks it where its response stays below
    half of that within 3 mm across and down. Blobs closer than 3 mm count once.
    """
    if not lung.any():
        return []
    margin_px = [int(2 * BLOB_MM[-1] / mm) for mm in spacing_mm]
    part = tuple(
        slice(max(int(at.min()) - margin, 0), int(at.max()) + margin + 1)
        for at, margin in zip(np.nonzero(lung), margin_px, strict=True)
    )
    near_px = [2 * int(np.ceil(NEAR_MM / mm)) + 1 for mm in spacing_mm]
    strongest = np.zeros(lung[part].shape)
    for diameter_mm in BLOB_MM:
        here, there = (
            blob_response(image[part], spacing_mm, diameter_mm) for image in (output, reference)
        )
        there = ndimage.maximum_filter(there, near_px)
        new = lung[part] & (here >= BLOB_HU) & (there < SUPPORT * here)
        strongest = np.maximum(strongest, np.where(new, here, 0))
    peaks = (strongest > 0) & (strongest == ndimage.maximum_filter(strongest, near_px))
    return [
        (int(r) + part[0].start, int(c) + part[1].start, float(strongest[r, c]))
        for r, c in np.argwhere(peaks)
    ]
