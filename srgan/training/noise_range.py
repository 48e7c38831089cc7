"""How noisy the inputs are that a network is trained on, from the quietest to the noisiest.

It is recorded so that --run enhance can say whether a scan lies in that range.
"""

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
QUIET_WHERE_HIGH = ("dose", "noise_lambda")  # levels; of all others a high one is noisy
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
    """The quietest and the noisiest levels; one degradation where there is a single level."""
    levels = degradation.levels
    quiet = {n: x.high if n in QUIET_WHERE_HIGH else x.low for n, x in levels.items()}
    noisy = {n: x.low if n in QUIET_WHERE_HIGH else x.high for n, x in levels.items()}
    ends = [quiet] if quiet == noisy else [quiet, noisy]
    return [
        degradation.with_levels({name: Levels((value,)) for name, value in end.items()})
        for end in ends
    ]
