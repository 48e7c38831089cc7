"""Random numbers by name: what is drawn depends on the seed, a stream and a number alone."""

import numpy as np

# Streams keep apart what is drawn for different ends under one seed.
TRAIN, VALIDATION, STUDY_NOISE, STUDY_PATCHES, FIELDS, SIMULATE, STUDY_LEVELS = range(7)


def generator_of(seed: int, stream: int, k: int, realisation: int = 0) -> np.random.Generator:
    """Random numbers of batch or slice k (0 to 2^64 - 1) in a stream.

    k lies in the highest word of the counter, which keeps neighbours apart.
    """
    return np.random.Generator(np.random.Philox(key=seed, counter=[0, realisation, stream, k]))


def slice_number(pixels_sha256: str) -> int:
    """The k of a slice: its pixels name its noise, so that it has the same in any folder."""
    return int(pixels_sha256[:16], 16)
