"""A derived copy of a MetaImage volume, written slice by slice as .mhd with .raw.

Size, spacing, origin, direction and voxel type stay those of the source; the voxels are
uncompressed and little-endian, whatever they were.
"""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from srgan.formats.dicom.write import changed_hu
from srgan.formats.metaimage import header as metaimage_header
from srgan.formats.metaimage import pixels as metaimage_pixels
from srgan.formats.metaimage.header import Header
from srgan.system.errors import TRY_AGAIN, UserError

MAX_COMMENT = 240  # characters; MetaIO keeps 255 bytes
GEOMETRY = (
    "TransformMatrix", "Rotation", "Orientation", "Offset", "Position", "Origin",
    "CenterOfRotation", "AnatomicalOrientation", "ElementSpacing", "DimSize",
)  # fmt: skip
MET = {dtype: name for name, dtype in metaimage_header.TYPES.items()}
PLAIN = re.compile(r"[\w-][\w.-]*", re.ASCII)


@dataclass(frozen=True)
class Voxels:
    """Uncompressed voxels in a file, slice after slice."""

    path: Path
    dtype: str  # NumPy's, with its byte order
    rows: int
    columns: int
    offset: int = 0  # bytes before the first slice

    def _at(self, index: int) -> int:
        return self.offset + index * self.rows * self.columns * np.dtype(self.dtype).itemsize

    def read(self, index: int) -> np.ndarray:
        """Slice `index`: (rows, columns) in the voxels' own type. Raises UserError."""
        count = self.rows * self.columns
        try:
            values = np.fromfile(self.path, self.dtype, count, offset=self._at(index))
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise UserError(f"{self.path} cannot be read: {reason}", TRY_AGAIN) from None
        if len(values) != count:
            raise UserError(f"{self.path} became shorter while it was read")
        return values.reshape(self.rows, self.columns)

    def write(self, index: int, values: np.ndarray) -> None:
        """Raises OSError."""
        with open(self.path, "r+b") as file:
            file.seek(self._at(index))
            file.write(values.astype(self.dtype).tobytes())


def name_of(header: Header) -> str:
    """The source's name where any system and MetaIO can have it."""
    stem = header.path.stem
    return stem if PLAIN.fullmatch(stem) and len(stem) <= 100 else "low-dose"


def begin(header: Header, folder: Path) -> tuple[Voxels, Voxels]:
    """Where slices are read from, and where their copies go: a .raw of the whole size in `folder`.

    Compressed voxels are inflated into the copy first, and read from there. Raises Skip and
    OSError.
    """
    columns, rows, _ = header.size
    path = folder / f"{name_of(header)}.raw"
    target = Voxels(path, "<" + header.dtype[1:], rows, columns)
    if header.compressed:
        with open(path, "wb") as file:
            for plane in metaimage_pixels.inflate(header):
                file.write(plane.astype(target.dtype, copy=False))
        return target, target
    with open(path, "wb") as file:
        file.truncate(header.nbytes)
    return Voxels(header.data_path, header.dtype, rows, columns, header.offset), target


def changed_voxels(values: np.ndarray, change_hu: np.ndarray) -> np.ndarray:
    """Voxels with a change in HU, (rows, columns) in their type; whole numbers are rounded."""
    hu = changed_hu(values, change_hu)
    return (np.rint(hu) if values.dtype.kind == "i" else hu).astype(values.dtype)


def write_header(header: Header, target: Voxels, comment: str) -> None:
    """The .mhd beside the voxels: the source's geometry word for word. Raises Skip and OSError."""
    with open(header.path, "rb") as file:  # all the voxels may follow
        fields, _ = metaimage_header.parse_fields(file.read(metaimage_header.MAX_HEADER))
    lines = {
        "ObjectType": "Image",
        "NDims": "3",
        "Comment": comment[:MAX_COMMENT],
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "CompressedData": "False",
        **{name: fields[name] for name in GEOMETRY if name in fields},
        "ElementType": MET[target.dtype[1:]],
        "ElementDataFile": target.path.name,
    }
    text = "".join(f"{name} = {value}\n" for name, value in lines.items())
    target.path.with_suffix(".mhd").write_bytes(text.encode("ascii", "replace"))
