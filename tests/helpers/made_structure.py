"""Slices with structure added or removed, and the faithfulness metrics that must find it."""

import numpy as np
from scipy import ndimage

from srgan.hounsfield import HU_MAX, HU_MIN
from srgan.lowdose.degradation import Degradation, degrade
from srgan.lowdose.image_noise import ImageNoise
from srgan.lowdose.levels import Levels
from srgan.masks import body_mask, lung_mask
from srgan.metrics import faithfulness
from srgan.resampling import area_mean, bicubic

SCALE = 4
IMAGE_NOISE = Degradation(ImageNoise(Levels((1700.0,)), Levels((0.005,))), SCALE)


class Pair:
    """A normal dose and its low dose in image noise, with the metrics of an output of them."""

    def __init__(self, hu: np.ndarray, rng: np.random.Generator):
        self.reference = np.clip(hu, HU_MIN, HU_MAX).astype(np.float64)
        self.low = degrade(self.reference[None], IMAGE_NOISE, rng)[0].astype(np.float64)
        self.body = body_mask(self.reference)
        self.sd_hu = IMAGE_NOISE.noise.expected_sd_hu(low_dose=self.low, scale=SCALE)

    def consistency(self, output):
        return faithfulness.consistency(
            output=output, low_dose=self.low, sd_hu=self.sd_hu, body=self.body, scale=SCALE
        )

    def invention(self, output):
        return faithfulness.invention(output=output, reference=self.reference, body=self.body)

    def shift(self, output):
        return faithfulness.shift_px(output=output, reference=self.reference, body=self.body)

    def sfrc(self, output):
        return faithfulness.sfrc(output=output, reference=self.reference, body=self.body)

    def found(self, output, structure) -> bool:
        """Whether there is a spot where the structure is."""
        z = self.consistency(output).z[area_mean(structure.astype(float), SCALE) > 0]
        return bool((np.abs(z) > faithfulness.SPOT_Z).any())

    def lung_chi2(self, output) -> float:
        lung = area_mean(lung_mask(self.reference).astype(float), SCALE) > 0.99
        return float((self.consistency(output).z[lung] ** 2).mean())


def stand_in(reference: np.ndarray, low_dose: np.ndarray) -> np.ndarray:
    """An output like that of an SRResNet of 20 minutes: 36 dB in the lung window, chi2 0.5.

    The normal dose without its finest detail, and with detail of its own where that is missing. Its
    block means keep a third of the noise of the low dose. It is 2 HU too low in lung, because an L1
    loss finds the median of skewed noise.
    """
    reference = reference.astype(np.float64)
    output = ndimage.gaussian_filter(reference, 0.6)
    missing = np.sqrt(ndimage.gaussian_filter((reference - output) ** 2, 2))
    output += 1.2 * missing * np.random.default_rng(1).normal(size=output.shape)
    noise = low_dose - area_mean(reference, SCALE)
    wanted = area_mean(reference - 2 * lung_mask(reference), SCALE) + noise / 3
    for _ in range(2):
        output += bicubic(wanted - area_mean(output, SCALE), SCALE)
    return output.astype(np.float32)


def faithfulness_metrics(pair: Pair, output: np.ndarray) -> dict[str, float]:
    """The faithfulness metrics of one output.

    chi2, spots, share, energy (HU^2), shift (px), and in lung the mean error (HU) and chi2, which
    are NaN without lung.
    """
    consistent, invented = pair.consistency(output), pair.invention(output)
    lung = lung_mask(pair.reference)
    return {
        "chi2": consistent.chi2,
        "spots": consistent.spots,
        "share": invented.share,
        "energy": invented.energy_hu2,
        "shift": np.abs(pair.shift(output)).max(),
        "lung": (output - pair.reference)[lung].mean() if lung.any() else np.nan,
        "lung chi2": pair.lung_chi2(output) if lung.any() else np.nan,
    }


def band_noise(shape, low: float, high: float, sd: float, rng) -> np.ndarray:
    """Noise of a known SD with frequencies between two fractions of Nyquist only."""
    noise = band(rng.normal(0, 1, shape), low, high)
    return noise * sd / noise.std()


def band(image: np.ndarray, low: float, high: float) -> np.ndarray:
    """The image between two frequencies, fractions of Nyquist, with sharp edges."""
    rows, columns = (np.fft.fftfreq(n) for n in image.shape)
    frequency = 2 * np.hypot(rows[:, None], columns)
    inside = (frequency > low) & (frequency < high)
    return np.fft.ifft2(np.fft.fft2(image) * inside).real


def discs(inside: np.ndarray, diameter_px: float, n: int, rng: np.random.Generator) -> np.ndarray:
    """n discs at random places wholly inside a bool mask: (n, rows, columns) bool."""
    radius = diameter_px / 2
    room = ndimage.distance_transform_edt(inside) > radius + 1
    rows, columns = np.indices(inside.shape)
    chosen = rng.choice(np.argwhere(room), n)
    return np.stack([(rows - y) ** 2 + (columns - x) ** 2 <= radius**2 for y, x in chosen])


def vessels(hu: np.ndarray) -> list[np.ndarray]:
    """Masks of vessels in lung of 30 to 300 pixels, each (rows, columns) bool."""
    lung = lung_mask(hu)
    field = ndimage.binary_closing(np.pad(lung, 20), iterations=12)[20:-20, 20:-20]
    bright = (ndimage.gaussian_filter(hu.astype(np.float64), 1.0) > -500) & ~lung
    label, n = ndimage.label(bright & ndimage.binary_erosion(field, iterations=3))
    sizes = ndimage.sum_labels(np.ones_like(hu), label, range(1, n + 1))
    return [label == i + 1 for i in np.flatnonzero((sizes >= 30) & (sizes <= 300))]


def without(image: np.ndarray, structure: np.ndarray) -> np.ndarray:
    """The image with a structure and its blurred rim replaced by the level of the lung around."""
    rim = ndimage.binary_dilation(structure, iterations=2)
    around = ndimage.binary_dilation(rim, iterations=4) & ~rim
    filled = image.copy()
    filled[rim] = np.median(image[around])
    return filled
