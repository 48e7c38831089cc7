"""Pairs of patches for training: batch k is a pure function of (seed, k).

Crop, flip and turn, noise at full resolution, clip, area mean, and only then the networks' range.
"""

from collections.abc import Sequence

import numpy as np

from srgan.dose.image import Degradation, degrade
from srgan.hounsfield import HU_MAX, HU_MIN, hu_to_network

TRAIN, VALIDATION = 0, 1  # streams of random numbers
INSIDE_HU = -930.0  # the noise of air stays below it, lung above
INSIDE_SHARE = 0.5
TRIES = 8


def generator_of(seed: int, stream: int, k: int) -> np.random.Generator:
    """Random numbers of batch k; k in the highest word keeps neighbouring batches apart."""
    return np.random.Generator(np.random.Philox(key=seed, counter=[0, 0, stream, k]))


def crop_patch(hu: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """A random (size, size) patch of a slice, mostly inside the body, flipped and turned."""
    for _ in range(TRIES):
        row = rng.integers(hu.shape[0] - size + 1)
        column = rng.integers(hu.shape[1] - size + 1)
        patch = hu[row : row + size, column : column + size]
        if np.count_nonzero(patch > INSIDE_HU) >= INSIDE_SHARE * patch.size:
            break
    patch = np.rot90(patch, rng.integers(4))
    return patch[:, ::-1] if rng.integers(2) else patch


def batch(
    slices: Sequence[np.ndarray],
    n: int,
    crop: int,
    degradation: Degradation,
    seed: int,
    k: int,
    stream: int = TRAIN,
) -> tuple[np.ndarray, np.ndarray]:
    """Batch k: (low dose, normal dose), float32 in the networks' range.

    slices: (rows, columns) int16 HU, each at least crop x crop. Shapes (n, crop/scale, crop/scale,
    1) and (n, crop, crop, 1).
    """
    rng = generator_of(seed, stream, k)
    normal = np.empty((n, crop, crop), np.float32)
    for i in range(n):
        normal[i] = crop_patch(slices[rng.integers(len(slices))], crop, rng)
    np.clip(normal, HU_MIN, HU_MAX, out=normal)
    low = degrade(normal, degradation, rng)
    return tuple(hu_to_network(x)[..., None].astype(np.float32) for x in (low, normal))


def dataset(
    slices: Sequence[np.ndarray],
    n: int,
    crop: int,
    degradation: Degradation,
    seed: int,
    first: int,
    last: int,
):
    """Batches first <= k < last in order as a tf.data.Dataset with static shapes."""
    import tensorflow as tf

    def make(k):
        return batch(slices, n, crop, degradation, seed, int(k))

    def load(k):
        low, normal = tf.numpy_function(make, [k], (tf.float32, tf.float32), stateful=False)
        small = crop // degradation.scale
        return tf.ensure_shape(low, (n, small, small, 1)), tf.ensure_shape(
            normal, (n, crop, crop, 1)
        )

    options = tf.data.Options()
    options.deterministic = True
    options.autotune.enabled = False
    options.threading.private_threadpool_size = 2
    batches = tf.data.Dataset.range(first, last).map(load, num_parallel_calls=2)
    return batches.with_options(options).prefetch(8)
