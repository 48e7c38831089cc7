"""The header of a new NIfTI-1 volume."""

import struct

import numpy as np

from srgan.formats.volume_geometry import Geometry
from srgan.formats.volumes.nifti import LPS, NIFTI_1, SCANNER, TYPES

OFFSET = 352  # bytes before the voxels: the header, and four that say that nothing else comes
SHEAR = 1e-4  # of axes that a rotation cannot tell
MM = 2  # the code of the unit of length


def new_header(geometry: Geometry, dtype: str, _: str, comment: str) -> bytes:
    """A little-endian header of uncompressed HU, with the geometry as qform and as sform.

    dtype: NumPy's name of the voxel type, without a byte order. Of the comment 79 characters stay.
    """
    header = bytearray(OFFSET)
    axes = np.array(geometry.axes, float) @ LPS  # a direction in each row, to the right and front
    spacing_mm = np.array(geometry.spacing_mm, float)
    origin_mm = LPS @ geometry.known_origin_mm
    sform = np.column_stack([(axes * spacing_mm[:, None]).T, origin_mm])
    qfac = -1 if geometry.is_left_handed else 1
    turned = axes * np.array([[1], [1], [qfac]])
    sheared = np.abs(axes @ axes.T - np.eye(3)).max() > SHEAR
    values = {
        "dim": (3, *geometry.size, 1, 1, 1, 1),
        "datatype": (next(k for k, t in TYPES.items() if t == dtype), 8 * np.dtype(dtype).itemsize),
        "pixdim": (qfac, *spacing_mm, 0, 0, 0, 0),
        "vox_offset": (OFFSET,),
        "scaling": (1, 0),
        "units": (MM,),
        "descrip": (comment[:79].encode("ascii", "replace"),),
        "codes": (0 if sheared else SCANNER, SCANNER),
        "qform": (*_quaternion(turned.T), *origin_mm),
        "sform": sform.ravel(),
    }
    struct.pack_into("<i", header, 0, NIFTI_1.size)
    for name, value in values.items():
        at, form = getattr(NIFTI_1, name)
        struct.pack_into("<" + form, header, at, *value)
    header[344:348] = b"n+1\0"
    return bytes(header)


def _quaternion(rotation: np.ndarray) -> tuple[float, float, float]:
    """b, c and d of the unit quaternion, whose a is at least 0, of a (3, 3) rotation.

    The eigenvector of Bar-Itzhack, J. Guidance 2000;23:1085: of a matrix that is no rotation, the
    nearest one.
    """
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = rotation
    symmetric = np.array(
        [
            [xx + yy + zz, zy - yz, xz - zx, yx - xy],
            [zy - yz, xx - yy - zz, xy + yx, xz + zx],
            [xz - zx, xy + yx, yy - xx - zz, yz + zy],
            [yx - xy, xz + zx, yz + zy, zz - xx - yy],
        ]
    )
    a, b, c, d = np.linalg.eigh(symmetric)[1][:, -1].tolist()
    return (-b, -c, -d) if a < 0 else (b, c, d)
