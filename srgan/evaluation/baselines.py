"""The compared methods: functions from a low-dose slice to a slice of full size, in HU."""

from collections.abc import Callable, Collection
from functools import lru_cache, partial

import numpy as np

from srgan.hounsfield import HU_MAX, HU_MIN, hu_to_network, network_to_hu
from srgan.resampling import INPUT, bicubic, nearest
from srgan.system.errors import UserError

Method = Callable[[np.ndarray], np.ndarray]
AUTO = "auto"  # --tile


def classical(scale: int) -> dict[str, Method]:
    """Enlargements without training: "nearest", and "bicubic" aligned with the area mean.

    At scale 1 both are the input itself, and there is one: "input". Each takes (h, w) HU and
    returns (scale*h, scale*w) float32 HU, not clipped.
    """
    if scale == 1:
        return {INPUT: partial(nearest, scale=1)}
    return {"nearest": partial(nearest, scale=scale), "bicubic": partial(bicubic, scale=scale)}


def network(model, tile: int | str = AUTO, *, ensemble: bool = False) -> Method:
    """A Keras generator as a method: (h, w) HU to (scale*h, scale*w) float32 HU in [-1024, 3071].

    model: takes (1, h, w, 1) float32 in [-1, 1] and returns (1, scale*h, scale*w, 1) of any float
    type. It is compiled once for all sizes, with the weights that it has now. tile: side of the
    tiles that a slice goes through it in, in pixels of the input; AUTO for whole slices where the
    memory suffices. ensemble: give the `self_ensemble` of it, clipped once at the end: a mean of
    eight clipped images would be biased near -1024 HU. The method raises UserError if an output is
    not finite, or where memory is short.
    """
    from srgan.models import mixture, tiles

    model = mixture.without_norms(model)
    reach = tiles.reach_of(model)
    enlarge = _compiled(model)

    @lru_cache
    def side_of(shape: tuple[int, int]) -> int:
        return tiles.side_of(shape, reach, tile)

    def whole(image: np.ndarray) -> np.ndarray:
        side = side_of(image.shape)
        with tiles.told(side):
            return tiles.in_tiles(enlarge, image, side, reach)

    answer = self_ensemble(whole) if ensemble else whole

    def method(low_dose: np.ndarray) -> np.ndarray:
        output = answer(hu_to_network(low_dose.astype(np.float32)))
        if not np.isfinite(output).all():
            raise UserError(
                "the network gives values that are not finite: its training diverged; train "
                "again with --fresh"
            )
        return np.clip(network_to_hu(output), HU_MIN, HU_MAX).astype(np.float32)

    return method


def _compiled(model) -> Method:
    """A Keras generator as a function of (h, w) to (scale*h, scale*w) float32, in its own range."""
    import tensorflow as tf

    def output(model, batch):
        return tf.cast(model(batch, training=False), tf.float32)

    # TensorFlow would take several closures of one def for a function that is traced again and
    # again, and warn; a partial is a function of its own.
    signature = [tf.TensorSpec((1, None, None, 1), tf.float32)]
    compiled = tf.function(partial(output, model), input_signature=signature)

    def enlarge(image: np.ndarray) -> np.ndarray:
        return compiled(tf.constant(image[None, :, :, None], tf.float32)).numpy()[0, :, :, 0]

    return enlarge


def self_ensemble(function: Method) -> Method:
    """The mean of a function over the eight flips and turns of an image, each answer turned back.

    Geometric self-ensemble (Timofte et al., CVPR 2016; Lim et al., CVPR workshops 2017). Like the
    function it takes (h, w) and returns (scale*h, scale*w), in any unit.
    """

    def ensembled(image: np.ndarray) -> np.ndarray:
        total = 0.0
        for quarters in range(4):
            turned = np.rot90(image, quarters)
            answers = function(turned) + function(turned[:, ::-1])[:, ::-1]
            total = total + np.rot90(answers, -quarters)
        return total / 8

    return ensembled


NON_LOCAL_MEANS, NON_LOCAL_MEANS_ALONE = "nlm+bicubic", "nlm"  # alone: at scale 1
CLASSICAL = ("nearest", "bicubic", INPUT, NON_LOCAL_MEANS, NON_LOCAL_MEANS_ALONE)  # no training
# The cut-off without tuning, as a share of the noise in tissue. In the middle slices of 12
# patients, at six levels of either noise, the least RMSE was at 0.15 to 0.9 of it, mostly at 0.4 to
# 0.8, and RMSE changes little around it.
CUTOFF_BY_NOISE = 0.65
CUTOFFS_HU = (2.0, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 60.0)


def input_of(methods: Collection[str]) -> str:
    """What networks are compared with: "bicubic", or "input" where that stands for it."""
    return INPUT if INPUT in methods and "bicubic" not in methods else "bicubic"


def denoiser_name(scale: int) -> str:
    return NON_LOCAL_MEANS if scale > 1 else NON_LOCAL_MEANS_ALONE


def non_local_means(scale: int, cutoff_hu: float) -> Method:
    """Non-local means of the low dose (Buades et al., CVPR 2005), then bicubic.

    cutoff_hu: the distance between patches at which their weight falls to 1/e. The method takes
    (h, w) HU and returns (scale*h, scale*w) float32 HU.
    """
    from skimage.restoration import denoise_nl_means

    def method(low_dose: np.ndarray) -> np.ndarray:
        low_dose = low_dose.astype(np.float32)
        smooth = denoise_nl_means(low_dose, patch_size=5, patch_distance=6, h=cutoff_hu)
        return bicubic(smooth, scale)

    return method


def tuned_cutoff_hu(scale: int, pairs: list[tuple[np.ndarray, np.ndarray]]) -> float:
    """The cut-off with the least RMSE over (normal dose, low dose) pairs of validation slices."""

    def error(cutoff_hu: float) -> float:
        method = non_local_means(scale, cutoff_hu)
        return sum(float(np.mean((method(low) - normal) ** 2)) ** 0.5 for normal, low in pairs)

    return min(CUTOFFS_HU, key=error)
