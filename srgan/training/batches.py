"""Batches of (low dose, normal dose) patches: batch k is a pure function of (seed, k).

A patch is cut, flipped and turned. Noise is added at full resolution in HU, then come clipping and
the area mean, and last the range of the networks.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from srgan.hounsfield import HU_MAX, HU_MIN, hu_to_network
from srgan.lowdose.degradation import Degradation, degrade
from srgan.lowdose.noise_cache import SliceNoise
from srgan.lowdose.real_pairs import PairNoise
from srgan.random_streams import TRAIN, generator_of
from srgan.system import mapped

INSIDE_HU = -930  # between air with its noise and lung
INSIDE_SHARE = 0.5
TRIES = 8  # to find a patch that lies mostly in the body


@dataclass(frozen=True)
class SliceSet:
    """The slices of the training or of the validation patients, and their noise.

    hu: (rows, columns) int16 for each slice. noise: for each slice where the dose model works in
    the projections, or where the low dose was measured, else None.
    """

    hu: Sequence[np.ndarray]
    noise: Sequence[SliceNoise] | Sequence[PairNoise] | None = None

    def arrays(self) -> Iterator[np.ndarray]:
        """What batches are read from."""
        yield from self.hu
        for noise in self.noise or ():
            yield from noise.arrays


def patch_of(hu: np.ndarray, size: int, rng: np.random.Generator) -> Callable:
    """Choose a random patch of (size, size) pixels, mostly in the body, flipped and turned.

    Returns the function that cuts it from the slice, or from the noise of the slice.
    """
    for _ in range(TRIES):
        row = rng.integers(hu.shape[0] - size + 1)
        column = rng.integers(hu.shape[1] - size + 1)
        place = (slice(row, row + size), slice(column, column + size))
        if np.count_nonzero(hu[place] > INSIDE_HU) >= INSIDE_SHARE * size**2:
            break
    turns, flipped = rng.integers(4), rng.integers(2)

    def cut(image: np.ndarray) -> np.ndarray:
        patch = image[place]
        if turns == 1:  # as np.rot90, which takes longer than the copy of a patch
            patch = patch[:, ::-1].T
        elif turns == 2:
            patch = patch[::-1, ::-1]
        elif turns == 3:
            patch = patch.T[:, ::-1]
        return patch[:, ::-1] if flipped else patch

    return cut


def patches(
    slices: SliceSet, n: int, crop: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray | None]:
    """n patches of random slices, (n, crop, crop), and their noise, (kinds, n, crop, crop).

    float32 HU. None where the noise is not one of the slice.
    """
    normal = np.empty((n, crop, crop), np.float32)
    fields = None
    if slices.noise is not None:
        fields = np.empty((slices.noise[0].n_fields, n, crop, crop), np.float32)
    for i in range(n):
        number = rng.integers(len(slices.hu))
        hu = slices.hu[number]
        cut = patch_of(hu, crop, rng)
        normal[i] = cut(hu)
        if fields is not None:
            slices.noise[number].draw(cut, rng, fields[:, i])
    return normal, fields


def batch(
    slices: SliceSet,
    n: int,
    crop: int,
    degradation: Degradation,
    seed: int,
    k: int,
    stream: int = TRAIN,
) -> tuple[np.ndarray, np.ndarray]:
    """Batch k of n patches: (low dose, normal dose), float32 in [-1, 1].

    Shapes (n, crop/scale, crop/scale, 1) and (n, crop, crop, 1). A slice must have at least
    crop x crop pixels.
    """
    rng = generator_of(seed, stream, k)
    return low_and_normal(*patches(slices, n, crop, rng), degradation, rng)


def low_and_normal(
    normal: np.ndarray,
    fields: np.ndarray | None,
    degradation: Degradation,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Patches and their noise, as `patches` gives them, to the pair that a batch is."""
    np.clip(normal, HU_MIN, HU_MAX, out=normal)
    low = degrade(normal, degradation, rng, fields)
    return tuple(hu_to_network(x)[..., None].astype(np.float32) for x in (low, normal))


def dataset(
    slices: SliceSet,
    n: int,
    crop: int,
    degradation: Degradation,
    seed: int,
    first: int,
    last: int,
):
    """Batches first <= k < last in order as a tf.data.Dataset with static shapes."""
    import tensorflow as tf

    files = mapped.files_of(slices.arrays())
    cutting = threading.Lock()

    def make(k):
        rng = generator_of(seed, TRAIN, int(k))
        # One at a time: many short calls, which only one thread can make at once. Several would
        # wake each other for each. The random numbers of the noise are made side by side.
        with cutting:
            cut = patches(slices, n, crop, rng)
            mapped.forget(files)
        return low_and_normal(*cut, degradation, rng)

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
