"""How fast projection noise is made, compared with scikit-image's radon and iradon on one core.

python benchmarks/projection_speed.py [--rounds 5]

A 512x512 slice at 360 views: both noise fields, with the projector built before, against one radon
and two iradon (Hann). Goal: 20 times as fast. Then the estimate of photons, and the peak of memory
after 5 and after 40 slices, which must not grow.
"""

import os
import sys
import tracemalloc
from functools import partial
from pathlib import Path
from timeit import timeit

sys.path.insert(0, str(Path(__file__).parent.parent))

os.environ["OMP_NUM_THREADS"] = "1"  # before NumPy is imported
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"

import numpy as np
from skimage.transform import iradon, radon

from benchmarks.common import parser
from srgan.lowdose import estimate_photons
from srgan.lowdose.projection_noise import noise_fields
from srgan.lowdose.projector import projector
from srgan.lowdose.scanner import Scanner
from srgan.phantom import chest

PHOTONS, DOSE = 3e5, 0.1
seconds = partial(timeit, number=1)


def main() -> None:
    arguments = parser(__doc__)
    arguments.add_argument("--rounds", type=int, default=5)
    rounds = arguments.parse_args().rounds
    if hasattr(os, "sched_setaffinity"):  # not on macOS and Windows
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    volume, (pixel, _, _) = chest.chest(0, 0, 4)
    scanner, rng = Scanner(), np.random.default_rng(0)
    angles = np.arange(scanner.views) * 180 / scanner.views

    def fields(k: int = 1) -> None:
        noise_fields(volume[k % 4], (pixel, pixel), PHOTONS, scanner, DOSE, rng)

    def estimate() -> None:
        estimate_photons.estimate(volume[1], (pixel, pixel), scanner)

    outside = np.hypot(*(np.mgrid[:512, :512] - 255.5)) > 255  # where radon wants zeros
    water = np.where(outside, 0, volume[1] / 1000 + 1).astype(np.float32)

    def scikit_image() -> None:
        lines = radon(water, angles)
        for _ in range(2):
            iradon(rng.standard_normal(lines.shape, np.float32), angles, filter_name="hann")

    built = seconds(lambda: projector(512, scanner.views))
    fields()
    # One after the other in each round, so that the load of the machine affects both.
    times = [[min(seconds(fields) for _ in range(3)), seconds(scikit_image)] for _ in range(rounds)]
    fast, slow = np.array(times).T
    estimates = np.array([seconds(estimate) for _ in range(2 * rounds)])
    print(f"one core, 512x512, {scanner.views} views; the projector took {built:.2f} s once")
    for what, t in (("both fields", fast), ("radon and 2 iradon", slow), ("estimate", estimates)):
        print(
            f"{what}: best {t.min():.3f} s, median {np.median(t):.3f} s, {1 / t.min():.2f} a second"
        )
    ratio = slow / fast
    print(
        f"ratio to scikit-image: best by best {slow.min() / fast.min():.0f}, median of rounds "
        f"{np.median(ratio):.0f} ({ratio.min():.0f} to {ratio.max():.0f}); goal 20"
    )
    tracemalloc.start()
    for slices in (5, 40):
        for k in range(slices):
            fields(k)
        peak = tracemalloc.get_traced_memory()[1] / 1e6
        print(f"peak beyond the projector after {slices} slices: {peak:.1f} MB")


if __name__ == "__main__":
    main()
