"""How many training pairs a second the tf.data pipeline gives by itself.

python benchmarks/pipeline.py [--batches 400] [--rounds 3]

Goals at batch 16 on two cores: 2,000 with image noise, 1,500 with projection noise, whose fields
are as in the cache but in memory. Best of the rounds; both noise models take turns in a round.
"""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np

from benchmarks import common
from srgan.lowdose import noise_cache
from srgan.models import tensorflow_setup
from srgan.phantom import chest
from srgan.settings import Settings, degradation_of
from srgan.training import batches

PHOTONS, SKIPPED = 3e5, 20


def cached(hu: np.ndarray, pixel: float, rng: np.random.Generator) -> noise_cache.SliceNoise:
    """One realisation, in memory."""
    noise = degradation_of(Settings(noise="projection")).noise
    fields = noise.new_fields(hu, (pixel, pixel), PHOTONS, rng)
    stored, hu_per_unit = noise_cache.packed(fields)
    return noise_cache.SliceNoise(stored[None], hu_per_unit[None], PHOTONS, None, fields.at_floor)


def pairs_a_second(part, settings: Settings, n_batches: int) -> float:
    n, degradation = settings.batch_size, degradation_of(settings)
    data = batches.dataset(part, n, settings.crop, degradation, 0, 0, n_batches + SKIPPED)
    for k, _ in enumerate(data):
        if k == SKIPPED:
            began = time.perf_counter()
    return n * (n_batches - 1) / (time.perf_counter() - began)


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--batches", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    tensorflow_setup.start("float32")
    rng, slices, noise = np.random.default_rng(0), [], []
    for patient in range(4):
        volume, (pixel, _, _) = chest.chest(0, patient, 6)
        slices += list(volume)
        noise += [cached(hu, pixel, rng) for hu in volume]
    parts = {"image": batches.SliceSet(slices), "projection": batches.SliceSet(slices, noise)}
    rates = {kind: [] for kind in parts}
    for _ in range(given.rounds):
        for kind, part in parts.items():
            rates[kind].append(pairs_a_second(part, Settings(noise=kind), given.batches))
    for kind, found in rates.items():
        every = ", ".join(f"{rate:.0f}" for rate in found)
        print(f"{kind} noise: {max(found):.0f} pairs/s, best of {every}")


if __name__ == "__main__":
    main()
