"""Hounsfield units (HU): air, windows, and the range of the networks.

All modules exchange HU. The range [-1, 1] is used only between training batches and networks.
"""

from collections.abc import Mapping
from typing import NamedTuple

AIR_HU = -1024.0  # also the value of padding
HU_MIN = -1024.0
HU_MAX = 3071.0
HU_SPAN = HU_MAX - HU_MIN  # 4095; divide by this, never by 4096


class Window(NamedTuple):
    """A display window in HU; its width is the data range of PSNR and SSIM."""

    low: float
    high: float

    @property
    def width(self) -> float:
        return self.high - self.low

    def __str__(self) -> str:
        """Limits and data range, as printed beside a metric."""
        return f"{self.low:g}..{self.high:g} HU, range {self.width:g}"


Windows = Mapping[str, Window]
WINDOWS = {
    "full": Window(HU_MIN, HU_MAX),
    "lung": Window(-1350.0, 150.0),  # level -600, width 1500
    "mediastinum": Window(-160.0, 240.0),  # level 40, width 400
}


def hu_to_fraction(hu):
    """HU to the fraction of full scale, x = (HU + 1024) / 4095. Not clipped."""
    return (hu - HU_MIN) / HU_SPAN


def fraction_to_hu(x):
    """The inverse of `hu_to_fraction`."""
    return x * HU_SPAN + HU_MIN


def hu_to_network(hu):
    """HU to the range of the networks: -1024 HU to -1, 3071 HU to 1. Not clipped."""
    return (hu - HU_MIN) * (2.0 / HU_SPAN) - 1.0


def network_to_hu(y):
    """The inverse of `hu_to_network`."""
    return (y + 1.0) * (HU_SPAN / 2.0) + HU_MIN
