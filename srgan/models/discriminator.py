"""The discriminators: eight convolutions, then two dense layers, as in Ledig et al. 2017, figure 4.

`paper` has that form to the letter. `fast` has half of its maps, and sees the fine detail of a
patch enlarged beside it: the grain of soft tissue is 15 HU in a range of 4095, and a normalisation
leaves nothing of that beside bone and air.

The paper's patches have 96 pixels. The maps of larger ones are averaged to those of 96 before the
dense layers: their weights would grow with the crop's area (512: 537 million, 6.4 GB with Adam's).
"""

from dataclasses import dataclass

import keras
from keras import layers

from srgan.models.generator import initial_weights
from srgan.models.layers import FusedBatchNorm, MeanPoolTo, WithDetail

CONVOLUTIONS = (64, 1), (64, 2), (128, 1), (128, 2), (256, 1), (256, 2), (512, 1), (512, 2)
DENSE = 1024
PAPER_CROP, PAPER_MAPS = 96, 6  # side of the paper's patches, and of their maps at the end


@dataclass(frozen=True)
class Form:
    """A discriminator by the generator that it judges."""

    width: float  # share of the paper's maps
    detail: float | None  # gain of WithDetail


FORMS = {
    "fast": Form(width=0.5, detail=20.0),
    "paper": Form(width=1.0, detail=None),
}


def build(form: str, crop: int, seed: int = 0) -> keras.Model:
    """(batch, crop, crop, 1) in [-1, 1] to (batch, 1) float32 logits, positive for real patches.

    form: a name in FORMS.
    """
    of, initial = FORMS[form], initial_weights(seed + 1)
    x = patch = keras.Input((crop, crop, 1), name="patch")
    if of.detail:
        x = WithDetail(of.detail, dtype="float32", name="with_detail")(x)
    for i, (maps, stride) in enumerate(CONVOLUTIONS):
        x = layers.Conv2D(
            int(maps * of.width), 3, stride, "same", use_bias=i == 0,
            kernel_initializer=initial(), name=f"conv{i}",
        )(x)  # fmt: skip
        if i:
            x = FusedBatchNorm(name=f"norm{i}")(x)
        x = layers.LeakyReLU(0.2, name=f"activation{i}")(x)
    if crop > PAPER_CROP:
        x = MeanPoolTo(PAPER_MAPS, name="pool")(x)
    dense = layers.Dense(int(DENSE * of.width), kernel_initializer=initial(), name="dense")
    x = dense(layers.Flatten()(x))
    x = layers.LeakyReLU(0.2, name="dense_activation")(x)
    x = layers.Dense(1, kernel_initializer=initial(1.0), name="logit")(x)
    return keras.Model(patch, layers.Activation("linear", dtype="float32")(x), name="discriminator")
