"""Do two slices show the same anatomy at the same place, and which of them has more noise?

Their difference tells: between a normal and a low dose of one scan it is noise alone. Anatomy
cancels in it, and in the difference of the two noise variances as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from srgan.masks import body_mask
from srgan.resampling import area_mean
from srgan.system.errors import Skip

CLIP_HU = (-1024.0, 400.0)  # metal and bone would decide alone
COARSE_PX, FINE_PX, GRADIENT_PX = 4.0, 2.0, 1.5  # Gaussian SDs: anatomy; noise; edges
BLOCK_PX = 8
OTHER_ANATOMY = "low dose of another anatomy"
ONE_SIDE = 0.1  # of the noise balance: less means that neither slice is clearly the noisier
# Bounds for a pair. See `docs/data.md` for what was measured.
LEAST_CORRELATION = 0.98
MOST_SHIFT_PX = 0.2
MOST_BIAS_HU = 20.0
MOST_BALANCE = 1.5


@dataclass(frozen=True)
class Difference:
    """What two slices a and b of one size differ by."""

    correlation: float  # of both, smoothed: 1 for the same anatomy
    shift_px: float  # of b against a, by the edges; right for less than about two pixels
    shift_error_px: float  # what the noise makes of that where there are few edges
    bias_hu: float  # median of b - a in the body
    sd_hu: float  # SD of b - a in flat parts of the body
    # (Variance of b's noise - of a's) / variance of the difference: 1 where noise was added to a,
    # 3/5 for two scans of which b has a quarter of the dose, beyond 1 where b is a sharpened a.
    balance: float

    @property
    def fault(self) -> str:
        """Why the difference is more than noise; empty where it is noise."""
        if self.sd_hu == 0:
            return f"there is no noise between them: they differ by {self.bias_hu:g} HU everywhere"
        if not self.correlation >= LEAST_CORRELATION:
            return f"the anatomy is another one (correlation {self.correlation:.3f})"
        if not self.shift_px <= MOST_SHIFT_PX + self.shift_error_px:
            return f"the anatomy is shifted by {self.shift_px:.1f} pixels"
        if not abs(self.bias_hu) <= MOST_BIAS_HU:
            return f"the HU differ by {self.bias_hu:+.0f} in the body"
        if not abs(self.balance) <= MOST_BALANCE:
            return "they differ by sharpness, not by noise: another reconstruction"
        return ""


def difference(a: np.ndarray, b: np.ndarray) -> Difference:
    """a, b: (rows, columns) HU of one size."""
    a, b = (np.clip(hu, *CLIP_HU).astype(np.float32) for hu in (a, b))
    d, mean = b - a, (a + b) / 2
    body = body_mask(mean)
    body = body if body.any() else np.ones_like(body)
    fine_d, fine_sum = (x - ndimage.gaussian_filter(x, FINE_PX) for x in (d, a + b))
    slope = ndimage.gaussian_gradient_magnitude(mean, GRADIENT_PX)
    flat = body & (slope <= np.median(slope[body]))
    variance = float(np.mean(fine_d[flat] ** 2, dtype=np.float64))
    balance = float(np.mean(fine_d[flat] * fine_sum[flat], dtype=np.float64))
    shift_px, shift_error_px = _shift_px(d[body], [_slope(mean, axis)[body] for axis in (0, 1)])
    return Difference(
        correlation=_correlation(*(ndimage.gaussian_filter(x, COARSE_PX) for x in (a, b))),
        shift_px=shift_px,
        shift_error_px=shift_error_px,
        bias_hu=float(np.median(d[body])),
        sd_hu=float(np.std(d[flat], dtype=np.float64)),
        balance=balance / variance if variance > 0 else 0.0,
    )


def check(a: np.ndarray, b: np.ndarray) -> None:
    """Raises Skip unless two slices show the same anatomy, by the means of blocks alone: quick."""
    blocks = [np.clip(hu, *CLIP_HU).astype(np.float32) for hu in (a, b)]
    rows, columns = (n - n % BLOCK_PX for n in a.shape)
    found = _correlation(*(area_mean(hu[:rows, :columns], BLOCK_PX) for hu in blocks))
    if not found >= LEAST_CORRELATION:
        raise Skip(OTHER_ANATOMY, f"low and normal dose correlate by {found:.3f}")


def median(found: Sequence[Difference]) -> Difference:
    """The median of each value over several slices of two series."""
    names = Difference.__dataclass_fields__
    return Difference(**{n: float(np.median([getattr(d, n) for d in found])) for n in names})


def _slope(hu: np.ndarray, axis: int) -> np.ndarray:
    order = [0, 0]
    order[axis] = 1
    return ndimage.gaussian_filter(hu, GRADIENT_PX, order)


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    a, b = ((x - x.mean(dtype=np.float64)).ravel() for x in (a, b))
    size = np.linalg.norm(a) * np.linalg.norm(b)
    return float(a @ b / size) if size > 0 else float(np.array_equal(a, b))


def _shift_px(d: np.ndarray, slopes: Sequence[np.ndarray]) -> tuple[float, float]:
    """How far an image moved that changed by d where it has these slopes, and the error of that.

    Least squares. The error is three standard errors of noise that is correlated over nine pixels.
    """
    slopes = np.stack(slopes, 1).astype(np.float64)
    shift, *_ = np.linalg.lstsq(slopes, d, rcond=None)
    noise_hu = np.std(d - slopes @ shift, dtype=np.float64)
    inverse = np.linalg.pinv(slopes.T @ slopes)
    return float(np.hypot(*shift)), float(3 * 3 * noise_hu * np.sqrt(np.trace(inverse)))
