"""How fast is projection noise made, beside scikit-image's radon and iradon on the same core?

python benchmarks/projection.py [--rounds 5]

One core. A 512x512 slice at 360 views: both noise fields (projector built before) against one radon
and two iradon (Hann). Goal: 20 times as fast. Then the estimate of photons, and the peak of memory
after 5 and after 40 slices, which must not grow.
"""

import argparse
import os
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

os.environ["OMP_NUM_THREADS"] = "1"  # before NumPy is imported
os.environ["OPENBLAS_NUM_THREADS"] = "1"
os.environ["MKL_NUM_THREADS"] = "1"

import numpy as np
from skimage.transform import iradon, radon

from srgan.lowdose import estimate_photons
from srgan.lowdose.projection_noise import Scanner, noise_fields
from srgan.lowdose.projector import projector
from srgan.phantom import chest

PHOTONS, DOSE = 3e5, 0.1


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def one_core() -> None:
    if hasattr(os, "sched_setaffinity"):  # not on macOS and Windows
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    one_core()
    volume, (pixel, _, _) = chest.chest(0, 0, 4)
    scanner, rng = Scanner(), np.random.default_rng(0)
    angles = np.arange(scanner.views) * 180 / scanner.views

    def ours(k: int = 1) -> None:
        noise_fields(volume[k % 4], (pixel, pixel), PHOTONS, scanner, DOSE, rng)

    def matched() -> None:
        estimate_photons.estimate(volume[1], (pixel, pixel), scanner)

    away = np.hypot(*(np.mgrid[:512, :512] - 255.5)) > 255  # outside its circle radon wants zeros
    water = np.where(away, 0, volume[1] / 1000 + 1).astype(np.float32)

    def reference() -> None:
        lines = radon(water, angles)
        for _ in range(2):
            iradon(rng.standard_normal(lines.shape, np.float32), angles, filter_name="hann")

    built = seconds(lambda: projector(512, scanner.views))
    ours()
    times = []
    for _ in range(rounds):  # side by side: the machine's load hits both
        times.append([min(seconds(ours) for _ in range(3)), seconds(reference)])
    fast, slow = np.array(times).T
    estimates = np.array([seconds(matched) for _ in range(2 * rounds)])
    print(f"one core, 512x512, {scanner.views} views; the projector took {built:.2f} s once")
    for what, t in (("both fields", fast), ("radon and 2 iradon", slow), ("estimate", estimates)):
        print(
            f"{what}: best {t.min():.3f} s, median {np.median(t):.3f} s, {1 / t.min():.2f} a second"
        )
    ratio = slow / fast
    print(f"ratio to scikit-image: best by best {slow.min() / fast.min():.0f}, median of rounds "
          f"{np.median(ratio):.0f} ({ratio.min():.0f} to {ratio.max():.0f}); goal 20")  # fmt: skip
    tracemalloc.start()
    for slices in (5, 40):
        for k in range(slices):
            ours(k)
        print(f"peak beyond the projector after {slices} slices: "
              f"{tracemalloc.get_traced_memory()[1] / 1e6:.1f} MB")  # fmt: skip


if __name__ == "__main__":
    main()
