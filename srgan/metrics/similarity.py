"""How close an output is to its reference: PSNR, SSIM and errors in HU, in float64.

PSNR and SSIM depend on the window, so it is required: both images are clipped to it, and its width
is the data range. The same error reads 8.7 dB lower in the lung window than in the full one. Never
compare values from different windows.
"""

import math

import numpy as np
from scipy import ndimage

from srgan.hounsfield import WINDOWS, Window, Windows

SSIM_SIGMA = 1.5
SSIM_RADIUS = 5  # 11 x 11 pixels; also the border that the mean over the map leaves out
SSIM_K1, SSIM_K2 = 0.01, 0.03


def has_contrast(reference: np.ndarray, window: Window) -> bool:
    """Whether a reference in HU varies inside the window. If not, PSNR and SSIM mean nothing.

    Examples are padding, or lung in the mediastinum window. Every output outside the window would
    have an infinite PSNR, and one such patch would make the mean over patches infinite.
    """
    if not reference.size:
        return False
    low, high = np.clip([reference.min(), reference.max()], *window)
    return bool(low < high)


def _clipped(output, reference, window: Window) -> tuple[np.ndarray, np.ndarray]:
    """Both images in float64, clipped to the window. Raises ValueError as `psnr_db` does."""
    output, reference = np.asarray(output, np.float64), np.asarray(reference, np.float64)
    if output.shape != reference.shape or not output.size:
        raise ValueError(f"an output of {output.shape} against a reference of {reference.shape}")
    if not (np.isfinite(output).all() and np.isfinite(reference).all()):
        raise ValueError("the output or its reference holds NaN or infinity")
    return np.clip(output, *window), np.clip(reference, *window)


def _clipped_with_contrast(output, reference, window: Window, mask):
    """`_clipped`. Raises ValueError also where the reference is constant in window and mask."""
    a, b = _clipped(output, reference, window)
    if mask is not None and mask.shape != a.shape:
        raise ValueError(f"a mask of {mask.shape} for an output of {a.shape}")
    if not has_contrast(b if mask is None else b[mask], window):
        limits = f"{window.low:g} to {window.high:g} HU"
        raise ValueError(f"the reference is constant from {limits}: there is nothing to compare")
    return a, b


def _psnr(a: np.ndarray, b: np.ndarray, width: float, mask=None) -> float:
    squares = (a - b) ** 2
    mse = float(np.mean(squares if mask is None else squares[mask]))
    return 10.0 * math.log10(width**2 / mse) if mse else math.inf


def psnr_db(
    *, output: np.ndarray, reference: np.ndarray, window: Window, mask: np.ndarray | None = None
) -> float:
    """10 log10(W^2 / mean((clip(a) - clip(b))^2)) in dB, where W is the width of the window.

    output, reference: one shape, HU, any real dtype. mask: bool of that shape, the pixels that the
    mean is taken over. Returns infinity where both are equal in the window. Raises ValueError for
    NaN, infinity, unequal shapes, or a reference that is constant in the window (and mask).
    """
    clipped = _clipped_with_contrast(output, reference, window, mask)
    return _psnr(*clipped, window.width, mask)


def _local_mean(image: np.ndarray) -> np.ndarray:
    """Gaussian mean over 11 x 11 pixels, only where all of them lie in the image."""
    mean = ndimage.gaussian_filter(image, SSIM_SIGMA, radius=SSIM_RADIUS)
    return _without_border(mean)


def _without_border(image: np.ndarray) -> np.ndarray:
    """The part of an image or mask that the SSIM map covers."""
    return image[SSIM_RADIUS:-SSIM_RADIUS, SSIM_RADIUS:-SSIM_RADIUS]


def _ssim_map(a: np.ndarray, b: np.ndarray, width: float) -> np.ndarray:
    """SSIM of each pixel, without the border of 5 pixels."""
    if a.ndim != 2 or min(a.shape) <= 2 * SSIM_RADIUS:
        raise ValueError(f"SSIM needs at least 11 x 11 pixels, not {a.shape}")
    mean_a, mean_b = _local_mean(a), _local_mean(b)
    product, squares = mean_a * mean_b, mean_a**2 + mean_b**2
    covariance = _local_mean(a * b) - product
    variances = _local_mean(a**2 + b**2) - squares  # the formula needs only their sum
    c1, c2 = (SSIM_K1 * width) ** 2, (SSIM_K2 * width) ** 2
    return (2 * product + c1) * (2 * covariance + c2) / ((squares + c1) * (variances + c2))


def ssim(
    *, output: np.ndarray, reference: np.ndarray, window: Window, mask: np.ndarray | None = None
) -> float:
    """Structural similarity: Z. Wang et al., IEEE Trans. Image Process. 13 (2004) 600, equation 13.

    output, reference: (rows, columns) HU, any real dtype, clipped to the window. mask: bool, the
    same shape, the pixels of the SSIM map that the mean is taken over. Settings: Gaussian weights
    of 11 x 11 and SD 1.5 px, K 0.01 and 0.03, population covariance, the window's width as data
    range, mean over the map without 5 pixels of border. The luminance term sees HU as they are,
    with water at 0. Values counted from the lower end of the window give up to 0.02 more.
    Raises ValueError for NaN, infinity, unequal shapes, fewer than 11 rows or columns, a reference
    that is constant in the window (and mask), or a mask that lies in the border only.
    """
    clipped = _clipped_with_contrast(output, reference, window, mask)
    similarity = _ssim_map(*clipped, window.width)
    if mask is None:
        return float(similarity.mean())
    inside = _without_border(mask)
    if not inside.any():
        raise ValueError("the mask lies in the border of 5 pixels that SSIM leaves out")
    return float(similarity[inside].mean())


def errors_hu(*, output: np.ndarray, reference: np.ndarray) -> dict[str, float]:
    """ "rmse_hu", "mae_hu" and "bias_hu" of output - reference, both clipped to [-1024, 3071].

    Raises ValueError for NaN, infinity or unequal shapes.
    """
    a, b = _clipped(output, reference, WINDOWS["full"])
    error = a - b
    return {
        "rmse_hu": float(np.sqrt(np.mean(error**2))),
        "mae_hu": float(np.mean(np.abs(error))),
        "bias_hu": float(np.mean(error)),
    }


def all_metrics(
    *, output: np.ndarray, reference: np.ndarray, windows: Windows, body: np.ndarray | None = None
) -> dict:
    """PSNR and SSIM in every window, and the errors in HU, of a (rows, columns) HU output.

    Returns {"psnr_db": {window: dB}, "ssim": {window: value}, "rmse_hu", "mae_hu", "bias_hu"}. With
    a bool mask `body` also "psnr_body_db", PSNR over its pixels, and "ssim_body", the mean of the
    SSIM map inside it. PSNR and SSIM are None in a window where the reference is constant. Raises
    ValueError for NaN, infinity, unequal shapes, or fewer than 11 rows or columns.
    """
    regions = {("psnr_db", "ssim"): None}
    if body is not None:
        regions["psnr_body_db", "ssim_body"] = body
    metrics = {name: {} for names in regions for name in names}
    for window_name, window in windows.items():
        a, b = _clipped(output, reference, window)
        similarity = _ssim_map(a, b, window.width)
        for (psnr_name, ssim_name), mask in regions.items():
            contrast = has_contrast(b if mask is None else b[mask], window)
            inside = similarity if mask is None else similarity[_without_border(mask)]
            metrics[psnr_name][window_name] = _psnr(a, b, window.width, mask) if contrast else None
            metrics[ssim_name][window_name] = (
                float(inside.mean()) if contrast and inside.size else None
            )
    return metrics | errors_hu(output=output, reference=reference)
