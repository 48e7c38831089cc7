"""The networks of pre-training experiments: the paper's form, and the fast form with variants."""

import keras
import numpy as np
from keras import layers, ops

from benchmarks.experiments_rows import Recipe
from srgan.metrics.input_noise import SECOND_DIFFERENCE
from srgan.models import generator
from srgan.models.layers import AlignedBicubic, FusedBatchNorm, SubPixel

SCALE = 4
GAIN, OUT_GAIN = 0.02, 0.02  # of generator.fast and paper: what recipe.gain and out start from
MEAN_PX, NOISE_GAIN, MOST_NOISE = 7, 100.0, 2.0  # the noise of soft tissue comes to about 0.6


class NoiseMap(layers.Layer):
    """How noisy an image is around each pixel, from itself: (b, h, w, 1) to (b, h, w, 1), 0 to 2.

    The mean of the absolute second differences (J. Immerkaer, Comput Vis Image Underst 1996;64:300)
    over 7 x 7 pixels. Edges count as noise. A network that sees the map of another level than the
    true one can be told how much to smooth.
    """

    def call(self, x):
        kernel = SECOND_DIFFERENCE.astype(np.float32)[:, :, None, None]
        fine = ops.abs(ops.conv(_mirrored(x, 1), kernel))
        mean = ops.average_pool(_mirrored(fine, MEAN_PX // 2), MEAN_PX, 1)
        sd = np.sqrt(np.pi / 2) * mean  # of Gaussian noise
        return ops.minimum(NOISE_GAIN * sd, MOST_NOISE)

    def compute_output_shape(self, shape):
        return shape


def _mirrored(x, n: int):
    return ops.pad(x, ((0, 0), (n, n), (n, n), (0, 0)), "reflect")


def network(recipe: Recipe, seed: int) -> keras.Model:
    """The network of a recipe at its start, as srgan.models.generator.build gives one."""
    initial = generator.initial_weights(seed)
    if recipe.form == "paper":
        return _paper(recipe, initial)
    built = fast(recipe, initial)
    for i in range(recipe.blocks):
        _scale(built.get_layer(f"block{i}_conv2"), recipe.gain / GAIN)
    return built


def _paper(recipe: Recipe, initial) -> keras.Model:
    built = generator.paper(SCALE, initial, recipe.blocks, recipe.maps)
    for layer in built.layers:
        if isinstance(layer, FusedBatchNorm):
            layer.momentum = recipe.momentum
            if layer.name.endswith("norm2"):
                layer.gamma.assign(np.full(layer.gamma.shape, recipe.gamma))
    _scale(built.get_layer("out"), recipe.out / OUT_GAIN)
    return built


def _scale(convolution: layers.Conv2D, gain: float) -> None:
    """gain: of the variance of the kernel, as in VarianceScaling."""
    convolution.kernel.assign(convolution.kernel * np.float32(np.sqrt(gain)))


def fast(recipe: Recipe, initial) -> keras.Model:
    """generator.fast, or with another input, block or tail."""

    def conv(x, maps, name, gain=2.0, activation=None, size=3):
        kernel = initial(gain) if gain else "zeros"
        return layers.Conv2D(
            maps, size, padding="same", activation=activation, kernel_initializer=kernel, name=name
        )(x)

    low = keras.Input((None, None, 1))
    x = low * generator.INPUT_GAIN
    if recipe.noise_map:
        x = layers.Concatenate()([x, NoiseMap(dtype="float32")(low)])
    x = head = conv(x, recipe.maps, "head")
    widened = recipe.maps * (4 if recipe.block == "wide" else 1)
    outputs = []
    for i in range(recipe.blocks):
        y = conv(x, widened, f"block{i}_conv1", activation=recipe.activation)
        x = x + conv(y, recipe.maps, f"block{i}_conv2", gain=GAIN)
        outputs.append(x)
    if recipe.fused:
        x = conv(layers.Concatenate()(outputs), recipe.maps, "fused", gain=1.0, size=1)
    x = head + conv(x, recipe.maps, "tail")
    last = SCALE
    if recipe.tail == "stages":
        last = 2
        x = layers.LeakyReLU(0.1)(SubPixel()(conv(x, 4 * recipe.maps, "up")))
    x = SubPixel(last)(conv(x, last**2, "correction", gain=0))
    x = layers.Rescaling(generator.CORRECTION, dtype="float32")(x)
    base = AlignedBicubic(SCALE, dtype="float32")(low)
    return keras.Model(low, layers.Add(dtype="float32")([base, x]))
