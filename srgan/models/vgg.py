"""VGG19 features for the content loss (Simonyan & Zisserman 2015): trained on ImageNet, or random.

Without trained weights, random features give most of a perceptual loss if their scale is right (Liu
et al., CVPR 2021, "A generic perceptual loss for modeling structured output dependencies"). Here
they are scaled to unit variance on a batch of patches.
"""

from collections.abc import Callable

import keras
import numpy as np
from keras import layers, ops

from srgan.hounsfield import HU_MAX, HU_MIN, hu_to_network
from srgan.models import check_hdf5
from srgan.models.layers import registered
from srgan.models.vgg_weights import MOST_BYTES, VggWeights
from srgan.system import memory
from srgan.system.errors import UserError

MOST_PIXELS = 64 * 64**2  # of a sample at once, which may be larger than a training step
SIZE_PX = 224  # of the images that VGG19 was trained on
LAYERS = {"vgg54": "block5_conv4", "vgg32": "block3_conv2", "vgg22": "block2_conv2"}  # with ReLU
IMAGENET_SCALE = 1 / 12.75  # Ledig et al. 2017, section 3.2


@registered
class ToVgg(layers.Layer):
    """One channel in [-1, 1] to what the VGG19 of Keras expects: BGR minus the ImageNet means."""

    def call(self, x):
        grey = ops.repeat((x + 1.0) * 127.5, 3, axis=-1)
        return keras.applications.vgg19.preprocess_input(grey)


def build(content_loss: str, weights: VggWeights, sample: np.ndarray, seed: int) -> keras.Model:
    """A frozen model: (batch, h, w, 1) in [-1, 1] to scaled features.

    content_loss: of LAYERS. sample: patches (n, h, w, 1) that set the scale of random
    features. Raises UserError where the file holds no VGG19 without top.
    """
    vgg = keras.applications.VGG19(include_top=False, weights=None, input_shape=(None, None, 3))
    if weights.path is not None:
        try:
            check_hdf5.check(weights.path, MOST_BYTES)
            vgg.load_weights(weights.path)
        except Exception as error:  # h5py and Keras raise many kinds for a wrong file
            if memory.is_shortage(error):
                raise
            raise UserError(
                f"--vgg-weights {weights.path} holds no VGG19 without top: {error}"
            ) from error
    patch = keras.Input((None, None, 1))
    to_layer = keras.Model(vgg.input, vgg.get_layer(LAYERS[content_loss]).output)
    scale = IMAGENET_SCALE
    x = ToVgg(dtype="float32")(patch)
    if weights.mode == "random":
        _sample_weights(to_layer, seed)
        scale = _unit_variance(to_layer, ToVgg(dtype="float32")(sample))
    features = layers.Rescaling(scale, dtype="float32")(to_layer(x))
    model = keras.Model(patch, features, name=content_loss)
    model.trainable = False
    return model


def distance(weights: VggWeights) -> Callable[[np.ndarray, np.ndarray], float]:
    """The VGG distance: mean squared difference between the vgg54 features of two slices.

    weights: trained ones. The function takes an output and its reference, (rows, columns) HU of at
    least 16 x 16, clipped to [-1024, 3071]. It uses the middle 224 x 224 pixels, because a whole
    slice takes 2.3 s of CPU. The features of the last reference are kept. Raises UserError where
    the file holds no VGG19.
    """
    model = build("vgg54", weights, np.zeros((1, 16, 16, 1), np.float32), 0)
    last = (None, None)

    def features(image: np.ndarray) -> np.ndarray:
        rows, columns = (slice(max(0, (n - SIZE_PX) // 2), (n + SIZE_PX) // 2) for n in image.shape)
        image = image[rows, columns]
        batch = hu_to_network(np.clip(image, HU_MIN, HU_MAX).astype(np.float32))[None, ..., None]
        return ops.convert_to_numpy(model(batch, training=False))

    def of(output: np.ndarray, reference: np.ndarray) -> float:
        nonlocal last
        if last[0] is not reference:
            last = reference, features(reference)
        return float(np.mean((features(output) - last[1]) ** 2, dtype=np.float64))

    return of


def _sample_weights(vgg: keras.Model, seed: int) -> None:
    rng = np.random.Generator(np.random.Philox(key=seed))
    for layer in vgg.layers:
        if layer.weights:
            kernel, bias = layer.weights
            fan_in = np.prod(kernel.shape[:3])
            kernel.assign(rng.standard_normal(kernel.shape, np.float32) * np.sqrt(2 / fan_in))
            bias.assign(np.zeros(bias.shape))


def _unit_variance(vgg: keras.Model, sample) -> float:
    n = max(1, MOST_PIXELS // (sample.shape[1] * sample.shape[2]))
    parts = [vgg(sample[i : i + n]) for i in range(0, len(sample), n)]
    features = np.concatenate([ops.convert_to_numpy(ops.cast(p, "float32")) for p in parts])
    spread = features.std(axis=(0, 1, 2)).mean()  # over patches and pixels, not over channels
    return float(1.0 / max(spread, 1e-6))
