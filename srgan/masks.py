"""Masks of the body and the lungs of a slice, and whether a slice was masked by others."""

import numpy as np
from scipy import ndimage


def has_body(hu: np.ndarray, share: float = 0.1) -> bool:
    """Whether at least `share` of the slice is above -500 HU after a binary opening.

    hu: (rows, columns). The opening, by a cross on every second pixel, removes table and noise.
    Written out it is five times as fast as SciPy's.
    """
    solid = np.pad(hu[::2, ::2] > -500, 2)
    eroded = np.logical_and.reduce(_cross(solid))
    return bool(np.logical_or.reduce(_cross(eroded)).mean() >= share)


def _cross(mask: np.ndarray) -> tuple[np.ndarray, ...]:
    """The inner pixels of a mask, and the same shifted to their four neighbours."""
    shifts = ((0, 0), (-1, 0), (1, 0), (0, -1), (0, 1))
    rows, columns = mask.shape
    return tuple(mask[1 + r : rows - 1 + r, 1 + c : columns - 1 + c] for r, c in shifts)


def body_mask(hu: np.ndarray) -> np.ndarray:
    """The largest connected region above -400 HU, with its holes (the lungs) filled.

    hu: (rows, columns). Returns a bool mask of that shape.
    """
    smooth = ndimage.gaussian_filter(hu.astype(np.float32), 1.0)
    solid = ndimage.binary_opening(smooth > -400, iterations=3)
    label, n = ndimage.label(solid)
    if n == 0:
        return solid
    largest = 1 + int(np.argmax(ndimage.sum_labels(solid, label, range(1, n + 1))))
    return ndimage.binary_fill_holes(label == largest)


def lung_mask(hu: np.ndarray) -> np.ndarray:
    """The lung inside the body, below -600 HU, all False where there is none.

    hu: (rows, columns). Returns a bool mask of that shape.
    """
    inside = ndimage.binary_erosion(body_mask(hu), iterations=4)
    dark = ndimage.gaussian_filter(hu.astype(np.float32), 1.5) < -600
    return ndimage.binary_opening(dark & inside, iterations=6)


def flat_shares(a: np.ndarray, b: np.ndarray) -> list[float]:
    """How many pixels have the value of the one before, in either; of those alone that differ.

    a, b: slices, (..., rows, columns). Of two shapes all pixels count. A copy that was masked or
    cut off to one value has a larger share than its source, which has noise there.
    """
    shares = [hu[..., 1:] == hu[..., :-1] for hu in (a, b)]
    if a.shape == b.shape:
        differ = (a != b)[..., 1:]
        shares = [equal[differ] for equal in shares] if differ.any() else [differ, differ]
    return [float(equal.mean()) if equal.size else 0.0 for equal in shares]
