import keras
import numpy as np
import tensorflow as tf

from srgan.training.adam import Adam


def after_fifty_steps(kind) -> list[np.ndarray]:
    """Two variables and all of the optimizer's."""
    variables = [keras.Variable(np.ones((4, 8), np.float32)), keras.Variable(np.zeros(3, "f"))]
    optimizer = kind(1e-3, beta_1=0.9, beta_2=0.99)
    optimizer.build(variables)
    step = tf.function(lambda *gradients: optimizer.apply(gradients, variables))
    rng = np.random.default_rng(0)
    for k in range(50):
        optimizer.learning_rate = 1e-3 * (1 - k / 100)
        step(*(tf.constant(rng.normal(size=v.shape), tf.float32) for v in variables))
    return [v.numpy() for v in (*variables, *optimizer.variables)]


def test_adam_equals_that_of_keras_after_fifty_steps_and_so_do_its_moments():
    both = after_fifty_steps(Adam), after_fifty_steps(keras.optimizers.Adam)
    for ours, theirs in zip(*both, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
