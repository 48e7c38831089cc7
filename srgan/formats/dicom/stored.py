"""Which bits hold new HU, and the words of a picture."""

from dataclasses import replace

import numpy as np
from pydicom.dataset import Dataset

from srgan.formats.derived import SourceSlice, stored_hu
from srgan.formats.dicom.pixels import PixelData, values_to_words
from srgan.hounsfield import HU_MAX, HU_MIN

WHOLE_HU = {"slope": 1.0, "intercept": 0.0}


def limits(pixel_data: PixelData) -> tuple[int, int]:
    """The lowest and the highest stored value."""
    lowest = -(1 << pixel_data.bits_stored - 1) if pixel_data.signed else 0
    return lowest, lowest + (1 << pixel_data.bits_stored) - 1


def holding(source: PixelData, is_enlarged: bool) -> PixelData:
    """How new HU are stored: as in the source where that holds -1024 to 3071, else in 16 bits.

    On the source's grid slope and intercept stay, so that no value is rounded anew; where no 16
    bits with them hold the result either, it is cut. On a finer grid it is whole HU then.
    """
    wide = {"bits_stored": 16, "high_bit": 15}
    if is_enlarged:
        source = replace(source, padding=None)
    choices = [source, replace(source, **wide), replace(source, **wide, signed=True)]
    if is_enlarged:
        choices.append(replace(source, **wide, signed=True, **WHOLE_HU))
    low, high = limits(source)
    for choice in choices:
        lowest, highest = limits(choice)
        ends = [value * choice.slope + choice.intercept for value in (lowest, highest)]
        keeps = is_enlarged or (lowest <= low and high <= highest)
        # Half a step may be missing: it is rounded.
        spare = abs(choice.slope) / 2
        if keeps and min(ends) <= HU_MIN + spare and max(ends) >= HU_MAX - spare:
            return choice
    return source


def words(source: SourceSlice, new_hu: np.ndarray, layout: PixelData) -> np.ndarray:
    """The new picture as uint16, each value rounded.

    On the source's grid padding stays as it is, and so does each pixel without a change.
    """
    lowest, highest = limits(layout)
    hu = stored_hu(source, new_hu)
    np.nan_to_num(hu, copy=False, nan=HU_MIN)  # of a volume of floats
    hu -= layout.intercept
    hu /= layout.slope
    np.rint(hu, out=hu)
    values = np.clip(hu, lowest, highest, out=hu).astype(np.int32)
    return values_to_words(values, layout)


def elements(shape: tuple[int, int], source: PixelData, layout: PixelData) -> Dataset:
    """How a picture of this shape is stored, but for what stays as it is in the source."""
    new = Dataset()
    new.add_new("SamplesPerPixel", "US", 1)
    new.add_new("Rows", "US", shape[0])
    new.add_new("Columns", "US", shape[1])
    new.add_new("BitsAllocated", "US", 16)
    new.add_new("BitsStored", "US", layout.bits_stored)
    new.add_new("HighBit", "US", layout.high_bit)
    new.add_new("PixelRepresentation", "US", int(layout.signed))
    if (layout.slope, layout.intercept) != (source.slope, source.intercept):
        new.update(whole_hu())
    if layout.padding:
        first, last = layout.padding
        vr = "SS" if layout.signed else "US"
        new.add_new("PixelPaddingValue", vr, first)
        if last != first:
            new.add_new("PixelPaddingRangeLimit", vr, last)
    return new


def whole_hu() -> Dataset:
    """Stored values are HU."""
    new = Dataset()
    new.add_new("RescaleSlope", "DS", "1")
    new.add_new("RescaleIntercept", "DS", "0")
    new.add_new("RescaleType", "LO", "HU")
    return new
