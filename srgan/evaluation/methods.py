"""Methods to compare: functions from a low-dose slice to the full matrix, HU in and HU out."""

from collections.abc import Callable
from functools import partial

import numpy as np

from srgan.errors import UserError
from srgan.hounsfield import HU_MAX, HU_MIN, bicubic, hu_to_network, nearest, network_to_hu

Method = Callable[[np.ndarray], np.ndarray]


def classical(scale: int) -> dict[str, Method]:
    """Enlargements that learn nothing: "nearest", and "bicubic" aligned with the area mean.

    Each takes (h, w) HU and returns (scale*h, scale*w) float32 HU, not clipped.
    """
    return {"nearest": partial(nearest, scale=scale), "bicubic": partial(bicubic, scale=scale)}


def network(model) -> Method:
    """A Keras generator as a method: (h, w) HU to (scale*h, scale*w) float32 HU in [-1024, 3071].

    model: takes (1, h, w, 1) float32 in [-1, 1] and returns (1, scale*h, scale*w, 1) of any float
    type. It is compiled once, for slices and patches of all sizes. The method raises UserError
    where the network's output is not finite.
    """
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((1, None, None, 1), tf.float32)])
    def enlarge(batch):
        return tf.cast(model(batch, training=False), tf.float32)

    def method(low_dose: np.ndarray) -> np.ndarray:
        batch = hu_to_network(low_dose.astype(np.float32))[None, :, :, None]
        output = enlarge(tf.constant(batch, tf.float32)).numpy()[0, :, :, 0]
        if not np.isfinite(output).all():
            raise UserError(
                "the network gives values that are not finite: its training diverged; train "
                "again with --fresh"
            )
        return np.clip(network_to_hu(output), HU_MIN, HU_MAX).astype(np.float32)

    return method
