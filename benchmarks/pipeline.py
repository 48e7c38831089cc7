"""How many training pairs a second the tf.data pipeline gives by itself, and what a pair costs.

python benchmarks/pipeline.py [--batches 400] [--rounds 3]

Goals at batch 16 on two cores: 4,000 with image noise, 2,500 with projection noise, whose fields
are as in the cache but in memory. Median of the rounds, in which both noise models take turns. CPU
is the time that a pair takes of all processors together: the training needs them too.
"""

import resource
import statistics
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
KINDS = ("image", "projection")


def cached(hu: np.ndarray, pixel: float, rng: np.random.Generator) -> noise_cache.SliceNoise:
    """One realisation, in memory."""
    noise = degradation_of(Settings(noise="projection")).noise
    fields = noise.new_fields(hu, (pixel, pixel), PHOTONS, rng)
    stored, hu_per_unit = noise_cache.packed(fields)
    return noise_cache.SliceNoise(stored[None], hu_per_unit[None], PHOTONS, None, fields.at_floor)


def slice_sets() -> dict[str, batches.SliceSet]:
    """24 slices of synthetic chests, for each kind of noise."""
    rng, slices, noise = np.random.default_rng(0), [], []
    for patient in range(4):
        volume, (pixel, _, _) = chest.chest(0, patient, 6)
        slices += list(volume)
        noise += [cached(hu, pixel, rng) for hu in volume]
    return {"image": batches.SliceSet(slices), "projection": batches.SliceSet(slices, noise)}


def pairs_a_second(part: batches.SliceSet, kind: str, n_batches: int = 400) -> tuple[float, float]:
    """(pairs a second, CPU seconds of a pair) at the default batch and crop."""
    settings = Settings(noise=kind)
    n, degradation = settings.batch_size, degradation_of(settings)
    data = batches.dataset(part, n, settings.crop, degradation, 0, 0, n_batches + SKIPPED)
    for k, _ in enumerate(data):
        if k == SKIPPED:
            began, cpu_began = time.perf_counter(), _cpu_s()
    pairs = n * (n_batches - 1)
    return pairs / (time.perf_counter() - began), (_cpu_s() - cpu_began) / pairs


def _cpu_s() -> float:
    """Of all threads of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--batches", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    tensorflow_setup.start("float32")
    parts, found = slice_sets(), {kind: [] for kind in KINDS}
    for _ in range(given.rounds):
        for kind in KINDS:
            found[kind].append(pairs_a_second(parts[kind], kind, given.batches))
    for kind in KINDS:
        rates, cpu_s = zip(*found[kind], strict=True)
        every = ", ".join(f"{rate:.0f}" for rate in rates)
        print(
            f"{kind} noise: {statistics.median(rates):.0f} pairs/s (median of {every}), "
            f"{1e6 * statistics.median(cpu_s):.0f} us of CPU a pair"
        )


if __name__ == "__main__":
    main()
