"""The discriminator of Ledig et al. 2017, figure 4: eight convolutions, then two dense layers."""

import keras
from keras import layers

from srgan.models.generator import initial_weights
from srgan.models.layers import FusedBatchNorm

CONVOLUTIONS = (64, 1), (64, 2), (128, 1), (128, 2), (256, 1), (256, 2), (512, 1), (512, 2)


def build(crop: int, seed: int = 0) -> keras.Model:
    """(batch, crop, crop, 1) in [-1, 1] to (batch, 1) float32 logits, positive for real patches."""
    initial = initial_weights(seed + 1)
    x = patch = keras.Input((crop, crop, 1), name="patch")
    for i, (maps, stride) in enumerate(CONVOLUTIONS):
        x = layers.Conv2D(
            maps, 3, stride, "same", use_bias=i == 0, kernel_initializer=initial(), name=f"conv{i}"
        )(x)
        if i:
            x = FusedBatchNorm(name=f"norm{i}")(x)
        x = layers.LeakyReLU(0.2, name=f"activation{i}")(x)
    x = layers.Dense(1024, kernel_initializer=initial(), name="dense")(layers.Flatten()(x))
    x = layers.LeakyReLU(0.2, name="dense_activation")(x)
    x = layers.Dense(1, kernel_initializer=initial(1.0), name="logit")(x)
    return keras.Model(patch, layers.Activation("linear", dtype="float32")(x), name="discriminator")
