"""Are these pixels Hounsfield units (HU)? A header says so of grey values and masks as well.

The pixels alone decide, whatever the file's format. In 228 slices of more than 70 patients, chest
and abdomen, at least 7 % of the pixels lie above -1024 and up to -300 HU, and at least 8 % above
-300 HU; of these at most 3 % lie above 700 HU; no value above -900 HU fills more than 1.2 %. A lost
offset, a lost sign, a picture and a mask lie far from that. The limits below leave room for a head
(an eighth of its tissue is dense bone), a limb, a water phantom and a phantom without noise.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from srgan.hounsfield import AIR_HU, HU_MAX
from srgan.system.errors import Skip

REASON = "not HU"
TISSUE_HU = -300  # above it lies what is neither air nor lung
DENSE_HU = 700  # above it lie cortical bone, teeth and metal
METAL_HU = 2500
MIN_VALUES = 3  # different ones; a mask has two, an empty slice one
MIN_TISSUE = 0.04  # of all pixels of a series; less where an offset was subtracted twice
MAX_ONE_VALUE = 0.4  # of all pixels that one value above lung fills: more where a mask was applied
LUNG_HU = -900
MIN_AIR = 0.01  # of all pixels, between padding and TISSUE_HU
# Of the pixels above TISSUE_HU. A slice through the top of the skull may be bone to two thirds.
MAX_DENSE_SERIES, MAX_DENSE_SLICE, MAX_DENSE_WITHOUT_AIR = 0.3, 0.8, 0.1
MAX_METAL = 0.05
FAT_HU = -50  # without air, the least value must reach fat
MAX_AT_END = 0.01  # without air, of the pixels that have the least value, or the greatest
SIGNED_BYTE = (-128, 127)
COUNTED = 128  # rows and columns: of larger slices every second, third, ... one is counted


def check_slice(hu: np.ndarray) -> None:
    """Raise Skip("not HU", what was seen) unless one slice can be HU.

    hu: (rows, columns) int16, at least -1024. A slice of air alone can be.
    """
    counts = _Counts.of([hu])
    if counts.above(TISSUE_HU) >= MIN_TISSUE:  # less: above the head, below the feet, padding
        _raise(_fault(counts, MAX_DENSE_SLICE), [hu])


def check_series(slices: Sequence[np.ndarray]) -> None:
    """Raise Skip("not HU", what was seen) unless a sample of a series' slices can be HU together.

    slices: arrays as of `check_slice`; at least one.
    """
    counts = _Counts.of(slices)
    fault = _fault(counts, MAX_DENSE_SERIES)
    if fault is None and counts.above(TISSUE_HU) < MIN_TISSUE:
        fault = f"{1 - counts.above(TISSUE_HU):.0%} of the pixels lie below {TISSUE_HU}"
    _raise(fault, slices)


@dataclass(frozen=True)
class _Counts:
    """How many pixels have each value from AIR_HU to HU_MAX (or more), and how many up to it."""

    at: np.ndarray
    up_to: np.ndarray

    @classmethod
    def of(cls, slices: Sequence[np.ndarray]) -> "_Counts":
        at = np.zeros(int(HU_MAX - AIR_HU) + 1, np.int64)
        for hu in slices:
            step = max(1, math.isqrt(hu.size) // COUNTED)
            values = np.minimum(hu[::step, ::step], int(HU_MAX)).ravel()
            at += np.bincount(values.astype(np.intp) - int(AIR_HU), minlength=len(at))
        return cls(at, at.cumsum())

    @property
    def different(self) -> int:
        return int(np.count_nonzero(self.at))

    def above(self, value: int) -> float:
        """The share of all pixels that lie above a value."""
        return 1.0 - self.up_to[value - int(AIR_HU)] / self.up_to[-1]


def _fault(counts: _Counts, max_dense: float) -> str | None:
    """What cannot be so of HU; None where all can."""
    tissue, n = counts.above(TISSUE_HU), counts.up_to[-1]
    dense = counts.above(DENSE_HU) / max(tissue, 1 / n)
    one_value = counts.at[LUNG_HU - int(AIR_HU) :].max() / n
    if counts.different < MIN_VALUES:
        return "one value" if counts.different == 1 else "two values"
    if counts.above(METAL_HU) > MAX_METAL:
        return f"{counts.above(METAL_HU):.0%} of the pixels lie above {METAL_HU}"
    if one_value > MAX_ONE_VALUE:
        return f"{one_value:.0%} of the pixels have one value"
    if 1 - tissue - counts.at[0] / n < MIN_AIR:  # what has AIR_HU itself may be padding
        return _fault_without_air(counts, dense)
    if dense > max_dense:
        return f"{dense:.0%} of what is not air lies above {DENSE_HU}"
    return None


def _fault_without_air(counts: _Counts, dense: float) -> str | None:
    """The same for a slice cropped inside the body: it must reach fat, and not be cut off there."""
    inside = counts.at[1:]
    present = np.flatnonzero(inside)
    least = int(AIR_HU) + 1 + int(present[0])
    if least > FAT_HU:
        return f"nothing below {least} but padding" if counts.at[0] else f"nothing below {least}"
    if least == SIGNED_BYTE[0] and least + present[-1] - present[0] <= SIGNED_BYTE[1]:
        return "no air, and all values are those of 8 bits with a sign"
    at_ends = inside[present[[0, -1]]].max() / inside.sum()
    if at_ends > MAX_AT_END:
        return f"no air, and {at_ends:.0%} of the pixels have the least or the greatest value"
    if dense > MAX_DENSE_WITHOUT_AIR:
        return f"no air, and {dense:.0%} of the pixels lie above {DENSE_HU}"
    return None


def _raise(fault: str | None, slices: Sequence[np.ndarray]) -> None:
    if fault is not None:
        values = np.concatenate([hu.ravel() for hu in slices])
        seen = f"least {values.min()}, greatest {values.max()}, median {np.median(values):g}"
        raise Skip(REASON, f"{seen}: {fault}")
