"""How near an output is to its reference: PSNR, SSIM, errors in HU, texture, NPS. All float64.

PSNR and SSIM depend on the window, which is required: it is what both images are clipped to, and
its width is the data range. The same error reads 8.7 dB lower in the lung window than in the full
one. Never compare across windows.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from srgan.hounsfield import WINDOWS, Window, Windows

SSIM_SIGMA = 1.5
SSIM_RADIUS = 5  # 11 x 11 pixels; also the border that the mean leaves out
SSIM_K1, SSIM_K2 = 0.01, 0.03
TEXTURE_SIGMA = 2.0  # pixels; what is coarser is anatomy


def has_contrast(reference: np.ndarray, window: Window) -> bool:
    """Does a reference in HU vary inside the window? Where not, there is nothing to compare.

    Padding, or lung in the mediastinum window: whatever lies outside the window too would have an
    infinite PSNR, and one such patch would make every mean over patches infinite.
    """
    if not reference.size:
        return False
    low, high = np.clip([reference.min(), reference.max()], *window)
    return bool(low < high)


def _clipped(output, reference, window: Window) -> tuple[np.ndarray, np.ndarray]:
    """Both in float64, clipped to the window. Raises ValueError as the public functions do."""
    output, reference = np.asarray(output, np.float64), np.asarray(reference, np.float64)
    if output.shape != reference.shape or not output.size:
        raise ValueError(f"an output of {output.shape} against a reference of {reference.shape}")
    if not (np.isfinite(output).all() and np.isfinite(reference).all()):
        raise ValueError("the output or its reference holds NaN or infinity")
    return np.clip(output, *window), np.clip(reference, *window)


def _compared(output, reference, window: Window, mask) -> tuple[np.ndarray, np.ndarray]:
    """`_clipped`. Raises ValueError too where the reference is constant in window and mask."""
    a, b = _clipped(output, reference, window)
    if mask is not None and mask.shape != a.shape:
        raise ValueError(f"a mask of {mask.shape} for an output of {a.shape}")
    if not has_contrast(b if mask is None else b[mask], window):
        span = f"{window.low:g} to {window.high:g} HU"
        raise ValueError(f"the reference is constant from {span}: there is nothing to compare")
    return a, b


def _psnr(a: np.ndarray, b: np.ndarray, width: float, mask=None) -> float:
    squares = (a - b) ** 2
    mse = float(np.mean(squares if mask is None else squares[mask]))
    return 10.0 * math.log10(width**2 / mse) if mse else math.inf


def psnr_db(
    *, output: np.ndarray, reference: np.ndarray, window: Window, mask: np.ndarray | None = None
) -> float:
    """10 log10(W^2 / mean((clip(a) - clip(b))^2)) in dB, W the window's width (the data range).

    Two arrays of one shape in HU, any real dtype; infinity where they are equal in the window. A
    constant output is judged as any other. mask: bool, the same shape; the mean is over its pixels.
    Raises ValueError for NaN, infinity, unequal shapes, or a reference that is constant in the
    window (and mask).
    """
    return _psnr(*_compared(output, reference, window, mask), window.width, mask)


def _local_mean(image: np.ndarray) -> np.ndarray:
    """Gaussian mean of 11 x 11 pixels, where all of them lie in the image."""
    mean = ndimage.gaussian_filter(image, SSIM_SIGMA, radius=SSIM_RADIUS)
    return mean[SSIM_RADIUS:-SSIM_RADIUS, SSIM_RADIUS:-SSIM_RADIUS]


def _similarity(a: np.ndarray, b: np.ndarray, width: float) -> np.ndarray:
    """SSIM's map, less the border."""
    if a.ndim != 2 or min(a.shape) <= 2 * SSIM_RADIUS:
        raise ValueError(f"SSIM needs at least 11 x 11 pixels, not {a.shape}")
    mean_a, mean_b = _local_mean(a), _local_mean(b)
    product, squares = mean_a * mean_b, mean_a**2 + mean_b**2
    covariance = _local_mean(a * b) - product
    variances = _local_mean(a**2 + b**2) - squares  # their sum is all that the formula asks for
    c1, c2 = (SSIM_K1 * width) ** 2, (SSIM_K2 * width) ** 2
    return (2 * product + c1) * (2 * covariance + c2) / ((squares + c1) * (variances + c2))


def _without_border(mask: np.ndarray) -> np.ndarray:
    """The part of a mask that SSIM's map covers."""
    return mask[SSIM_RADIUS:-SSIM_RADIUS, SSIM_RADIUS:-SSIM_RADIUS]


def ssim(
    *, output: np.ndarray, reference: np.ndarray, window: Window, mask: np.ndarray | None = None
) -> float:
    """Structural similarity (Wang et al., IEEE TIP 13 (2004) 600, equation 13), 1 where equal.

    Two (rows, columns) arrays in HU, any real dtype, clipped to the window. Gaussian weights 11 x
    11, SD 1.5 px, K 0.01 and 0.03, population covariance, data range = the window's width, mean
    over the map less 5 pixels of border. mask: bool, the same shape; the mean is over its part of
    the map. The luminance term sees HU as they are, water at 0: values counted from the window's
    lower end give up to 0.02 more, so say which when comparing.
    Raises ValueError for NaN, infinity, unequal shapes, fewer than 11 rows or columns, a reference
    that is constant in the window (and mask), or a mask that lies in the border alone.
    """
    found = _similarity(*_compared(output, reference, window, mask), window.width)
    if mask is None:
        return float(found.mean())
    inside = _without_border(mask)
    if not inside.any():
        raise ValueError("the mask lies in the border of 5 pixels that SSIM leaves out")
    return float(found[inside].mean())


def _errors(output, reference) -> np.ndarray:
    a, b = _clipped(output, reference, WINDOWS["full"])
    return a - b


def rmse_hu(*, output: np.ndarray, reference: np.ndarray) -> float:
    """Root mean square error in HU, both clipped to [-1024, 3071].

    Raises ValueError for NaN, infinity or unequal shapes.
    """
    return float(np.sqrt(np.mean(_errors(output, reference) ** 2)))


def mae_hu(*, output: np.ndarray, reference: np.ndarray) -> float:
    """Mean absolute error in HU, clipped and refused as in `rmse_hu`."""
    return float(np.mean(np.abs(_errors(output, reference))))


def bias_hu(*, output: np.ndarray, reference: np.ndarray) -> float:
    """Mean of output - reference in HU, clipped and refused as in `rmse_hu`."""
    return float(np.mean(_errors(output, reference)))


def texture_sd_hu(image: np.ndarray, *, mask: np.ndarray) -> float:
    """SD in HU of (image - its Gaussian of 2 px) inside a mask: noise and fine structure.

    image: (rows, columns) HU; mask: the same shape, bool. Raises ValueError for NaN, infinity,
    unequal shapes or an empty mask.
    """
    image = np.asarray(image, np.float64)
    if image.shape != mask.shape or not mask.any() or not np.isfinite(image).all():
        raise ValueError("texture needs an image of finite HU and a mask of its shape, not empty")
    return float((image - ndimage.gaussian_filter(image, TEXTURE_SIGMA))[mask].std())


class Spectrum(NamedTuple):
    """A radial noise power spectrum; zero frequency is left out."""

    frequency: np.ndarray  # (n,) 1/mm
    power: np.ndarray  # (n,) HU^2 mm^2
    sd_hu: float  # the root of the integral over the plane

    @property
    def peak(self) -> float:
        """1/mm, of a parabola through the highest bin and its neighbours; NaN at either end."""
        top = int(self.power.argmax())
        if not 0 < top < len(self.power) - 1:
            return math.nan
        a, b, c = self.power[top - 1 : top + 2]
        step = self.frequency[1] - self.frequency[0]
        return float(self.frequency[top] + step * (a - c) / (a - 2 * b + c) / 2)

    @property
    def half(self) -> float:
        """1/mm where the power has fallen to half of its highest bin; NaN where it never does."""
        top, half = int(self.power.argmax()), self.power.max() / 2
        below = np.flatnonzero(self.power[top:] < half)
        if not len(below):
            return math.nan
        ends = [top + below[0], top + below[0] - 1]
        return float(np.interp(half, self.power[ends], self.frequency[ends]))

    @property
    def mean(self) -> float:
        """Mean frequency over the plane up to Nyquist: sum f^2 S / sum f S, 1/mm."""
        f, s = self.frequency, self.power
        return float((f**2 * s).sum() / (f * s).sum())


def boxes_in(mask: np.ndarray, *, box: int, step: int) -> list[tuple]:
    """The squares of `box` pixels that lie in a bool mask: indices of the last two axes."""
    starts = [range(0, n - box + 1, step) for n in mask.shape]
    places = [np.s_[..., r : r + box, c : c + box] for r in starts[0] for c in starts[1]]
    return [place for place in places if mask[place].all()]


def _less_plane(boxes: np.ndarray) -> np.ndarray:
    """(n, box, box) less the plane that fits each best."""
    ramp = np.arange(boxes.shape[-1]) - (boxes.shape[-1] - 1) / 2
    ramp /= np.sqrt((ramp**2).sum())
    rows, columns = boxes.mean(2) @ ramp, boxes.mean(1) @ ramp
    mean = boxes.mean((1, 2), keepdims=True)
    return boxes - mean - rows[:, None, None] * ramp[:, None] - columns[:, None, None] * ramp


def nps(
    noise: np.ndarray,
    *,
    pixel_mm: float,
    box: int = 64,
    mask: np.ndarray | None = None,
    places: list[tuple] | None = None,
    plane: bool = False,
) -> Spectrum:
    """Noise power spectrum: pixel_mm^2 / box^2 mean |FFT(noise - mean)|^2 over boxes, by radius.

    noise: (..., rows, columns) HU, noise alone: an image less its repeat over sqrt 2, or less what
    is known to be clean. The boxes overlap by half and lie in the mask, (rows, columns) bool, or
    are those of `boxes_in`. plane: each box is taken less its plane instead of its mean.
    Raises ValueError for NaN, infinity or where no box fits.
    """
    noise = np.asarray(noise, np.float64)
    if places is None:
        inside = np.ones(noise.shape[-2:], bool) if mask is None else mask
        places = boxes_in(inside, box=box, step=box // 2)
    boxes = [noise[place] for place in places]
    if not boxes or not np.isfinite(boxes).all():
        raise ValueError(f"an NPS needs a box of {box} x {box} pixels of finite HU")
    boxes = np.reshape(boxes, (-1, box, box))
    boxes = _less_plane(boxes) if plane else boxes - boxes.mean((1, 2), keepdims=True)
    power = (np.abs(np.fft.fft2(boxes)) ** 2).mean(0) * (pixel_mm / box) ** 2
    k = np.fft.fftfreq(box, 1 / box)
    radius = np.rint(np.hypot(k, k[:, None])).astype(int).ravel()
    ring = np.bincount(radius, power.ravel()) / np.bincount(radius)
    frequency = np.arange(1, box // 2 + 1) / (box * pixel_mm)
    sd = math.sqrt(power.sum()) / (box * pixel_mm)
    return Spectrum(frequency, ring[1 : box // 2 + 1], sd)


def all_figures(
    *, output: np.ndarray, reference: np.ndarray, windows: Windows, body: np.ndarray | None = None
) -> dict:
    """Every figure of an output against its reference, both (rows, columns) HU.

    {"psnr_db": {window: dB}, "ssim": {the same}, "rmse_hu", "mae_hu", "bias_hu"}; with a body, a
    bool mask, also "psnr_body_db" and "ssim_body": PSNR over its pixels, and the mean of SSIM's map
    in it. PSNR and SSIM are None in a window where the reference is constant. Raises ValueError for
    NaN, infinity, unequal shapes, or fewer than 11 rows or columns.
    """
    regions = {("psnr_db", "ssim"): None}
    if body is not None:
        regions["psnr_body_db", "ssim_body"] = body
    found = {name: {} for names in regions for name in names}
    for window_name, window in windows.items():
        a, b = _clipped(output, reference, window)
        similarity = _similarity(a, b, window.width)
        for (psnr, ssim), mask in regions.items():
            seen = has_contrast(b if mask is None else b[mask], window)
            shown = similarity if mask is None else similarity[_without_border(mask)]
            found[psnr][window_name] = _psnr(a, b, window.width, mask) if seen else None
            found[ssim][window_name] = float(shown.mean()) if seen and shown.size else None
    return found | {
        "rmse_hu": rmse_hu(output=output, reference=reference),
        "mae_hu": mae_hu(output=output, reference=reference),
        "bias_hu": bias_hu(output=output, reference=reference),
    }
