"""Where the slices of a volume lie in the patient, and whether they are axial.

Directions and points are in the patient's coordinates (LPS): towards the left, the back, the head.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from srgan.formats.limits import MAX_ANGLE_DEG, MAX_POSITION_MM, MAX_SIDE, MAX_SPACING_MM
from srgan.formats.scan import Place, Slice
from srgan.system.errors import Skip

MAX_VOXELS = 1 << 30  # 4096 slices of 512 x 512
Vector = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Geometry:
    """A volume of axial slices. The order is that of the file: columns, rows, slices."""

    size: tuple[int, int, int]
    spacing_mm: Vector
    axes: tuple[Vector, Vector, Vector]  # the direction in which each index grows, of length 1
    origin_mm: Vector  # of the centre of the first voxel, as the header has it

    @property
    def n_voxels(self) -> int:
        return math.prod(self.size)

    @property
    def known_origin_mm(self) -> np.ndarray:
        """The origin, or 0, 0, 0 where the header had none that can be."""
        origin_mm = np.array(self.origin_mm, float)
        return origin_mm if np.isfinite(origin_mm).all() else np.zeros(3)

    @property
    def is_left_handed(self) -> bool:
        return bool(np.linalg.det(self.axes) < 0)

    def slices(self, path: Path) -> tuple[Slice, ...]:
        """The slices in the order of the file, along the slice axis."""
        usable = all(abs(v) < MAX_POSITION_MM for v in self.origin_mm)
        z_mm = float(np.dot(self.axes[2], self.origin_mm)) if usable else 0.0
        return tuple(Slice(path, i, z_mm + i * self.spacing_mm[2]) for i in range(self.size[2]))

    def place_of(self, point_mm: np.ndarray) -> Place:
        """Where a point, three numbers in mm, lies."""
        steps = np.array(self.axes, float) * np.array(self.spacing_mm, float)[:, None]
        offset = np.asarray(point_mm, float) - np.array(self.origin_mm, float)
        column, row, along = np.linalg.solve(steps.T, offset)
        last = self.size[2] - 1
        position = int(np.clip(np.rint(along), 0, last)) if np.isfinite(along) else 0
        off_mm = float((along - position) * self.spacing_mm[2])
        return Place(position, float(row), float(column), off_mm)

    def last_first(self) -> "Geometry":
        """The same volume with its slices in the other order."""
        along = np.array(self.axes[2], float)
        last = self.known_origin_mm + (self.size[2] - 1) * self.spacing_mm[2] * along
        axes = (*self.axes[:2], tuple((-along).tolist()))
        return replace(self, axes=axes, origin_mm=tuple(last.tolist()))

    def enlarged(self, n: int) -> "Geometry":
        """The same field of view with n times as many rows and columns.

        A pixel's centre is the mean of those of its n x n pixels, so the first one's moves by
        (1/n - 1)/2 old pixels.
        """
        (columns, rows, slices), (across_mm, down_mm, along_mm) = self.size, self.spacing_mm
        across, down, _ = np.array(self.axes, float)
        moved = (1 / n - 1) / 2 * (across_mm * across + down_mm * down)
        return replace(
            self,
            size=(n * columns, n * rows, slices),
            spacing_mm=(across_mm / n, down_mm / n, along_mm),
            origin_mm=tuple((np.array(self.origin_mm, float) + moved).tolist()),
        )


@dataclass(frozen=True)
class Fields:
    """What the geometry is called in a header, for messages."""

    size: str
    spacing: str
    directions: str


@np.errstate(over="ignore", invalid="ignore")
def checked(
    size: Sequence[int],
    spacing_mm: Sequence[float],
    axes: np.ndarray,
    origin_mm: Sequence[float],
    fields: Fields,
) -> Geometry:
    """The geometry of a volume of axial slices. Raises Skip where it is none.

    axes: (3, 3), a direction in each row, in the order of the file; of any length above 0.
    """
    if not all(n > 0 for n in size):
        raise Skip("no usable size", f"{fields.size} is not positive")
    if max(size) > MAX_SIDE or math.prod(size) > MAX_VOXELS:
        raise Skip("too large", f"{fields.size} asks for more than this program reads")
    if not all(0 < s < MAX_SPACING_MM for s in spacing_mm):
        detail = f"{fields.spacing} is not three numbers from 0 to {MAX_SPACING_MM:g} mm"
        raise Skip("no pixel spacing", detail)
    lengths = np.linalg.norm(axes, axis=1)
    if not (np.isfinite(lengths) & (lengths > 0)).all():
        raise Skip("not known to be axial", f"{fields.directions} is no orientation")
    axes = axes / lengths[:, None]
    normal = np.cross(axes[0], axes[1])
    # Rows at right angles to columns; slices may be sheared, as those of a tilted gantry are.
    if abs(np.linalg.norm(normal) - 1) > 0.05 or abs(normal @ axes[2]) < 0.5:
        raise Skip("not known to be axial", f"{fields.directions} is no orientation")
    if abs(normal[2]) / np.linalg.norm(normal) < math.cos(math.radians(MAX_ANGLE_DEG)):
        raise Skip("not axial", f"the slice normal by {fields.directions} is not along z")
    vectors = tuple(tuple(axis) for axis in axes.tolist())
    spacing = tuple(map(float, spacing_mm))
    return Geometry(tuple(map(int, size)), spacing, vectors, tuple(map(float, origin_mm)))
