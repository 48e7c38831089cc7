"""Parallel-beam projection and filtered backprojection by Kaiser-Bessel gridding.

By the central slice theorem, the Fourier transform of a view is a line through the Fourier
transform of the slice. The lines are interpolated from a zero-padded grid with a Kaiser-Bessel
kernel, as one sparse matrix; backprojection is its transpose. All lengths are in pixels (a detector
bin is one pixel wide), so one matrix serves all slices of one size.
"""

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import scipy.fft
import scipy.sparse

WIDTH = 5  # grid points under the kernel in each direction
# P. J. Beatty et al., IEEE Trans. Med. Imaging 24 (2005) 799, equation 5, for twofold oversampling.
BETA = np.pi * np.sqrt((WIDTH / 2 * 1.5) ** 2 - 0.8)


@dataclass(frozen=True, eq=False)
class Projector:
    """The geometry of square slices of one size, with views spread evenly over 180 degrees."""

    size: int  # rows and columns of a slice
    views: int
    bins: int  # of the detector; the centre of the slice projects onto bin bins // 2
    lines: scipy.sparse.csr_matrix = field(repr=False)  # from grid to radial samples
    phase: np.ndarray = field(repr=False)  # (views, bins // 2 + 1), shifts to the true centres
    roll_off: np.ndarray = field(repr=False)  # (size, size), 1 / transform of the kernel

    @property
    def frequency(self) -> np.ndarray:
        """Frequency of the radial samples, (bins // 2 + 1,) in cycles per pixel."""
        return np.arange(self.bins // 2 + 1) / self.bins

    def bin_mm(self, pixel_mm: float) -> np.ndarray:
        """Signed distance of each bin from the centre, (bins,) in mm."""
        return (np.arange(self.bins) - self.bins // 2) * pixel_mm

    def forward(self, image: np.ndarray) -> np.ndarray:
        """Line integrals of a (size, size) image in pixel lengths: (views, bins) float32.

        Rows count downwards, so the view at angle t sees the coordinate column cos t - row sin t.
        """
        n, m, half = self.size, self.bins, self.size // 2
        grid = np.zeros((m, m), np.complex64)
        grid[:n, :n] = image * self.roll_off
        grid = scipy.fft.fft2(np.roll(grid, (-half, -half), (0, 1)), overwrite_x=True)
        radial = self.lines @ grid.reshape(-1).view(np.float32).reshape(-1, 2)
        radial = np.ascontiguousarray(radial).view(np.complex64).reshape(self.views, -1)
        return scipy.fft.irfft(radial * self.phase, n=m, axis=1)

    def back(self, sinograms: np.ndarray, response: np.ndarray) -> np.ndarray:
        """Filter sinograms and backproject them over 180 degrees: (k, size, size) float32.

        sinograms: (k, views, bins). response: (bins // 2 + 1,) or (views, bins // 2 + 1), over
        frequency. With a response of 1 this is pi / views times the adjoint of `forward`.
        """
        n, m, half = self.size, self.bins, self.size // 2
        radial = scipy.fft.rfft(sinograms.astype(np.float32, copy=False), axis=2)
        radial *= response.astype(np.float32) * np.conj(self.phase)
        radial[:, :, 1:-1] *= 2  # the other half of the line is the complex conjugate
        columns = np.moveaxis(radial.reshape(len(radial), -1), 0, 1)
        columns = np.ascontiguousarray(columns).view(np.float32)
        grids = np.ascontiguousarray(self.lines.T @ columns).view(np.complex64)
        places = np.ix_(*2 * [np.arange(n) - half])
        images = np.empty((len(radial), n, n), np.float32)
        for image, grid in zip(images, np.moveaxis(grids, 1, 0), strict=True):
            whole = scipy.fft.ifft2(grid.reshape(m, m)).real
            image[:] = whole[places] * self.roll_off
        return images * np.float32(m * np.pi / self.views)


@lru_cache(maxsize=2)
def projector(size: int, views: int) -> Projector:
    """The projector of (size, size) slices. Built in tenths of a second, then cached."""
    bins = scipy.fft.next_fast_len(2 * size, real=True)
    while bins % 2:
        bins = scipy.fft.next_fast_len(bins + 1, real=True)
    radius = np.arange(bins // 2 + 1)
    angle = np.pi * np.arange(views)[:, None] / views
    across, down = radius * np.cos(angle), -radius * np.sin(angle)
    # Pixels are centred on (size - 1) / 2, the grid on size // 2, the detector on bins // 2.
    shift = (size - 1) / 2 - size // 2
    phase = np.exp(2j * np.pi * shift * (across + down) / bins) * np.where(radius % 2, -1, 1)
    lines = _radial_lines(across, down, bins)
    return Projector(size, views, bins, lines, phase.astype(np.complex64), _roll_off(size, bins))


def _radial_lines(across: np.ndarray, down: np.ndarray, bins: int) -> scipy.sparse.csr_matrix:
    """Kernel weights of the grid points around each radial sample: (samples, bins * bins)."""

    def axis(position):
        index = np.round(position).reshape(-1, 1) + np.arange(WIDTH) - WIDTH // 2
        return index.astype(np.int32) % bins, _kernel(position.reshape(-1, 1) - index)

    (column, column_weight), (row, row_weight) = axis(across), axis(down)
    weights = (row_weight[:, :, None] * column_weight[:, None, :]).astype(np.float32)
    places = row[:, :, None] * np.int32(bins) + column[:, None, :]
    starts = np.arange(len(row) + 1, dtype=np.int32) * WIDTH**2
    shape = (len(row), bins * bins)
    return scipy.sparse.csr_matrix((weights.reshape(-1), places.reshape(-1), starts), shape)


def _kernel(distance: np.ndarray) -> np.ndarray:
    inside = np.clip(1 - (2 * distance / WIDTH) ** 2, 0, None)
    return np.i0(BETA * np.sqrt(inside)) * (np.abs(distance) <= WIDTH / 2)


def _roll_off(size: int, bins: int) -> np.ndarray:
    """One over the Fourier transform of the kernel, at each pixel."""
    x = (np.arange(size) - size // 2) / bins
    root = np.sqrt((BETA**2 - (np.pi * WIDTH * x) ** 2).astype(complex))
    transform = (np.sinh(root) / root).real * WIDTH
    return (1.0 / np.outer(transform, transform)).astype(np.float32)


def ramp(geometry: Projector) -> np.ndarray:
    """Response of the ramp filter, (bins // 2 + 1,) in 1/pixel.

    Defined in space, which makes it right at zero frequency: A. C. Kak, M. Slaney, Principles of
    Computerized Tomographic Imaging (1988), equation 3.61.
    """
    distance = np.arange(geometry.bins)
    distance = np.minimum(distance, geometry.bins - distance)
    odd = distance % 2 == 1
    kernel = np.zeros(geometry.bins)
    kernel[0] = 0.25
    kernel[odd] = -1.0 / (np.pi * distance[odd]) ** 2
    return scipy.fft.rfft(kernel).real


def hann(frequency: np.ndarray, cutoff: float) -> np.ndarray:
    """The Hann window: 1 at frequency 0, 0 from `cutoff` on, both in one unit."""
    x = frequency / cutoff
    return np.where(x <= 1, 0.5 + 0.5 * np.cos(np.pi * x), 0.0)


def filter_response(geometry: Projector, cutoff: float) -> np.ndarray:
    """Ramp times Hann window: (bins // 2 + 1,), 1/pixel. cutoff: in cycles per pixel."""
    return ramp(geometry) * hann(geometry.frequency, cutoff)


def filtered(geometry: Projector, sinograms: np.ndarray, cutoff: float) -> np.ndarray:
    """Filtered backprojection of (k, views, bins), ramp times Hann: (k, size, size), 1/pixel."""
    return geometry.back(sinograms, filter_response(geometry, cutoff))


def variance_map(geometry: Projector, variance: np.ndarray, response: np.ndarray) -> np.ndarray:
    """Variance of each pixel after filtered backprojection of independent noise: (k, size, size).

    variance: (k, views, bins) of the readings. response: as in `Projector.back`. The result is
    (pi / views)^2 times the sum over views and bins of the squared filter kernel times variance.
    """
    kernel = scipy.fft.irfft(response, geometry.bins)
    squared = scipy.fft.rfft(kernel**2).real
    return np.maximum(geometry.back(variance, squared) * (np.pi / geometry.views), 0)
