"""Adam in one pass over each variable (Kingma & Ba 2015, algorithm 1)."""

import keras
import tensorflow as tf


class Adam(keras.optimizers.Adam):
    """Adam as in Keras, in TensorFlow's own kernel.

    Keras' update makes a dozen passes over each variable and its moments. In a GAN step of batch 16
    that is a twentieth of the time.
    """

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        step = tf.cast(self.iterations + 1, variable.dtype)
        tf.raw_ops.ResourceApplyAdam(
            var=_handle(variable),
            m=_handle(self._momentums[index]),
            v=_handle(self._velocities[index]),
            beta1_power=self.beta_1**step,
            beta2_power=self.beta_2**step,
            lr=learning_rate,
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )


def _handle(variable):
    """Keras hands over its own variables, or those of TensorFlow."""
    return getattr(variable, "_value", variable).handle
