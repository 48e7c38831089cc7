"""The noise power of an output beside the normal dose's, in boxes of soft tissue.

A box holds what anatomy is left in it, too: in the output as in the normal dose. Spectra are kept
at the same frequencies for all pixel sizes, so that they can be averaged over patients.
"""

import numpy as np
from scipy import ndimage

from srgan.lowdose.estimate_photons import SMOOTH_PX, SOFT_TISSUE_HU
from srgan.metrics.similarity import boxes_in, nps

BOX = 32  # pixels; of 64 hardly one fits into a chest
STEP = 8
FEWEST = 4  # boxes, which overlap
PER_MM = tuple(
    f"{0.025 * i:.3f}" for i in range(1, 41)
)  # the frequencies, as summary.json has them

Power = dict[str, float | None]  # HU^2 mm^2 by frequency; None beyond Nyquist, or without a box


def soft_boxes(reference: np.ndarray) -> list[tuple]:
    """Squares of 32 pixels in the soft tissue of a (rows, columns) HU slice; none under four."""
    smooth = ndimage.gaussian_filter(np.clip(reference, -1024, 400), SMOOTH_PX)
    low, high = SOFT_TISSUE_HU
    soft = ndimage.binary_closing((smooth > low) & (smooth < high))
    found = boxes_in(soft, box=BOX, step=STEP)
    return found if len(found) >= FEWEST else []


def power_of(image: np.ndarray, boxes: list[tuple], pixel_mm: float) -> Power:
    """The radial NPS of the boxes of a (rows, columns) HU slice, each less its plane."""
    if not boxes:
        return dict.fromkeys(PER_MM)
    found = nps(image, pixel_mm=pixel_mm, box=BOX, places=boxes, plane=True)
    power = np.interp(np.array(PER_MM, float), found.frequency, found.power, np.nan, np.nan)
    return {f: None if np.isnan(p) else float(p) for f, p in zip(PER_MM, power, strict=True)}


def distance(output: Power, normal: Power) -> float | None:
    """Integral of |S_output - S_normal| over the plane by that of S_normal, up to Nyquist.

    0 where they are equal, 1 where the output has nothing; None where nothing was measured.
    """
    known = [f for f, power in normal.items() if power is not None]
    apart = sum(float(f) * abs(output[f] - normal[f]) for f in known)
    whole = sum(float(f) * normal[f] for f in known)
    return apart / whole if whole else None
