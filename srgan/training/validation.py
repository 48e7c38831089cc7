"""Validation during training: fixed patches of the validation patients, and their metrics."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from srgan import random_streams
from srgan.hounsfield import WINDOWS, network_to_hu
from srgan.lowdose.degradation import Degradation, degrade
from srgan.metrics.similarity import psnr_db
from srgan.resampling import bicubic, enlarged_name
from srgan.training import batches

PATCHES = 128


@dataclass(frozen=True)
class Validation:
    """Patches in the networks' range and one whole slice in HU, both as low and normal dose.

    Shapes: patches (n, crop/scale, crop/scale, 1) and (n, crop, crop, 1); the slice (h/scale,
    w/scale) and (h, w). All are float32.
    """

    low: np.ndarray
    normal: np.ndarray
    slice_low_hu: np.ndarray
    slice_normal_hu: np.ndarray
    bicubic_psnr_db: float  # of the patches

    @property
    def input_name(self) -> str:
        """What `bicubic_psnr_db` is of: "bicubic", at scale 1 "input"."""
        return enlarged_name(self.normal.shape[1] // self.low.shape[1])

    @classmethod
    def of(cls, slices: batches.SliceSet, crop: int, degradation: Degradation, seed: int):
        """At the middle noise level; the same at every call."""
        middle = degradation.middle()
        low, normal = batches.batch(
            slices, PATCHES, crop, middle, seed, 0, random_streams.VALIDATION
        )
        enlarged = bicubic(low[..., 0], degradation.scale)[..., None]
        whole = _middle_slice(slices, middle, seed)
        return cls(low, normal, *whole, _psnr_db(enlarged, normal))

    def metrics(self, output: np.ndarray) -> dict[str, float]:
        """PSNR in the full window over all patches as one image; texture and SD of the output.

        Texture is the SD of a patch minus its Gaussian blur (2 pixels). Texture and SD are means
        over the patches, as ratios to those of the normal dose.
        """
        return {
            "validation_psnr_db": _psnr_db(output, self.normal),
            "validation_texture": _texture(output) / max(_texture(self.normal), 1e-9),
            "validation_sd": _mean_sd(output) / max(_mean_sd(self.normal), 1e-9),
        }


def _middle_slice(slices: batches.SliceSet, degradation: Degradation, seed: int):
    """The middle slice of the set: (low dose, normal dose) in HU."""
    middle = len(slices.hu) // 2
    hu = slices.hu[middle]
    rows, columns = (n - n % degradation.scale for n in hu.shape)
    normal = hu[:rows, :columns].astype(np.float32)
    fields = None
    if slices.noise is not None:
        fields = slices.noise[middle].fields()[:, None, :rows, :columns]
    rng = random_streams.generator_of(seed, random_streams.VALIDATION, 1)
    return degrade(normal[None], degradation, rng, fields)[0], normal


def _psnr_db(output: np.ndarray, normal: np.ndarray) -> float:
    a, b = (
        network_to_hu(x[..., 0].astype(np.float64)).reshape(len(x), -1) for x in (output, normal)
    )
    return float(psnr_db(output=a, reference=b, window=WINDOWS["full"]))


def _texture(patches: np.ndarray) -> float:
    images = patches[..., 0].astype(np.float64)
    return float((images - ndimage.gaussian_filter(images, (0, 2, 2))).std((1, 2)).mean())


def _mean_sd(patches: np.ndarray) -> float:
    return float(patches.astype(np.float64).std((1, 2)).mean())
