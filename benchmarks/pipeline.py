"""How many training pairs a second the tf.data pipeline gives by itself.

python benchmarks/pipeline.py [--batches 400] [--noise image|projection|both] [--rounds 3]

Goals at batch 16 on two cores: 2,000 with image noise, 1,500 with projection noise, whose fields
are as in the cache but in memory. Best of the rounds; both noise models take turns in a round.
"""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np

from benchmarks import common
from srgan.lowdose.noise_cache import TOP, SliceNoise
from srgan.models import tensorflow_setup
from srgan.phantom import chest
from srgan.settings import Settings, degradation_of
from srgan.training import batches

PHOTONS, SKIPPED = 3e5, 20


def cached(
    hu: np.ndarray, pixel: float, settings: Settings, rng: np.random.Generator
) -> SliceNoise:
    """One realisation, stored as in srgan/lowdose/noise_cache.py."""
    noise = degradation_of(settings).noise
    fields = noise.new_fields(hu, (pixel, pixel), PHOTONS, rng)
    both = np.stack([fields.quantum, fields.electronic])
    hu_per_unit = np.abs(both).max((1, 2)) / TOP
    stored = np.rint(both / hu_per_unit[:, None, None]).astype(np.int16)
    return SliceNoise(stored[None], hu_per_unit[None], PHOTONS, None, fields.at_floor)


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
    parser.add_argument("--noise", choices=("image", "projection", "both"), default="both")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    tensorflow_setup.start("float32")
    rng, slices, noise = np.random.default_rng(0), [], []
    kinds = ("image", "projection") if given.noise == "both" else (given.noise,)
    for patient in range(4):
        volume, (pixel, _, _) = chest.chest(0, patient, 6)
        slices += list(volume)
        if "projection" in kinds:
            noise += [cached(hu, pixel, Settings(noise="projection"), rng) for hu in volume]
    rates = {kind: [] for kind in kinds}
    for _ in range(given.rounds):
        for kind in kinds:
            part = batches.SliceSet(slices, noise if kind == "projection" else None)
            rates[kind].append(pairs_a_second(part, Settings(noise=kind), given.batches))
    for kind, found in rates.items():
        every = ", ".join(f"{rate:.0f}" for rate in found)
        print(f"{kind} noise: {max(found):.0f} pairs/s, best of {every}")


if __name__ == "__main__":
    main()
