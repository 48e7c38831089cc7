"""The discriminators of GAN experiments: the program's own, and variants of it."""

import keras
from keras import layers

from benchmarks.experiments_rows import Gan
from srgan.models import discriminator
from srgan.models.generator import initial_weights
from srgan.models.layers import FusedBatchNorm, WithDetail

PATCH_CONVOLUTIONS = 6  # of eight: each logit then sees 37 pixels
UNET_MAPS = 64, 128, 256, 512


def build(gan: Gan, seed: int) -> keras.Model:
    """(batch, crop, crop, 1) in [-1, 1] to float32 logits: (batch, 1), or (batch, h, w, 1)."""
    if gan.judge == "dense" and gan.norm == "batch":
        form = discriminator.Form(gan.width, gan.detail or None)
        discriminator.FORMS["trial"] = form
        return discriminator.build("trial", gan.crop, seed)
    patch = keras.Input((gan.crop, gan.crop, 1))
    x = patch
    if gan.detail:
        x = WithDetail(gan.detail, dtype="float32")(x)
    layers_of = {"dense": _dense, "patch": _patch, "unet": _unet}[gan.judge]
    x = layers_of(gan, initial_weights(seed + 1), x)
    return keras.Model(patch, layers.Activation("linear", dtype="float32")(x))


def _convolution(gan: Gan, initial, x, maps: int, stride: int = 1, norm: bool = True):
    """maps: at full width."""
    batch_norm = norm and gan.norm == "batch"
    layer = layers.Conv2D(
        int(maps * gan.width), 3, stride, "same", use_bias=not batch_norm,
        kernel_initializer=initial(),
    )  # fmt: skip
    if gan.norm == "spectral":
        layer = layers.SpectralNormalization(layer)
    x = layer(x)
    if batch_norm:
        x = FusedBatchNorm()(x)
    return layers.LeakyReLU(0.2)(x)


def _logits_by_place(initial, x):
    return layers.Conv2D(1, 3, padding="same", kernel_initializer=initial(1.0))(x)


def _dense(gan: Gan, initial, x):
    """The program's own, with another normalisation."""
    for i, (maps, stride) in enumerate(discriminator.CONVOLUTIONS):
        x = _convolution(gan, initial, x, maps, stride, norm=i > 0)
    maps = int(discriminator.DENSE * gan.width)
    x = layers.Dense(maps, kernel_initializer=initial())(layers.Flatten()(x))
    return layers.Dense(1, kernel_initializer=initial(1.0))(layers.LeakyReLU(0.2)(x))


def _patch(gan: Gan, initial, x):
    """Convolutions alone (Isola et al., CVPR 2017)."""
    for i, (maps, stride) in enumerate(discriminator.CONVOLUTIONS[:PATCH_CONVOLUTIONS]):
        x = _convolution(gan, initial, x, maps, stride, norm=i > 0)
    return _logits_by_place(initial, x)


def _unet(gan: Gan, initial, x):
    """Down and up again: a logit for each pixel (Wang et al., Real-ESRGAN, ICCV workshops 2021)."""
    kept = []
    for i, maps in enumerate(UNET_MAPS):
        x = _convolution(gan, initial, x, maps, 1 if i == 0 else 2, norm=i > 0)
        kept.append(x)
    for maps, before in zip(UNET_MAPS[-2::-1], kept[-2::-1], strict=True):
        x = layers.UpSampling2D(interpolation="bilinear")(x)
        x = _convolution(gan, initial, x, maps) + before
    return _logits_by_place(initial, _convolution(gan, initial, x, UNET_MAPS[0]))
