"""A disc phantom, low-dosed and enlarged as a slice: how sharp is each method's output?"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from srgan.evaluation.baselines import Method
from srgan.evaluation.study import NORMAL_DOSE
from srgan.evaluation.study_slice import StudySlice, make_pair
from srgan.hounsfield import AIR_HU
from srgan.lowdose.degradation import Degradation
from srgan.lowdose.projector import hann
from srgan.lowdose.scanner import Scanner
from srgan.metrics.ttf import Discs, disc_ttf

SLICES = 10  # with fewer, noise raises the TTF
SIZE, PART = 512, 256  # pixels of the slice, and of its middle that is enlarged
TISSUE_HU, CONTRAST_HU = 40.0, 300.0
RADIUS_PX = 40.0  # at least 10 mm
CENTRE_PX = ((SIZE - 1) / 2 + 0.3, (SIZE - 1) / 2 - 0.2)  # the low dose's pixels cut it anyhow
BODY_MM = 150.0


def disc(pixel_mm: float) -> np.ndarray:
    """(512, 512) float32 HU: 300 HU on soft tissue, in air, as sharp as a soft kernel leaves it."""
    rows, columns = np.mgrid[:SIZE, :SIZE]

    def inside(radius_px: float) -> np.ndarray:
        distance = np.hypot(rows - CENTRE_PX[0], columns - CENTRE_PX[1])
        return np.clip(radius_px - distance + 0.5, 0, 1)

    body_px = min(BODY_MM / pixel_mm, 0.45 * SIZE)
    hu = AIR_HU + (TISSUE_HU - AIR_HU) * inside(body_px) + CONTRAST_HU * inside(RADIUS_PX)
    across, down = np.fft.rfftfreq(SIZE, pixel_mm), np.fft.fftfreq(SIZE, pixel_mm)
    kernel = hann(np.hypot(across, down[:, None]), Scanner.filter_cutoff)
    return np.fft.irfft2(np.fft.rfft2(hu) * kernel, (SIZE, SIZE)).astype(np.float32)


def _fitted(noise: np.ndarray) -> np.ndarray:
    """The middle (512, 512) of an image of noise, mirrored at its edges where it is smaller."""
    for axis, size in enumerate(noise.shape):
        missing = max(SIZE - size, 0)
        pad = [(0, 0), (0, 0)]
        pad[axis] = missing // 2, missing - missing // 2
        start = max(size - SIZE, 0) // 2
        noise = np.pad(noise, pad, "symmetric").take(range(start, start + SIZE), axis)
    return noise


def discs_of(
    methods: dict[str, Method],
    degradation: Degradation,
    *,
    pixel_mm: float,
    photons: float | None,
    seed: int,
    differences: Sequence[Callable[[], np.ndarray]] = (),
) -> Discs:
    """The TTF of each method and of the normal dose, from the mean of ten low-dosed slices.

    The noise is that of the tested slices, at the middle of a range; the phantom has no noise of
    its own. photons: at full dose, only for noise in the projections. differences: of real pairs,
    whose measured noise the phantom gets, turned where there are fewer than ten: each reads (rows,
    columns) HU.
    """
    hu, scale, level = disc(pixel_mm), degradation.scale, degradation.middle()
    start = (SIZE - PART) // 2
    low_part, part = (slice(start // n, (start + PART) // n) for n in (scale, 1))
    lows = []
    for k in range(SLICES):
        low_hu = None
        if differences:
            turns, which = divmod(k, len(differences))
            low_hu = partial(np.add, hu, np.rot90(_fitted(differences[which]()), turns))
        item = StudySlice("", k, (pixel_mm, pixel_mm), k, lambda: hu, photons, low_hu=low_hu)
        reference, low_dose = make_pair(item, level, seed)
        lows.append(low_dose[low_part, low_part])
    images = {NORMAL_DOSE: reference[part, part]}
    images |= {n: np.mean([method(low) for low in lows], 0) for n, method in methods.items()}
    centre_px = tuple(at - start for at in CENTRE_PX)
    ttf = {
        name: disc_ttf(image, pixel_mm=pixel_mm, centre_px=centre_px, radius_px=RADIUS_PX)
        for name, image in images.items()
    }
    noise_sd_hu = float(np.sqrt(np.var(lows, 0, ddof=1, dtype=np.float64).mean()))
    return Discs(ttf, CONTRAST_HU, noise_sd_hu, SLICES, pixel_mm)
