"""Does what was exported give what the network gives in this program?"""

from collections.abc import Callable

import numpy as np

from srgan.evaluation import baselines
from srgan.hounsfield import HU_MAX, HU_MIN
from srgan.system.errors import UserError

OfBatch = Callable[
    [np.ndarray], np.ndarray
]  # (batch, rows, columns) float32 HU to the same, larger
BOUND_HU = 0.05
SHAPES = ((1, 31, 47), (2, 64, 48), (1, 128, 128))  # batch, rows, columns


def images() -> list[np.ndarray]:
    """Made slices of SHAPES, float32 HU: areas of tissue with edges and noise, the same always.

    Some values lie outside of [-1024, 3071], as metal does.
    """
    rng = np.random.default_rng(0)
    made = []
    for batch, rows, columns in SHAPES:
        areas = rng.uniform(-1000, 200, (batch, rows // 8 + 1, columns // 8 + 1))
        areas[:, 1, 1:3] = -2000, 4000
        hu = np.kron(areas, np.ones((1, 8, 8)))[:, :rows, :columns]
        made.append((hu + rng.normal(0, 40, hu.shape)).astype(np.float32))
    return made


def of_batch(network) -> OfBatch:
    """A generator in this program as a function of a batch; the input is clipped."""
    method = baselines.network(network)
    return lambda batch: np.stack([method(np.clip(hu, HU_MIN, HU_MAX)) for hu in batch])


def largest_difference_hu(exported: OfBatch, network) -> float:
    """Between what was exported and a generator in this program, over `images`.

    Raises UserError where it is above BOUND_HU.
    """
    wanted = of_batch(network)
    largest = float(np.max([np.abs(exported(hu) - wanted(hu)).max() for hu in images()]))
    if not largest <= BOUND_HU:  # not a number counts as different
        raise UserError(
            f"the exported network differs from this program's by {largest:.3g} HU, more than "
            f"{BOUND_HU:g} HU, so nothing was written: is TensorFlow sound on this machine?"
        )
    return largest
