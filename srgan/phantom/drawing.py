"""Plane geometry for the phantom: distances in mm, and painting with soft edges.

Pixels are computed by + - * / and sqrt in float32, which IEEE 754 rounds alike everywhere, and sums
in float64. So one seed gives the same chest on every machine.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy import sparse

SIZE = 512


class Canvas(NamedTuple):
    """One slice, or a view of part of it. Arrays are (rows, columns) float32."""

    hu: np.ndarray
    x: np.ndarray  # mm, towards the patient's left; bent a little, as patients are
    y: np.ndarray  # mm, towards the back
    fine: np.ndarray  # texture of 2 to 3 pixels, SD 1
    cloud: np.ndarray  # texture of about 13 pixels, SD 1
    wall: np.ndarray  # mm from the inner wall of the rib cage, negative inside
    lung: np.ndarray  # share of lung in the pixel, 0 to 1
    z: float  # mm from the apex, towards the feet
    slab: float  # slice thickness in mm
    pixel: float  # mm
    place: np.ndarray  # (2, 3): (x, y, 1) in mm to (column, row) of the whole slice
    corner: tuple[int, int] = (0, 0)  # the view's first (column, row)

    def at(self, x: float, y: float, reach: float, reach_y: float | None = None) -> "Canvas":
        """The view of all pixels within `reach` mm of (x, y); 8 mm more for the bending."""
        column, row = self.place @ (x, y, 1.0) - self.corner
        sides = []
        reaches = (reach if reach_y is None else reach_y, reach)
        for centre, r, n in zip((row, column), reaches, self.hu.shape, strict=True):
            r = (r + 8.0) / self.pixel
            sides.append(slice(*(min(max(int(v), 0), n) for v in (centre - r, centre + r + 2))))
        arrays = {n: getattr(self, n)[tuple(sides)] for n in self._fields[:7]}
        corner = (self.corner[0] + sides[1].start, self.corner[1] + sides[0].start)
        return self._replace(**arrays, corner=corner)


def ellipse(x, y, cx, cy, a, b, turn=0.0):
    """Signed distance (first order) to an ellipse, negative inside; turn in radians."""
    u, v = x - cx, y - cy
    if turn:
        c, s = math.cos(turn), math.sin(turn)
        u, v = c * u + s * v, c * v - s * u
    u, v = u * (1.0 / a), v * (1.0 / b)
    u2, v2 = u * u, v * v
    k0 = np.sqrt(u2 + v2)
    k1 = np.sqrt(u2 * (1.0 / (a * a)) + v2 * (1.0 / (b * b))) + 1e-6
    return k0 * (k0 - 1.0) / k1


def section(z, centre_z, half_z):
    """By how much an ellipsoid's half axes shrink where the slice cuts it: 1 to 0."""
    q = np.sqrt(np.maximum(1.0 - ((z - centre_z) / half_z) ** 2, 0.0))
    return q if np.ndim(q) else float(q)  # a NumPy scalar would make float32 pixels float64


def capsule(x, y, start, end, r0, r1):
    """Signed distance to a tapering bar in the plane, with round ends."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    h = np.clip(((x - start[0]) * dx + (y - start[1]) * dy) / (dx * dx + dy * dy), 0.0, 1.0)
    u, v = x - start[0] - h * dx, y - start[1] - h * dy
    return np.sqrt(u * u + v * v) - (r0 + (r1 - r0) * h)


def union(d, e, k=12.0):
    """Union of two shapes, the corner between them filled over about k mm."""
    h = np.maximum(k - np.abs(d - e), 0.0)
    return np.minimum(d, e) - h * h * (0.25 / k)


def cover(canvas: Canvas, d) -> np.ndarray:
    """The share of each pixel that lies inside d < 0: 0 to 1 over one pixel."""
    return np.clip(0.5 - d * (1.0 / canvas.pixel), 0.0, 1.0)


def paint(canvas: Canvas, d, hu: float, fine=0.0, cloud=0.0, share=1.0) -> None:
    """Lay `hu` over what is there, where d < 0, with `fine` and `cloud` HU of texture.

    share: the opacity, a number or an array like d. In a large view only the pixels that change
    are computed.
    """
    where = ...
    if d.size > 20_000:
        touched = d < 0.5 * canvas.pixel
        where = touched if 4 * np.count_nonzero(touched) < d.size else ...
    alpha = cover(canvas, d[where]) * (share if np.ndim(share) == 0 else share[where])
    old = canvas.hu[where]
    if fine:
        hu = hu + fine * canvas.fine[where]
    if cloud:
        hu = hu + cloud * canvas.cloud[where]
    canvas.hu[where] = old + alpha * (hu - old)


def bone(canvas: Canvas, d, cortex_mm: float, cortex_hu: float, marrow_hu: float) -> None:
    """A bright shell around spongy bone."""
    paint(canvas, d, cortex_hu, cloud=60)
    paint(canvas, d + cortex_mm, marrow_hu, fine=55, cloud=25)


def tube(canvas: Canvas, start, end, r0, r1, hu, in_lung=False) -> None:
    """A straight tapering tube from start to end (x, y, z in mm), as far as the slice cuts it.

    Everything within the slice thickness counts; what is thinner than the slice is fainter.
    """
    (x0, y0, z0), (x1, y1, z1) = start, end
    reach, z = max(r0, r1) + 0.5 * canvas.slab, canvas.z
    if z < min(z0, z1) - reach or z > max(z0, z1) + reach:
        return
    dx, dy, dz = x1 - x0, y1 - y0, z1 - z0
    if abs(dz) > 1e-3:  # only the part near the slice
        ends = sorted(((z - z0 - 2 * reach) / dz, (z - z0 + 2 * reach) / dz))
        near, far = max(ends[0], 0.0), min(ends[1], 1.0)
    else:
        near, far = 0.0, 1.0
    middle, half = 0.5 * (near + far), 0.5 * (far - near)
    view = canvas.at(x0 + middle * dx, y0 + middle * dy, half * math.hypot(dx, dy) + max(r0, r1))
    if not view.hu.size:
        return
    u, v = view.x - x0, view.y - y0
    h = (u * dx + v * dy + (z - z0) * dz) / (dx * dx + dy * dy + dz * dz + 1e-6)
    h = np.clip(h, 0.0, 1.0)
    u, v = u - h * dx, v - h * dy
    w = np.maximum(np.abs(z - z0 - h * dz) - 0.5 * canvas.slab, 0.0)
    share = min(1.0, 0.3 + (r0 + r1) / canvas.slab)
    d = np.sqrt(u * u + v * v + w * w) - (r0 + (r1 - r0) * h)
    paint(view, d, hu, share=view.lung * share if in_lung else share)


@lru_cache(maxsize=8)
def _spline(n: int) -> sparse.csr_array:
    """(SIZE, n) weights of the uniform cubic B-spline; sparse, as four of n are not zero."""
    t = np.arange(SIZE) * ((n - 3.001) / (SIZE - 1))
    first = t.astype(int)
    f = t - first
    taps = [(1 - f) ** 3, 3 * f**3 - 6 * f**2 + 4, -3 * f**3 + 3 * f**2 + 3 * f + 1, f**3]
    rows = np.tile(np.arange(SIZE), 4)
    columns = np.concatenate([first + k for k in range(4)])
    return sparse.csr_array((np.concatenate(taps) / 6, (rows, columns)), (SIZE, n))


def field(coefficients: np.ndarray) -> np.ndarray:
    """A smooth field through (n, n) normal deviates: (SIZE, SIZE) float32, SD about 1."""
    weights = _spline(len(coefficients))
    return ((weights @ (weights @ coefficients).T).T / 0.479).astype(np.float32)
