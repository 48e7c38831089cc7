"""Every figure of one output on one whole slice: nearness, texture, noise, sharpness, invention."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage

from srgan.hounsfield import WINDOWS, Windows
from srgan.lowdose.estimate_photons import flat_soft_tissue
from srgan.masks import body_mask, lung_mask
from srgan.metrics import faithfulness, noise_power, similarity
from srgan.metrics.edges_and_vessels import (
    ProfileLines,
    edge_rise_mm,
    find_edges,
    find_vessels,
    vessel_width_mm,
)

LUNG_PIXELS = 500  # fewer are no lung to measure texture in
TISSUE_PIXELS = 200
TEXTURE = "lung_texture_sd_hu"
FLAT = "flat_sd_hu"
NPS, NPS_DISTANCE = "nps_hu2_mm2", "nps_distance"
EDGE, VESSEL = "edge_mm", "vessel_mm"
TTF50 = "ttf50_per_mm"  # of a disc (phantom.py), not of slices
VGG_DISTANCE = "vgg_distance"
SFRC = "sfrc_share"
# Padding is a fifth of some slices and moves bicubic by 0.6 dB.
BODY_PSNR, BODY_SSIM = "psnr_body_db", "ssim_body"
TISSUES_HU = {
    "air": (-np.inf, -900.0),
    "lung": (-1000.0, -600.0),
    "fat": (-140.0, -60.0),
    "soft tissue": (0.0, 100.0),
    "bone": (200.0, np.inf),
}
# A tissue is cut from the smoothed normal dose, and its rim left out: picked pixel by pixel, lung
# would be what is dark by chance and between vessels, where any smoother output is brighter.
TISSUE_SMOOTH_PX, TISSUE_RIM_PX, AIR_RIM_PX = 3.0, 3, 8


@dataclass(frozen=True)
class Truth:
    """A normal-dose slice, its low dose, and the regions that figures are taken in."""

    reference: np.ndarray  # (rows, columns) HU in [-1024, 3071]
    low_dose: np.ndarray  # (rows/scale, columns/scale) HU
    sd_hu: np.ndarray  # expected noise of each pixel of low_dose
    scale: int
    body: np.ndarray  # bool, as are the others
    lung: np.ndarray | None
    flat: np.ndarray | None
    tissues: dict[str, np.ndarray]
    pixel_mm: float
    boxes: list[tuple]  # where the noise power is taken
    edges: ProfileLines | None
    vessels: ProfileLines | None
    clean_chi2: float

    @classmethod
    def of(
        cls, reference, low_dose, sd_hu, scale: int, spacing_mm: tuple[float, float], clean_chi2=1.0
    ) -> "Truth":
        body, lung = body_mask(reference), lung_mask(reference)
        lung = lung if np.count_nonzero(lung) > LUNG_PIXELS else None
        flat, tissues = flat_soft_tissue(reference), tissue_masks(reference, body)
        pixel_mm = float(np.sqrt(np.prod(spacing_mm)))
        boxes = noise_power.soft_tissue_boxes(reference)
        edges = find_edges(reference, body, pixel_mm=pixel_mm)
        vessels = None
        if lung is not None:
            vessels = find_vessels(reference, lung, pixel_mm=pixel_mm)
        return cls(
            reference, low_dose, sd_hu, scale, body, lung, flat, tissues, pixel_mm, boxes, edges,
            vessels, clean_chi2,
        )  # fmt: skip

    def consistency(self, output: np.ndarray) -> faithfulness.Consistency:
        return faithfulness.consistency(
            output=output, low_dose=self.low_dose, sd_hu=self.sd_hu, body=self.body,
            scale=self.scale, clean_chi2=self.clean_chi2,
        )  # fmt: skip

    def alone(self, image: np.ndarray) -> dict:
        """Figures of an image by itself, which the normal dose has too.

        SD in HU of (image - its Gaussian of 2 px), in lung and in flat soft tissue; the noise power
        by frequency; the rise of the normal dose's edges and the width of its vessels, in mm.
        """
        masks = {TEXTURE: self.lung, FLAT: self.flat}
        textures = {
            name: None if mask is None else noise_power.texture_sd_hu(image, mask=mask)
            for name, mask in masks.items()
        }
        power = noise_power.power_in_boxes(image, self.boxes, self.pixel_mm)
        edge = None if self.edges is None else edge_rise_mm(image, self.edges)
        vessel = None if self.vessels is None else vessel_width_mm(image, self.vessels)
        return textures | {NPS: power, EDGE: edge, VESSEL: vessel}

    @cached_property
    def of_reference(self) -> dict:
        """`alone` of the normal dose, and what sFRC flags between two copies of it."""
        alone = self.alone(self.reference)
        return alone | {SFRC: self._sfrc_floor(alone[FLAT])}

    def _sfrc_floor(self, flat_sd_hu: float | None) -> float | None:
        """None without flat soft tissue, which says how noisy the normal dose is."""
        if flat_sd_hu is None:
            return None
        rng = np.random.Generator(np.random.Philox(key=0))
        given = self.reference.shape, self.pixel_mm, flat_sd_hu, rng
        noises = scanner_noise(*given), scanner_noise(*given)
        return faithfulness.sfrc_floor(reference=self.reference, noises=noises, body=self.body)


def scanner_noise(
    shape: tuple[int, int], pixel_mm: float, texture_sd_hu: float, rng: np.random.Generator
) -> np.ndarray:
    """Noise of the texture of filtered backprojection: power f W(f)^2, W Hann's to 0.74 /mm.

    Returns (rows, columns) HU whose SD, once its Gaussian of 2 px is taken off, is texture_sd_hu.
    """
    frequency = np.hypot(
        np.fft.fftfreq(shape[0], pixel_mm)[:, None], np.fft.rfftfreq(shape[1], pixel_mm)
    )
    hann = 0.5 + 0.5 * np.cos(np.pi * np.minimum(frequency / 0.74, 1))
    made = np.fft.irfft2(np.fft.rfft2(rng.normal(size=shape)) * np.sqrt(frequency) * hann, shape)
    return made * (texture_sd_hu / noise_power.texture_sd_hu(made, mask=np.ones(shape, bool)))


def tissue_masks(reference: np.ndarray, body: np.ndarray) -> dict[str, np.ndarray]:
    """Each tissue of which the slice shows 200 pixels, away from its rim: (rows, columns) bool."""
    smooth = ndimage.gaussian_filter(reference.astype(np.float32), TISSUE_SMOOTH_PX)
    found = {}
    for name, (low, high) in TISSUES_HU.items():
        inside = body
        if name == "air":
            inside = ~ndimage.binary_dilation(body, iterations=AIR_RIM_PX)
        mask = inside & (smooth > low) & (smooth < high)
        mask = ndimage.binary_erosion(mask, iterations=TISSUE_RIM_PX)
        if np.count_nonzero(mask) >= TISSUE_PIXELS:
            found[name] = mask
    return found


def figures(output: np.ndarray, truth: Truth, windows: Windows = WINDOWS) -> dict:
    """metrics.all_metrics and the figures of whole slices; None where nothing can be measured.

    output: (rows, columns) HU. psnr_body_db by window; Truth.alone; nps_distance of its noise power
    from the normal dose's; bias_by_tissue_hu; chi2, spots and wide_spots (consistency with the low
    dose), invented_share, invented_energy_hu2, shift_px (the larger of the two directions) and
    sfrc_share: see metrics/faithfulness.py. Raises ValueError for NaN or where the shapes do not
    agree.
    """
    reference, body = truth.reference, truth.body
    both = {"output": output, "reference": reference, "body": body}
    made = similarity.all_metrics(**both, windows=windows)
    made |= truth.alone(output)
    made[NPS_DISTANCE] = noise_power.power_distance(made[NPS], truth.of_reference[NPS])
    error = output.astype(np.float64) - reference
    made["bias_by_tissue_hu"] = {
        name: float(error[truth.tissues[name]].mean()) if name in truth.tissues else None
        for name in TISSUES_HU
    }
    consistent = truth.consistency(output)
    invented = faithfulness.invention(**both)
    shift = faithfulness.shift_px(**both)
    return made | {
        "chi2": consistent.chi2,
        "clean_chi2": truth.clean_chi2,
        "spots": None if consistent.chi2 is None else float(consistent.spots),
        "wide_spots": None if consistent.chi2 is None else float(consistent.wide_spots),
        "invented_share": invented.share,
        "invented_energy_hu2": invented.energy_hu2,
        "shift_px": None if shift is None else float(np.abs(shift).max()),
        SFRC: faithfulness.sfrc(**both).share,
    }
