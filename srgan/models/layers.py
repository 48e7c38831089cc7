"""Layers that Keras lacks, or has slower: sub-pixel and bicubic enlargement, batch normalisation,
a wide convolution to one map, the detail of a patch.

They are registered with Keras: `keras.saving.load_model` reads a .keras file with them once this
module is imported.
"""

import numpy as np
from keras import activations, layers, ops
from keras.saving import register_keras_serializable

from srgan.resampling import bicubic

registered = register_keras_serializable(package="srgan")


@registered
class SubPixel(layers.Layer):
    """Channels to space: (b, h, w, f*f*c) to (b, f*h, f*w, c). Shi et al. 2016, equation 4.

    Equal to tf.nn.depth_to_space, which takes two to five times as long on a CPU in float32.
    """

    one_op = False  # see as_depth_to_space

    def __init__(self, factor: int = 2, **kwargs):
        super().__init__(**kwargs)
        self.factor = factor

    def get_config(self):
        return super().get_config() | {"factor": self.factor}

    def call(self, x):
        return _to_space(x, self.factor, self.one_op)

    def compute_output_shape(self, shape):
        return _shape_in_space(shape, self.factor)


def _to_space(x, f: int, one_op: bool):
    if one_op:
        import tensorflow as tf

        return tf.nn.depth_to_space(x, f)
    _, rows, columns, channels = ops.shape(x)
    maps = channels // f**2
    x = ops.reshape(x, (-1, rows, columns, f, f, maps))
    x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
    return ops.reshape(x, (-1, f * rows, f * columns, maps))


def _shape_in_space(shape: tuple, f: int) -> tuple:
    b, rows, columns, channels = shape
    return b, rows and f * rows, columns and f * columns, channels // f**2


@registered
class AlignedBicubic(layers.Layer):
    """`resampling.bicubic` for one channel: a 5x5 convolution to scale**2 maps, then sub-pixel."""

    one_op = False  # see as_depth_to_space

    def __init__(self, scale: int, **kwargs):
        super().__init__(**kwargs)
        self.scale = scale
        taps = bicubic_phases(scale)
        kernel = np.einsum("ip,jq->ijpq", taps, taps).reshape(5, 5, 1, scale**2)
        self.kernel = kernel.astype(np.float32)

    def get_config(self):
        return super().get_config() | {"scale": self.scale}

    def call(self, x):
        first, last = x[:, :1], x[:, -1:]
        x = ops.concatenate([first, first, x, last, last], axis=1)
        first, last = x[:, :, :1], x[:, :, -1:]
        x = ops.concatenate([first, first, x, last, last], axis=2)
        return _to_space(ops.conv(x, self.kernel), self.scale, self.one_op)

    def compute_output_shape(self, shape):
        return _shape_in_space((*shape[:3], self.scale**2), self.scale)


def as_depth_to_space(network) -> None:
    """From now on, each enlargement in a network is traced as one DepthToSpace operation.

    Other runtimes have this operation too, and a fast kernel for it.
    """
    for layer in network.layers:
        if isinstance(layer, SubPixel | AlignedBicubic):
            layer.one_op = True


@registered
class ConvToOne(layers.Conv2D):
    """The convolution of Keras to a single map, in another order; float32 in any precision.

    A CPU computes up to sixteen maps in the time of one. So every column of the kernel gives a map
    of its own first. The output is the sum of these maps, each moved to its column's place. With
    9x9 that takes a ninth of the time: a quarter of a step of the paper's form was this layer.
    """

    def call(self, x):
        import tensorflow as tf

        columns = self.kernel_size[1]
        kernel = tf.transpose(self.kernel, (0, 3, 2, 1))  # (rows, 1, maps, columns)
        by_column = tf.nn.conv2d(x, tf.cast(kernel, x.dtype), 1, "SAME")
        moved = tf.reshape(tf.eye(columns), (1, columns, columns, 1))
        output = tf.nn.conv2d(tf.cast(by_column, "float32"), moved, 1, "SAME")
        return output + tf.cast(self.bias, "float32")


@registered
class CutTo(layers.Layer):
    """The first rows and columns of (b, h, w, c), as many as another image has."""

    def call(self, x, like):
        _, rows, columns, _ = ops.shape(like)
        return x[:, :rows, :columns]

    def compute_output_shape(self, x_shape, like_shape):
        return (x_shape[0], *like_shape[1:3], x_shape[3])


class WithDetail(layers.Layer):
    """A patch and its fine detail, enlarged and bounded: (b, h, w, 1) to (b, h, w, 2).

    The detail is tanh(gain * (x - the Gaussian mean of x, SD 1.5 pixels)).
    """

    def __init__(self, gain: float, **kwargs):
        super().__init__(**kwargs)
        self.gain = gain
        taps = np.exp(-0.5 * (np.arange(-4, 5) / 1.5) ** 2)
        self.taps = (taps / taps.sum()).astype(np.float32)

    def call(self, x):
        mean = ops.pad(x, ((0, 0), (4, 4), (4, 4), (0, 0)), "reflect")
        for shape in ((9, 1, 1, 1), (1, 9, 1, 1)):
            mean = ops.conv(mean, self.taps.reshape(shape))
        return ops.concatenate([x, ops.tanh(self.gain * (x - mean))], axis=-1)

    def compute_output_shape(self, shape):
        return *shape[:3], 2


class MeanPoolTo(layers.Layer):
    """Means over a grid of size x size areas: (b, n, n, c) to (b, size, size, c), n >= size.

    Where size does not divide n, neighbouring areas overlap by a row, as in adaptive pooling.
    """

    def __init__(self, size: int, **kwargs):
        super().__init__(**kwargs)
        self.size = size

    def call(self, x):
        size, n = self.size, x.shape[1]
        edges = [(i * n // size, -(-(i + 1) * n // size)) for i in range(size)]
        x = ops.stack([ops.mean(x[:, a:b], axis=1) for a, b in edges], axis=1)
        return ops.stack([ops.mean(x[:, :, a:b], axis=2) for a, b in edges], axis=2)

    def compute_output_shape(self, shape):
        return shape[0], self.size, self.size, shape[3]


def bicubic_phases(scale: int) -> np.ndarray:
    """(5, scale): weights of the pixels i-2 to i+2 for the output pixels scale*i + 0 to scale-1."""
    middle = 2  # of five pixels, away from the edges
    impulses = np.eye(5, dtype=np.float32)[:, None, :]
    rows = bicubic(np.repeat(impulses, 5, axis=1), scale)[:, scale * middle]
    return rows[:, scale * middle : scale * (middle + 1)]


@registered
class FusedBatchNorm(layers.Layer):
    """Batch normalisation over (b, h, w); statistics in float32, images in any precision.

    The layer of Keras has no fused kernel: pre-training takes a fifth longer with it. Momentum 0.9
    suits short trainings. gamma: its initializer, "ones" or "zeros".
    """

    def __init__(self, momentum: float = 0.9, epsilon: float = 1e-3, gamma: str = "ones", **kwargs):
        super().__init__(**kwargs)
        self.momentum, self.epsilon, self.start = momentum, epsilon, gamma

    def get_config(self):
        config = {"momentum": self.momentum, "epsilon": self.epsilon, "gamma": self.start}
        return super().get_config() | config

    def build(self, shape):
        def weight(name, start, trainable):
            return self.add_weight(
                name=name,
                shape=(shape[-1],),
                initializer=start,
                trainable=trainable,
                autocast=False,
            )

        self.gamma, self.beta = weight("gamma", self.start, True), weight("beta", "zeros", True)
        self.mean, self.variance = weight("mean", "zeros", False), weight("variance", "ones", False)

    def call(self, x, training=False):
        import tensorflow as tf

        if training and n_devices() > 1:
            return self._over_all_devices(x)
        y, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=x,
            scale=self.gamma,
            offset=self.beta,
            mean=[] if training else self.mean,
            variance=[] if training else self.variance,
            epsilon=self.epsilon,
            is_training=bool(training),
        )
        if training:
            self._learn(mean, variance)
        return y

    def _learn(self, mean, variance) -> None:
        rate = 1.0 - self.momentum
        self.mean.assign(self.mean + rate * (mean - self.mean))
        self.variance.assign(self.variance + rate * (variance - self.variance))

    def _over_all_devices(self, images):
        """With the statistics of the whole batch, of which each device has an equal part.

        They are taken around the mean so far: a variance is then no small difference of large
        numbers. The one that is learned is the unbiased one, as of the fused kernel.
        """
        import tensorflow as tf

        x = tf.cast(images, "float32") - self.mean
        sums = tf.stack([tf.reduce_mean(x, (0, 1, 2)), tf.reduce_mean(tf.square(x), (0, 1, 2))])
        mean, square = tf.unstack(sum_over_devices(sums) / n_devices())
        variance = square - tf.square(mean)
        y = (x - mean) * (tf.math.rsqrt(variance + self.epsilon) * self.gamma) + self.beta
        n = n_devices() * tf.cast(tf.size(x[..., 0]), "float32")
        self._learn(self.mean + mean, variance * n / (n - 1.0))
        return tf.cast(y, images.dtype)


def n_devices() -> int:
    """How many devices work on a batch: 1 outside of a strategy."""
    import tensorflow as tf

    return tf.distribute.get_replica_context().num_replicas_in_sync


def sum_over_devices(values):
    """The sum of each tensor over all devices; a gradient goes through it."""
    import tensorflow as tf

    if n_devices() == 1:
        return values
    return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, values)


def convolution_before(norm: FusedBatchNorm) -> layers.Conv2D | None:
    """The linear convolution with a bias whose output goes to this layer alone, if there is one."""
    before = norm.input._keras_history.operation
    if not isinstance(before, layers.Conv2D) or len(before._outbound_nodes) != 1:
        return None
    is_linear = before.activation is activations.linear
    return before if is_linear and before.use_bias else None
