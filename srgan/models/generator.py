"""The generators: low dose to normal dose, one channel in [-1, 1], slices of any size.

`fast` is the default. It has no batch normalisation and adds a correction to the bicubic
enlargement, so it starts at bicubic instead of learning it first. `paper` is the SRResNet of Ledig
et al. 2017 (figure 4). Both enlarge by sub-pixel stages of factor 2 (Shi et al. 2016).
"""

from collections.abc import Callable
from dataclasses import dataclass

import keras
from keras import initializers, layers

from srgan.models.layers import (
    AlignedBicubic,
    ConvToOne,
    CutTo,
    FusedBatchNorm,
    SubPixel,
    convolution_before,
)

STAGES = {1: 0, 2: 1, 4: 2}  # by scale: enlargements of factor 2
# Residual blocks of fast by scale. At scale 1 a step takes longest, and in equal time 1082 steps of
# four blocks came to 44.48 dB on the validation patches, 640 steps of eight to 44.18.
BLOCKS = {1: 4, 2: 8, 4: 8}
INPUT_GAIN = 4.0  # tissue fills only a small part of [-1, 1]
CORRECTION = 0.1  # and the correction to bicubic an even smaller part


def build(form: str, scale: int, seed: int = 0) -> keras.Model:
    """A generator: (batch, h, w, 1) to (batch, scale*h, scale*w, 1), both float32.

    form: a name in FORMS. The initial weights depend on `seed` alone.
    """
    return FORMS[form].build(scale, initial_weights(seed))


def initial_weights(seed: int):
    """A function that makes initializers, each with its own seed."""
    seeds = iter(range(1000 * seed, 1000 * seed + 1000))
    return lambda gain=2.0: initializers.VarianceScaling(
        gain, "fan_in", "truncated_normal", seed=next(seeds)
    )


def fast(scale: int, initial, blocks: int | None = None, maps: int = 64) -> keras.Model:
    """Residual blocks without batch normalisation at low resolution (Lim et al. 2017).

    At scale 1 too they work at half the resolution of the output, a quarter of the work: the first
    convolution takes every second pixel, as in FFDNet (Zhang et al. 2018).
    """

    def conv(x, maps, name, gain=2.0, activation=None, size=3, strides=1):
        kernel = initial(gain) if gain else "zeros"
        return layers.Conv2D(
            maps, size, strides, "same", activation=activation, kernel_initializer=kernel, name=name
        )(x)

    low = keras.Input((None, None, 1), name="low_dose")
    first = {"size": 4, "strides": 2} if scale == 1 else {}
    x = head = conv(low * INPUT_GAIN, maps, "head", **first)
    for i in range(blocks or BLOCKS[scale]):
        y = conv(x, maps, f"block{i}_conv1", activation="silu")
        x = x + conv(y, maps, f"block{i}_conv2", gain=0.02)
    x = head + conv(x, maps, "tail")
    for i in range(STAGES[scale] - 1):
        x = SubPixel(name=f"up{i}")(conv(x, 4 * maps, f"up{i}_conv"))
        x = layers.LeakyReLU(0.1, name=f"up{i}_activation")(x)  # ReLU could leave a stage dead
    x = SubPixel(name="up_last")(conv(x, 4, "correction", gain=0))
    if scale > 1:
        base = AlignedBicubic(scale, dtype="float32", name="aligned_bicubic")(low)
    else:
        base, x = low, CutTo(name="cut")(x, low)  # of an odd size a row more came out
    x = layers.Rescaling(CORRECTION, dtype="float32", name="scaled_correction")(x)
    return keras.Model(low, layers.Add(dtype="float32", name="normal_dose")([base, x]), name="fast")


def paper(scale: int, initial, blocks: int = 16, maps: int = 64) -> keras.Model:
    """SRResNet of Ledig et al. 2017, figure 4, with tanh at the end as is common.

    The paper says nothing of the initial weights. Here each block begins as the identity (Goyal et
    al. 2017, section 5.1), and the output near 0: with He's weights everywhere it began at both
    ends of tanh, whose gradient is zero there.
    """

    def conv(x, maps, size, name):
        return layers.Conv2D(maps, size, padding="same", kernel_initializer=initial(), name=name)(x)

    def prelu(x, name):
        return layers.PReLU(
            alpha_initializer=initializers.Constant(0.25), shared_axes=[1, 2], name=name
        )(x)

    low = keras.Input((None, None, 1), name="low_dose")
    x = head = prelu(conv(low, maps, 9, "head"), "head_prelu")
    for i in range(blocks):
        y = FusedBatchNorm(name=f"block{i}_norm1")(conv(x, maps, 3, f"block{i}_conv1"))
        y = conv(prelu(y, f"block{i}_prelu"), maps, 3, f"block{i}_conv2")
        x = x + FusedBatchNorm(gamma="zeros", name=f"block{i}_norm2")(y)
    x = head + FusedBatchNorm(name="tail_norm")(conv(x, maps, 3, "tail"))
    for i in range(STAGES[scale]):
        x = SubPixel(name=f"up{i}")(conv(x, 4 * maps, 3, f"up{i}_conv"))
        x = prelu(x, f"up{i}_prelu")
    x = layers.Activation("tanh", dtype="float32", name="normal_dose")(
        ConvToOne(1, 9, padding="same", kernel_initializer=initial(0.02), name="out")(x)
    )
    network = keras.Model(low, x, name="paper")
    for layer in network.layers:
        if isinstance(layer, FusedBatchNorm):
            # The mean that the normalisation takes away makes the bias before it useless, and its
            # gradient zero but for rounding, which Adam would follow.
            convolution_before(layer).bias.trainable = False
    return network


@dataclass(frozen=True)
class Form:
    """How a generator is built and trained. Learning rates fall along a cosine in each stage."""

    build: Callable[..., keras.Model]  # of a scale and `initial_weights`
    pretrain_rate: float
    gan_rate: float
    pretrain_loss: str  # "l1" or "mse"
    clip: float  # largest gradient norm; 0.01 is typical of fast, 0.04 of paper
    gan_pixel: float  # weight of L1 in the GAN stage: keeps HU right where features say little
    gan_texture: float  # of the texture loss
    gan_adversarial: float  # and of the adversarial loss; 1e-3 in Ledig et al. 2017, equation 3


FORMS = {  # by --generator, whose choices stand in settings.py
    "fast": Form(
        fast, pretrain_rate=1e-3, gan_rate=1e-4, pretrain_loss="l1", clip=0.05, gan_pixel=1.0,
        gan_texture=0.01, gan_adversarial=3e-4,
    ),
    "paper": Form(
        paper, pretrain_rate=1e-3, gan_rate=1e-4, pretrain_loss="mse", clip=0.1, gan_pixel=0.05,
        gan_texture=0.0, gan_adversarial=1e-3,
    ),
}  # fmt: skip
