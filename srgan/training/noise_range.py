"""How noisy the inputs are that a network is trained on, from the quietest to the noisiest.

It is recorded so that --run enhance can say whether a scan lies in that range.
"""

import itertools
from collections.abc import Iterator

import numpy as np

from srgan.hounsfield import HU_MAX, HU_MIN
from srgan.lowdose.degradation import Degradation, degrade
from srgan.lowdose.levels import Levels
from srgan.metrics import input_noise
from srgan.random_streams import NOISE_RANGE, generator_of
from srgan.training.batches import SliceSet
from srgan.training.manifest import NoiseRange

SLICES = 16  # evenly chosen; a slice takes 0.1 to 0.3 s
SPREAD = 10  # percent of the slices that may lie outside at either end


def measured(slices: SliceSet, degradation: Degradation, seed: int) -> NoiseRange | None:
    """The range over the training slices; None where none of them shows flat soft tissue.

    Each slice is low-dosed at the ends of the noise levels. The low end is what 10 % of the slices
    are below at their quietest, the high end what 10 % are above at their noisiest. It takes
    random numbers from a stream of its own.
    """
    n = len(slices.hu)
    chosen = sorted({k * n // SLICES for k in range(SLICES)})
    found = [values for k in chosen if (values := list(_noise_of(slices, k, degradation, seed)))]
    if not found:
        return None
    low = np.percentile([min(values) for values in found], SPREAD)
    high = np.percentile([max(values) for values in found], 100 - SPREAD)
    return NoiseRange(float(low), float(high), len(found))


def _noise_of(slices: SliceSet, k: int, degradation: Degradation, seed: int) -> Iterator[float]:
    """The noise of slice k as an input, at each end of the levels."""
    scale = degradation.scale
    rows, columns = (size - size % scale for size in slices.hu[k].shape)
    hu = slices.hu[k][:rows, :columns].astype(np.float32).clip(HU_MIN, HU_MAX)
    fields = None
    if slices.noise is not None:
        fields = slices.noise[k].fields()[:, None, :rows, :columns]
    for here in _ends(degradation):
        low_dose = degrade(hu[None], here, generator_of(seed, NOISE_RANGE, k), fields)[0]
        if (sd_hu := input_noise.sd_hu(low_dose, scale)) is not None:
            yield sd_hu


def _ends(degradation: Degradation) -> list[Degradation]:
    """One degradation for each combination of the lowest and highest levels."""
    levels = degradation.levels
    ends = [dict.fromkeys((Levels((x.low,)), Levels((x.high,)))) for x in levels.values()]
    return [
        degradation.with_levels(dict(zip(levels, each, strict=True)))
        for each in itertools.product(*ends)
    ]
