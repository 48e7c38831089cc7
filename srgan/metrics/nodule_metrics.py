"""One nodule in an output and in its normal dose, and what looks like one and is not there.

Both images are measured with the same pixels: an inner disc around the nodule's centre, and a ring
of lung around it. Distances are in mm, whatever the pixels' spacing.
"""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

RING_MM = (2.0, 7.0)  # beyond the nodule's radius
LEAST_RING = 0.25  # of the ring is lung, else all of it counts
LEAST_REACH_PX = 3  # a region that goes a radius, or so far, beyond the nodule is not it alone
SEEN_SDS, LOST_SDS = 3.0, 2.0  # contrast in SDs of the ring
LOST_SHARE = 0.3  # of the normal dose's contrast
BLOB_MM = (4.0, 6.0, 9.0)  # diameters that the detector is tuned to
BLOB_HU = 100.0  # of response: no blob in 21 slices to which the noise of a quarter dose was added
NEAR_MM = 3.0
SUPPORT = 0.5  # of the output's response


@dataclass(frozen=True)
class Spot:
    """A nodule as an annotation has it, in the pixels of a cropped slice."""

    number: int  # within the patient
    row_px: float
    column_px: float
    diameter_mm: float


@dataclass(frozen=True)
class Measured:
    """One nodule in one image; None where nothing can be measured."""

    contrast_hu: float  # mean of the inner disc less the ring's median
    mean_hu: float  # of the inner disc
    ring_sd_hu: float  # 1.4826 of the median absolute deviation
    diameter_mm: float | None  # of the circle of the area above half of the contrast


@dataclass(frozen=True)
class Where:
    """The pixels that a nodule is measured in: (rows, columns) bool each, of a part of a slice."""

    part: tuple[slice, slice]
    disc: np.ndarray
    ring: np.ndarray
    edge: np.ndarray  # outside: another structure
    pixel_mm2: float

    @classmethod
    def of(cls, spot: Spot, lung: np.ndarray, spacing_mm: tuple[float, float]) -> "Where | None":
        """lung: (rows, columns) bool, of the normal dose. None outside the slice."""
        row_mm, column_mm = spacing_mm
        radius, pixel = spot.diameter_mm / 2, max(spacing_mm)
        beyond = max(radius, LEAST_REACH_PX * pixel)
        reach = radius + max(RING_MM[1], beyond)
        part = []
        for centre, mm, size in zip(
            (spot.row_px, spot.column_px), spacing_mm, lung.shape, strict=True
        ):
            first, last = int(centre - reach / mm), int(centre + reach / mm) + 2
            part.append(slice(max(first, 0), min(max(last, 0), size)))
        rows, columns = (np.arange(p.start, p.stop) for p in part)
        far = np.hypot(
            (rows[:, None] - spot.row_px) * row_mm, (columns - spot.column_px) * column_mm
        )
        disc = far <= max(radius / 2, pixel)
        if not disc.any():
            return None
        ring = (far > radius + RING_MM[0]) & (far <= radius + RING_MM[1])
        in_lung = ring & lung[tuple(part)]
        ring = in_lung if in_lung.sum() >= LEAST_RING * ring.sum() else ring
        edge = far > radius + beyond
        return cls(tuple(part), disc, ring, edge, row_mm * column_mm) if ring.any() else None


def measure(image: np.ndarray, where: Where) -> Measured:
    """A nodule in an image of (rows, columns) HU.

    The diameter is that of a circle with the area of the region around the inner disc that lies
    above the middle of the disc's mean and the ring's median; None where there is no contrast or
    the region runs into another structure.
    """
    image = image[where.part].astype(np.float64)
    mean, around = image[where.disc].mean(), np.median(image[where.ring])
    sd = 1.4826 * np.median(np.abs(image[where.ring] - around))
    label, _ = ndimage.label(image > (mean + around) / 2)
    inside = np.bincount(label[where.disc])
    inside[0] = 0
    diameter = None
    if mean > around and inside.any():
        region = label == inside.argmax()
        if not (region & where.edge).any():
            diameter = 2 * float(np.sqrt(region.sum() * where.pixel_mm2 / np.pi))
    return Measured(float(mean - around), float(mean), float(sd), diameter)


def is_seen(normal: Measured) -> bool:
    """Can the nodule be told from the noise around it at all? If not, no output can lose it."""
    return normal.contrast_hu > 0 and normal.contrast_hu >= SEEN_SDS * normal.ring_sd_hu


def has_vanished(output: Measured, normal: Measured) -> bool:
    """Is less than 0.3 of the contrast left, or less than two SDs of the output's own ring?

    By share, as a smooth output has no noise to be lost in. The bound lies between what bicubic
    leaves of a blurred nodule and what is left where one was taken out (docs/metrics.md).
    """
    least = max(LOST_SHARE * normal.contrast_hu, LOST_SDS * output.ring_sd_hu)
    return output.contrast_hu < least


def response(image: np.ndarray, spacing_mm: tuple[float, float], diameter_mm: float) -> np.ndarray:
    """-sigma^2 times the Laplacian of a Gaussian: how much of a bright disc there is, in HU.

    sigma = d / (2 sqrt 2), at which the middle of a disc of diameter d and contrast c gives
    2/e c = 0.74 c (Lindeberg, Int J Comput Vision 1998;30:79). image: (rows, columns) HU.
    """
    sigma_mm = diameter_mm / np.sqrt(8)
    sigma = [sigma_mm / mm for mm in spacing_mm]
    made = np.zeros(image.shape)
    for axis, mm in enumerate(spacing_mm):
        order = [2 if a == axis else 0 for a in (0, 1)]
        made -= ndimage.gaussian_filter(image.astype(np.float64), sigma, order=order) / mm**2
    return sigma_mm**2 * made


def appeared(
    output: np.ndarray, reference: np.ndarray, lung: np.ndarray, spacing_mm: tuple[float, float]
) -> list[tuple[int, int, float]]:
    """(row, column, response in HU) of blobs in the output's lung that the normal dose lacks.

    A blob: a local maximum of `response` of at least BLOB_HU. The normal dose lacks it where its
    response, within 3 mm across and down, is below half of that. Blobs nearer than 3 mm are one.
    """
    if not lung.any():
        return []
    margin = [int(2 * BLOB_MM[-1] / mm) for mm in spacing_mm]
    part = tuple(
        slice(max(int(at.min()) - more, 0), int(at.max()) + more + 1)
        for at, more in zip(np.nonzero(lung), margin, strict=True)
    )
    near = [2 * int(np.ceil(NEAR_MM / mm)) + 1 for mm in spacing_mm]
    best = np.zeros(lung[part].shape)
    for diameter_mm in BLOB_MM:
        here, there = (
            response(each[part], spacing_mm, diameter_mm) for each in (output, reference)
        )
        there = ndimage.maximum_filter(there, near)
        new = lung[part] & (here >= BLOB_HU) & (there < SUPPORT * here)
        best = np.maximum(best, np.where(new, here, 0))
    peaks = (best > 0) & (best == ndimage.maximum_filter(best, near))
    return [
        (int(r) + part[0].start, int(c) + part[1].start, float(best[r, c]))
        for r, c in np.argwhere(peaks)
    ]
