"""The discriminator of Ledig et al. 2017, figure 4: eight convolutions, then two dense layers.

The paper's patches have 96 pixels. The maps of larger ones are averaged to those of 96 before the
dense layers: their weights would grow with the crop's area (512: 537 million, 6.4 GB with Adam's).
"""

import keras
from keras import layers

from srgan.models.generator import initial_weights
from srgan.models.layers import FusedBatchNorm, MeanPoolTo

CONVOLUTIONS = (64, 1), (64, 2), (128, 1), (128, 2), (256, 1), (256, 2), (512, 1), (512, 2)
PAPER_CROP, PAPER_MAPS = 96, 6  # side of the paper's patches, and of their maps at the end


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
    if crop > PAPER_CROP:
        x = MeanPoolTo(PAPER_MAPS, name="pool")(x)
    x = layers.Dense(1024, kernel_initializer=initial(), name="dense")(layers.Flatten()(x))
    x = layers.LeakyReLU(0.2, name="dense_activation")(x)
    x = layers.Dense(1, kernel_initializer=initial(1.0), name="logit")(x)
    return keras.Model(patch, layers.Activation("linear", dtype="float32")(x), name="discriminator")
