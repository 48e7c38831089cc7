"""A generator with HU in and HU out, as one TensorFlow graph of any batch, height and width."""

from functools import partial

import tensorflow as tf

from srgan.hounsfield import HU_MAX, HU_MIN, hu_to_network, network_to_hu

INPUT, OUTPUT = "low_dose_hu", "normal_dose_hu"
SIGNATURE = [tf.TensorSpec((None, None, None), tf.float32, name=INPUT)]


class HuNetwork(tf.Module):
    """(batch, rows, columns) float32 HU to (batch, scale*rows, scale*columns) float32 HU.

    Input and output are clipped to [-1024, 3071] HU. Batch normalisation uses the statistics of the
    training. network: of models.generator, in float32.
    """

    def __init__(self, network):
        super().__init__()
        self._generator = partial(network, training=False)  # an attribute of Keras would be saved
        self.weights = [weight.value for weight in network.weights]

    @tf.function(input_signature=SIGNATURE)
    def __call__(self, low_dose_hu):
        low = hu_to_network(tf.clip_by_value(low_dose_hu, HU_MIN, HU_MAX))
        normal = self._generator(low[..., None])[..., 0]
        return tf.clip_by_value(network_to_hu(normal), HU_MIN, HU_MAX)

    @tf.function(input_signature=SIGNATURE)
    def named(self, low_dose_hu):
        """The same with a name for the output."""
        return {OUTPUT: self(low_dose_hu)}
