"""What can be said about one scan and its output without a normal dose.

The noise of the input, whether the output agrees with it, what happened to the mean of each tissue,
and how much structure was removed with the noise. All is measured in a few slices of the scan.
"""

from dataclasses import dataclass, field

import numpy as np

from srgan.enhancement.slice_function import NATIVE, Use
from srgan.hounsfield import HU_MAX, HU_MIN
from srgan.lowdose.degradation import Degradation
from srgan.lowdose.image_noise import ImageNoise
from srgan.masks import body_mask
from srgan.metrics import faithfulness, input_noise
from srgan.metrics.removed_structure import removed_structure
from srgan.metrics.slice_output import tissue_masks
from srgan.resampling import area_mean

SLICES = 15  # that are measured
SOFT_TISSUE_HU = 40.0  # where noise is measured
# Tissues are cut from the input itself at scale 2 and 4, from its 2x2 means at scale 1, by scale:
AVERAGED_PX = {1: 2, 2: 1, 4: 1}  # pixels of the input
COARSER = {1: 2, 2: 2, 4: 3}  # see tissue_masks; 4 would leave a smoothing of 0.75 px


@dataclass(frozen=True)
class SliceTrust:
    """What was measured in one slice; None where the slice does not show what that needs."""

    noise_hu: float | None  # of the network's input
    before_hu: dict[str, float] = field(default_factory=dict)  # mean of each tissue in the input
    after_hu: dict[str, float] = field(default_factory=dict)  # of the same pixels in the output
    chi2: float | None = None  # of the consistency, at scale 2 and 4
    wide_spots: int | None = None
    removed_share: float | None = None  # of structure, at scale 1
    removed_spot: float | None = None


def sampled(n: int) -> list[int]:
    """Which of n slices are measured: 15 that are evenly spaced, or all."""
    count = min(n, SLICES)
    return [(2 * k + 1) * n // (2 * count) for k in range(count)]


def of_slice(
    hu_in: np.ndarray, hu_out: np.ndarray, use: Use, degradation: Degradation
) -> SliceTrust:
    """Measure a slice. hu_in: (rows, columns) HU. hu_out: what the network made of it, HU.

    degradation: of the training. It says how noise depends on HU, where it does.
    """
    given, output = _as_the_network_has_them(hu_in, hu_out, use)
    scale, means = use.scale, area_mean(output, use.scale)
    noise_hu, body = input_noise.sd_hu(given, scale), body_mask(given)
    before_hu, after_hu = _tissue_means(given, means, body, scale)
    found = {"noise_hu": noise_hu, "before_hu": before_hu, "after_hu": after_hu}
    if scale == 1:
        removed = removed_structure(before=given, after=output)
        return SliceTrust(**found, removed_share=removed.share, removed_spot=removed.spot)
    if noise_hu is None:
        return SliceTrust(**found)
    consistency = faithfulness.consistency(
        output=output,
        low_dose=given,
        sd_hu=noise_hu * _relative_sd(given, degradation),
        body=body.repeat(scale, 0).repeat(scale, 1),
        scale=scale,
    )
    return SliceTrust(**found, chi2=consistency.chi2, wide_spots=consistency.wide_spots)


def _as_the_network_has_them(
    hu_in: np.ndarray, hu_out: np.ndarray, use: Use
) -> tuple[np.ndarray, np.ndarray]:
    """The network's own input, (h, w), and its output, (scale*h, scale*w): float32 HU."""
    given, output = (x.clip(HU_MIN, HU_MAX).astype(np.float32) for x in (hu_in, hu_out))
    if use.kind != NATIVE:
        return given, output
    rows, columns = (n - n % use.scale for n in given.shape)
    return area_mean(given[:rows, :columns], use.scale), output[:rows, :columns]


def _relative_sd(given: np.ndarray, degradation: Degradation) -> np.ndarray:
    """The SD of the noise at each pixel over that in soft tissue: (h, w).

    By the formula of the training's noise where it has one, else constant.
    """
    noise = degradation.middle().noise
    if not isinstance(noise, ImageNoise):
        return np.ones(given.shape)
    here, soft = (
        noise.expected_sd_hu(low_dose=hu, scale=degradation.scale)
        for hu in (given, np.array(SOFT_TISSUE_HU))
    )
    return here / soft


def _tissue_means(
    given: np.ndarray, means: np.ndarray, body: np.ndarray, scale: int
) -> tuple[dict[str, float], dict[str, float]]:
    """Mean HU of each tissue of the input, before and after; (h, w) each."""
    n = AVERAGED_PX[scale]
    rows, columns = (size - size % n for size in given.shape)
    before, after, inside = (
        area_mean(x[:rows, :columns].astype(np.float32), n) for x in (given, means, body)
    )
    masks = tissue_masks(before, inside > 0.99, coarser=COARSER[scale])
    return tuple(
        {name: float(x[mask].mean()) for name, mask in masks.items()} for x in (before, after)
    )
