"""Random numbers that depend only on the seed, the name of a stream, and a number."""

import numpy as np

# One stream for each purpose, so that none changes the random numbers of another.
TRAIN, VALIDATION, STUDY_NOISE, STUDY_PATCHES, FIELDS, SIMULATE, STUDY_LEVELS = range(7)
NOISE_RANGE = 7


def generator_of(seed: int, stream: int, k: int, realisation: int = 0) -> np.random.Generator:
    """The generator of batch or slice k (0 to 2^64 - 1) in a stream.

    k is the highest word of the counter, so the numbers of neighbours cannot overlap.
    """
    return np.random.Generator(np.random.Philox(key=seed, counter=[0, realisation, stream, k]))


def slice_number(pixels_sha256: str) -> int:
    """The k of a slice, from its pixels, so that its noise is the same in any folder."""
    return int(pixels_sha256[:16], 16)
