"""NIfTI volumes (.nii, .nii.gz; NIfTI-1 and NIfTI-2): is it a volume of axial CT slices?

SimpleITK serves the tests as the measure, and does not read the files: it takes a truncated file
for one that ends in zeros, and an image without an orientation for an axial one.
"""

import math
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from srgan.formats import volume_geometry
from srgan.formats.volume_geometry import Fields, Geometry
from srgan.formats.volumes.inflate import GZIP, first_bytes
from srgan.formats.volumes.volume import Volume, check_size
from srgan.system.errors import Skip, reason

TYPES = {
    4: "i2", 8: "i4", 16: "f4", 64: "f8", 512: "u2", 768: "u4", 1024: "i8", 1280: "u8",
}  # fmt: skip
EIGHT_BITS = (2, 256)
SEVERAL_SAMPLES = (32, 128, 1792, 2048, 2304)  # complex numbers and colours
UNIT_MM = {0: 1.0, 1: 1e3, 2: 1.0, 3: 1e-3}  # unknown, metre, millimetre, micrometre
SCANNER = 1  # the code of an orientation in the scanner's coordinates
MAX_OFFSET = 16 << 20  # bytes of extensions before the voxels
FIELDS = Fields("dim", "pixdim", "qform or sform")
LPS = np.diag((-1.0, -1.0, 1.0))  # NIfTI's axes point to the right and the front


@dataclass(frozen=True)
class Layout:
    """Where the fields of a header lie: a byte, and the form as in `struct`."""

    size: int
    dim: tuple[int, str]
    datatype: tuple[int, str]  # and the bits of a voxel
    pixdim: tuple[int, str]
    vox_offset: tuple[int, str]
    scaling: tuple[int, str]
    units: tuple[int, str]
    descrip: tuple[int, str]
    codes: tuple[int, str]  # of qform and sform
    qform: tuple[int, str]
    sform: tuple[int, str]


NIFTI_1 = Layout(
    size=348, dim=(40, "8h"), datatype=(70, "2h"), pixdim=(76, "8f"), vox_offset=(108, "f"),
    scaling=(112, "2f"), units=(123, "B"), descrip=(148, "80s"), codes=(252, "2h"),
    qform=(256, "6f"), sform=(280, "12f"),
)  # fmt: skip
NIFTI_2 = Layout(
    size=540, dim=(16, "8q"), datatype=(12, "2h"), pixdim=(104, "8d"), vox_offset=(168, "q"),
    scaling=(176, "2d"), units=(500, "i"), descrip=(240, "80s"), codes=(344, "2i"),
    qform=(352, "6d"), sform=(400, "12d"),
)  # fmt: skip


def read_header(path: Path) -> Volume:
    """Read and check the header of a .nii or .nii.gz, and the size of an uncompressed file.

    Raises Skip where it is no volume of axial CT slices, or where header and file disagree.
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            gzipped = file.read(2) == GZIP  # whatever the name says
            file.seek(0)
            start = first_bytes(file, NIFTI_2.size) if gzipped else file.read(NIFTI_2.size)
    except OSError as error:
        raise Skip("cannot be read", reason(error)) from None
    if not start:
        raise Skip("empty file")
    layout, order = _layout(start)

    def field(name: str) -> tuple:
        at, form = getattr(layout, name)
        return struct.unpack_from(order + form, start, at)

    size, dtype = _size(field("dim")), _voxel_type(*field("datatype"))
    (offset,) = field("vox_offset")
    # Four bytes tell whether extensions follow.
    if not (layout.size + 4 <= offset <= MAX_OFFSET and offset == int(offset)):
        raise Skip("damaged header", "vox_offset is no number of bytes after the header")
    slope, intercept = _scaling(*field("scaling"))
    volume = Volume(
        kind="nifti",
        path=path,
        data_path=path,
        geometry=_geometry(size, field),
        dtype=order + dtype,
        compressed=gzipped,
        offset=0 if gzipped else int(offset),
        inflated_offset=int(offset) if gzipped else 0,
        slope=slope,
        intercept=intercept,
        comment=field("descrip")[0].rstrip(b"\0").decode("ascii", "replace"),
    )
    return check_size(volume)


def _layout(start: bytes) -> tuple[Layout, str]:
    """The fields' places and their byte order, as in `struct`."""
    for layout in (NIFTI_1, NIFTI_2):
        for order in "<>":
            if start[:4] == struct.pack(order + "i", layout.size):
                if len(start) < layout.size:
                    raise Skip("truncated", "the file ends within the header")
                _check_magic(start, layout)
                return layout, order
    raise Skip("not a NIfTI header")


def _check_magic(start: bytes, layout: Layout) -> None:
    magic = start[344:348] if layout is NIFTI_1 else start[4:8]
    if magic in (b"ni1\0", b"ni2\0"):
        raise Skip("header and data in two files", "convert the pair to one .nii.gz")
    if magic != (b"n+1\0" if layout is NIFTI_1 else b"n+2\0"):
        raise Skip("not a NIfTI header", "an Analyze header says nothing of the orientation")


def _size(dim: tuple[int, ...]) -> tuple[int, ...]:
    """Columns, rows and slices; further dimensions are of size 1."""
    n_dims = dim[0]
    if not 1 <= n_dims <= 7:
        raise Skip("damaged header", "dim[0] is no number of dimensions")
    if n_dims > 4 and any(n > 1 for n in dim[5 : n_dims + 1]):
        raise Skip("more than one sample per pixel", "a fifth dimension")
    if n_dims < 3 or any(n != 1 for n in dim[4 : n_dims + 1]):
        raise Skip("no volume of axial slices", f"{n_dims} dimensions")
    return dim[1:4]


def _voxel_type(datatype: int, n_bits: int) -> str:
    """NumPy's name, without a byte order. Unsigned types are judged by their values."""
    if datatype in EIGHT_BITS:
        raise Skip("not HU", "8 bits cannot hold HU")
    if datatype in SEVERAL_SAMPLES:
        raise Skip("more than one sample per pixel", "colours or complex numbers")
    if datatype not in TYPES:
        raise Skip("voxel type is not read", f"datatype {datatype}")
    if n_bits != 8 * np.dtype(TYPES[datatype]).itemsize:
        raise Skip("damaged header", f"{n_bits} bits do not fit datatype {datatype}")
    return TYPES[datatype]


def _scaling(slope: float, intercept: float) -> tuple[float, float]:
    """Slope and intercept. A slope of 0 or NaN means none of both."""
    if math.isfinite(slope) and slope:
        if not math.isfinite(intercept):
            raise Skip("damaged header", "scl_inter is not a number")
        return slope, intercept
    if intercept and not math.isnan(intercept):  # ITK applies it, NIfTI's definition does not
        raise Skip("damaged header", "scl_inter without scl_slope")
    return 1.0, 0.0


@np.errstate(over="ignore", invalid="ignore")
def _geometry(size: tuple[int, ...], field) -> Geometry:
    """Raises Skip unless qform or sform, in ITK's order, says that the slices are axial."""
    spacing, (units,), (q_code, s_code) = field("pixdim"), field("units"), field("codes")
    if units & 7 not in UNIT_MM:
        raise Skip("damaged header", "the unit of length is unknown")
    unit_mm = UNIT_MM[units & 7]
    spacing_mm = [unit_mm * float(s) for s in spacing[1:4]]
    if s_code > 0 and (q_code <= 0 or s_code == SCANNER):
        affine = np.array(field("sform"), float).reshape(3, 4)
        axes, origin = affine[:, :3].T, affine[:, 3]
        lengths_mm = unit_mm * np.linalg.norm(axes[:2], axis=1)
        if not np.allclose(lengths_mm, spacing_mm[:2], rtol=0.01, atol=0):
            raise Skip("damaged header", "sform and pixdim are of different spacing")
    elif q_code > 0:
        *quaternion, x, y, z = field("qform")
        axes = _rotation(*quaternion).T * np.array([[1], [1], [-1 if spacing[0] < 0 else 1]])
        origin = np.array([x, y, z], float)
    else:
        raise Skip("not known to be axial", "the header has neither qform nor sform")
    return volume_geometry.checked(size, spacing_mm, axes @ LPS, unit_mm * (LPS @ origin), FIELDS)


def _rotation(b: float, c: float, d: float) -> np.ndarray:
    """(3, 3) of the quaternion (a, b, c, d) of length 1, where a is at least 0. Raises Skip."""
    rest = 1.0 - (b * b + c * c + d * d)
    if not rest > -1e-3:  # NaN, too
        raise Skip("not known to be axial", "the qform is no rotation")
    a, b, c, d = np.array([math.sqrt(max(rest, 0.0)), b, c, d]) / math.sqrt(1.0 + max(-rest, 0.0))
    return np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
