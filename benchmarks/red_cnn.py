"""A denoiser in the form of RED-CNN, on the bicubic enlargement of the low dose.

H. Chen et al., Low-dose CT with a residual encoder-decoder convolutional neural network, IEEE
Trans. Med. Imaging 36 (2017) 2524: five convolutions and five transposed ones, 96 maps, 5x5,
without padding, three shortcuts, mean squared error. Two things are for minutes instead of days, by
the gain over bicubic on validation patches after 610 steps with crops of 32, one seed each: 0.45 dB
as here, 0.33 dB with first kernels of the paper's SD of 0.01, 0.28 dB with these and a rate of 1e-3
(the paper's is 1e-4). The rate falls along a cosine by the clock.
"""

import time

import numpy as np

from srgan.lowdose.degradation import Degradation
from srgan.training import batches
from srgan.training.batches import SliceSet
from srgan.training.plan import cosine

MAPS, SIZE = 96, 5
START_SD = 0.029  # of the first kernels: sqrt(2 / (25 * 96)), He et al. 2015
RATE, WARM_UP, CLIP = 3e-4, 100, 0.05  # steps; largest gradient norm
BATCH, CROP = 4, 64  # small batches: a step works on every pixel of the full size
SEED = 0


def build(scale: int):
    """A Keras model as the program's own: (b, h, w, 1) to (b, scale*h, scale*w, 1) in [-1, 1]."""
    import keras
    from keras import initializers, layers, ops

    from srgan.models.layers import AlignedBicubic

    seeds = iter(range(10))

    def layer(kind, x, maps=MAPS, dtype=None):
        kernel = initializers.RandomNormal(stddev=START_SD, seed=next(seeds))
        return kind(maps, SIZE, kernel_initializer=kernel, dtype=dtype)(x)

    low = keras.Input((None, None, 1))
    enlarged = AlignedBicubic(scale, dtype="float32")(low)
    enlarged = layers.Rescaling(0.5, 0.5, dtype="float32")(enlarged)  # from 0 to 1, as ReLU needs
    x, kept = enlarged, []
    for i in range(5):
        x = ops.relu(layer(layers.Conv2D, x))
        if i in (1, 3):
            kept.append(x)
    for i in range(4):
        x = layer(layers.Conv2DTranspose, x)
        x = ops.relu(x + kept.pop() if i in (0, 2) else x)
    x = layer(layers.Conv2DTranspose, x, maps=1, dtype="float32")
    x = ops.relu(layers.Add(dtype="float32")([enlarged, x]))
    return keras.Model(low, layers.Rescaling(2.0, -1.0, dtype="float32")(x), name="red_cnn")


def train(slices: SliceSet, degradation: Degradation, minutes: float) -> tuple[list, int]:
    """The weights after this many minutes by the clock, and the number of steps.

    The clock begins after the first step, which is compiled.
    """
    import tensorflow as tf

    from srgan.training.adam import Adam

    network, optimizer = build(degradation.scale), Adam(RATE)
    optimizer.build(network.trainable_variables)

    @tf.function(reduce_retracing=True)
    def step_of(low, normal):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(network(low, training=True) - normal))
        gradients = tape.gradient(loss, network.trainable_variables)
        gradients, _ = tf.clip_by_global_norm(gradients, CLIP)
        optimizer.apply(gradients)
        return loss

    last, began, step, shown = 60 * minutes, None, 0, 0.0
    for low, normal in batches.dataset(slices, BATCH, CROP, degradation, SEED, 0, 10**9):
        spent = time.monotonic() - began if began is not None else 0.0
        if spent >= last:
            break
        step += 1
        optimizer.learning_rate = RATE * min(1.0, step / WARM_UP) * cosine(spent / last)
        loss = float(step_of(low, normal))
        began = time.monotonic() if began is None else began
        if spent - shown > 30:
            shown = spent
            print(f"RED-CNN: {spent:.0f} s, step {step}, loss {loss:.3e}", flush=True)
    return [np.asarray(w) for w in network.get_weights()], step
