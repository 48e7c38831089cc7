"""How many pairs a second does the tf.data pipeline give by itself?

python benchmarks/pipeline.py [--batches 400] [--noise image|projection|both] [--rounds 3]

Goals at batch 16 on two cores: 2,000 with image noise, 1,500 with projection noise (fields from the
cache, which is made in memory here). Best of the rounds; both models take turns in a round.
"""

import argparse
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np

from srgan.lowdose.noise_cache import TOP, Cached
from srgan.lowdose.projection_noise import noise_fields
from srgan.models import tensorflow_setup
from srgan.phantom import chest
from srgan.settings import Settings, degradation_of
from srgan.training import batches

PHOTONS = 3e5


def cached(hu: np.ndarray, pixel: float, settings: Settings, rng: np.random.Generator) -> Cached:
    """One realisation, stored as srgan/lowdose/noise_cache.py stores it."""
    noise = degradation_of(settings).noise
    made = noise_fields(hu, (pixel, pixel), PHOTONS, noise.scanner, noise.dose.low, rng)
    fields = np.stack([made.quantum, made.electronic])
    hu_per_unit = np.abs(fields).max((1, 2)) / TOP
    stored = np.rint(fields / hu_per_unit[:, None, None]).astype(np.int16)
    return Cached(stored[None], hu_per_unit[None], PHOTONS, None, made.at_floor)


def pairs_a_second(side: batches.Side, settings: Settings, n_batches: int) -> float:
    n, skipped = settings.batch_size, 20
    degradation = degradation_of(settings)
    data = batches.dataset(side, n, settings.crop, degradation, 0, 0, n_batches + skipped)
    for k, _ in enumerate(data):
        if k == skipped:
            began = time.perf_counter()
    return n * (n_batches - 1) / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
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
            side = batches.Side(slices, noise if kind == "projection" else None)
            rates[kind].append(pairs_a_second(side, Settings(noise=kind), given.batches))
    for kind, found in rates.items():
        every = ", ".join(f"{rate:.0f}" for rate in found)
        print(f"{kind} noise: {max(found):.0f} pairs/s, best of {every}")


if __name__ == "__main__":
    main()
