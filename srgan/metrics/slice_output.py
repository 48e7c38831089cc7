"""What the metrics of a slice are measured on: an output, and the normal dose with its regions."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy import ndimage

from srgan.hounsfield import Windows
from srgan.lowdose.estimate_photons import flat_soft_tissue
from srgan.lowdose.projector import hann
from srgan.lowdose.scanner import Scanner
from srgan.masks import body_mask, lung_mask
from srgan.metrics import edges_and_vessels, faithfulness, noise_power, similarity
from srgan.metrics.edges_and_vessels import ProfileLines
from srgan.metrics.faithfulness import Consistency, Invention
from srgan.metrics.noise_power import Power
from srgan.metrics.removed_structure import RemovedStructure, removed_structure

LUNG_PIXELS = 500  # with fewer there is no lung to measure texture in
TISSUE_PIXELS = 200
TISSUES_HU = {
    "air": (-np.inf, -900.0),
    "lung": (-1000.0, -600.0),
    "fat": (-140.0, -60.0),
    "soft tissue": (0.0, 100.0),
    "bone": (200.0, np.inf),
}
# A tissue is cut from the smoothed normal dose, without its rim. Cut pixel by pixel, lung would be
# what is dark by chance and between vessels, and any smoother output would look brighter there.
TISSUE_SMOOTH_PX, TISSUE_RIM_PX, AIR_RIM_PX = 3.0, 3, 8


@dataclass(frozen=True)
class Reference:
    """A normal-dose slice, its low dose, and the regions to measure in; of a patch the image alone.

    Arrays are (rows, columns), masks are bool. A region is None where the slice shows too little
    of it.
    """

    image: np.ndarray  # HU in [-1024, 3071]
    low_dose: np.ndarray | None = None  # (rows/scale, columns/scale) HU
    noise_sd_hu: np.ndarray | None = None  # expected noise of each pixel of low_dose
    scale: int = 1
    pixel_mm: float = 1.0
    clean_chi2: float = 1.0
    body: np.ndarray | None = None
    lung: np.ndarray | None = None
    flat: np.ndarray | None = None
    tissues: Mapping[str, np.ndarray] = field(default_factory=dict)
    edges: ProfileLines | None = None
    vessels: ProfileLines | None = None
    boxes: list[tuple] = field(default_factory=list)  # where the noise power is measured
    noise_power: Power = field(default_factory=dict)  # of the image

    @classmethod
    def of(
        cls,
        image: np.ndarray,
        low_dose: np.ndarray,
        noise_sd_hu: np.ndarray,
        scale: int,
        spacing_mm: tuple[float, float],
        clean_chi2: float = 1.0,
    ) -> "Reference":
        """Find the regions of a slice. clean_chi2: see lowdose.degradation."""
        body, lung = body_mask(image), lung_mask(image)
        lung = lung if np.count_nonzero(lung) > LUNG_PIXELS else None
        pixel_mm = float(np.sqrt(np.prod(spacing_mm)))
        boxes = noise_power.soft_tissue_boxes(image)
        vessels = None
        if lung is not None:
            vessels = edges_and_vessels.find_vessels(image, lung, pixel_mm=pixel_mm)
        return cls(
            image=image,
            low_dose=low_dose,
            noise_sd_hu=noise_sd_hu,
            scale=scale,
            pixel_mm=pixel_mm,
            clean_chi2=clean_chi2,
            body=body,
            lung=lung,
            flat=flat_soft_tissue(image),
            tissues=tissue_masks(image, body),
            edges=edges_and_vessels.find_edges(image, body, pixel_mm=pixel_mm),
            vessels=vessels,
            boxes=boxes,
            noise_power=noise_power.power_in_boxes(image, boxes, pixel_mm),
        )

    def consistency(self, output: np.ndarray) -> Consistency:
        """How an output agrees with the low dose."""
        return faithfulness.consistency(
            output=output,
            low_dose=self.low_dose,
            sd_hu=self.noise_sd_hu,
            body=self.body,
            scale=self.scale,
            clean_chi2=self.clean_chi2,
        )


@dataclass(frozen=True)
class Output:
    """An output on a slice or patch, with what several metrics share, computed once."""

    image: np.ndarray  # (rows, columns) HU
    reference: Reference
    similarity: dict = field(default_factory=dict)  # similarity.all_metrics
    consistency: Consistency | None = None
    invention: Invention | None = None
    noise_power: Power = field(default_factory=dict)

    @classmethod
    def of_slice(cls, image: np.ndarray, reference: Reference, windows: Windows) -> "Output":
        """Raises ValueError for NaN, infinity, unequal shapes, or under 11 rows or columns."""
        both = {"output": image, "reference": reference.image, "body": reference.body}
        return cls(
            image,
            reference,
            similarity.all_metrics(**both, windows=windows),
            reference.consistency(image),
            faithfulness.invention(**both),
            noise_power.power_in_boxes(image, reference.boxes, reference.pixel_mm),
        )

    @classmethod
    def of_patch(cls, image: np.ndarray, reference: np.ndarray, windows: Windows) -> "Output":
        """Raises ValueError as `of_slice`."""
        shared = similarity.all_metrics(output=image, reference=reference, windows=windows)
        return cls(image, Reference(reference), shared)

    @classmethod
    def of_normal_dose(cls, reference: Reference) -> "Output":
        """The normal dose as if it were an output: there is nothing to compare it with."""
        return cls(reference.image, reference, noise_power=reference.noise_power)

    @cached_property
    def removed(self) -> RemovedStructure:
        """The structure in what the output lacks of its low dose, at scale 1."""
        low_dose, body = self.reference.low_dose, self.reference.body
        return removed_structure(before=low_dose, after=self.image, body=body)

    @property
    def beside_reference(self) -> dict[str, np.ndarray]:
        """For functions that take an output, its reference and the body."""
        reference = self.reference
        return {"output": self.image, "reference": reference.image, "body": reference.body}


def tissue_masks(
    image: np.ndarray, body: np.ndarray, coarser: float = 1.0
) -> dict[str, np.ndarray]:
    """Each tissue of which the slice shows 200 pixels, without its rim: (rows, columns) bool.

    coarser: the side of its pixels over that of a normal dose's.
    """
    rim_px, air_rim_px = (math.ceil(px / coarser) for px in (TISSUE_RIM_PX, AIR_RIM_PX))
    smooth = ndimage.gaussian_filter(image.astype(np.float32), TISSUE_SMOOTH_PX / coarser)
    masks = {}
    for name, (low, high) in TISSUES_HU.items():
        inside = body
        if name == "air":
            inside = ~ndimage.binary_dilation(body, iterations=air_rim_px)
        mask = inside & (smooth > low) & (smooth < high)
        mask = ndimage.binary_erosion(mask, iterations=rim_px)
        if np.count_nonzero(mask) >= TISSUE_PIXELS / coarser**2:
            masks[name] = mask
    return masks


def sfrc_floor(reference: Reference, flat_sd_hu: float | None) -> float | None:
    """What sFRC flags between two copies of the normal dose that differ in noise alone.

    flat_sd_hu: how noisy the normal dose is in flat soft tissue; None without such tissue. The
    copies keep the noise of the normal dose itself, so the true floor is slightly higher.
    """
    if flat_sd_hu is None:
        return None
    rng = np.random.Generator(np.random.Philox(key=0))
    given = reference.image.shape, reference.pixel_mm, flat_sd_hu, rng
    one, other = (reference.image + scanner_noise(*given) for _ in range(2))
    return faithfulness.sfrc(output=one, reference=other, body=reference.body).share


def scanner_noise(
    shape: tuple[int, int], pixel_mm: float, texture_sd_hu: float, rng: np.random.Generator
) -> np.ndarray:
    """Noise with the texture of filtered backprojection: power f W(f)^2, W Hann's to 0.74 /mm.

    Returns (rows, columns) HU whose SD, without its Gaussian of 2 px, is texture_sd_hu.
    """
    frequency = np.hypot(
        np.fft.fftfreq(shape[0], pixel_mm)[:, None], np.fft.rfftfreq(shape[1], pixel_mm)
    )
    spectrum = np.fft.rfft2(rng.normal(size=shape)) * np.sqrt(frequency)
    noise = np.fft.irfft2(spectrum * hann(frequency, Scanner.filter_cutoff), shape)
    whole = np.ones(shape, bool)
    return noise * (texture_sd_hu / noise_power.texture_sd_hu(noise, mask=whole))
