"""Write a derived copy of a MetaImage volume, slice by slice, as .mhd with .raw.

Size, spacing, origin, direction and voxel type are those of the source. The voxels are uncompressed
and little-endian, whatever they were.
"""

import itertools
import re
from pathlib import Path

import numpy as np

from srgan.formats.derived import changed_hu
from srgan.formats.metaimage.fields import header_text, read_fields
from srgan.formats.metaimage.header import Header
from srgan.formats.metaimage.pixels import Voxels, inflate
from srgan.system.errors import TRY_AGAIN, UserError, reason

MAX_COMMENT = 240  # characters; MetaIO keeps 255 bytes
PLAIN = re.compile(r"[\w-][\w.-]*", re.ASCII)


def name_of(header: Header) -> str:
    """The source's name, or "low-dose" where some system or MetaIO cannot have that name."""
    stem = header.path.stem
    return stem if PLAIN.fullmatch(stem) and len(stem) <= 100 else "low-dose"


def begin_copy(header: Header, folder: Path) -> tuple[Voxels, Voxels]:
    """Make the .raw of the copy in `folder`: (voxels to read from, voxels to write to).

    Compressed voxels are inflated into the copy first and read from there. Raises Skip and OSError.
    """
    columns, rows, _ = header.size
    path = folder / f"{name_of(header)}.raw"
    target = Voxels(path, "<" + header.dtype[1:], rows, columns)
    if header.compressed:
        with open(path, "wb") as file:
            for plane in inflate(header):
                file.write(plane.astype(target.dtype, copy=False))
        return target, target
    with open(path, "wb") as file:
        file.truncate(header.nbytes)
    return Voxels.of(header), target


def read_source(voxels: Voxels, index: int) -> np.ndarray:
    """Slice `index` of the source: (rows, columns) in the voxels' own type. Raises UserError."""
    try:
        return voxels.read(index)
    except EOFError:
        raise UserError(f"{voxels.path} became shorter while it was read") from None
    except OSError as error:
        raise UserError(f"{voxels.path} cannot be read: {reason(error)}", TRY_AGAIN) from None


def changed_voxels(values: np.ndarray, change_hu: np.ndarray) -> np.ndarray:
    """Voxels with a change in HU: (rows, columns) in their own type, integers rounded."""
    hu = changed_hu(values, change_hu)
    return (np.rint(hu) if values.dtype.kind == "i" else hu).astype(values.dtype)


def write_header(header: Header, target: Voxels, comment: str) -> None:
    """Write the .mhd beside the voxels, with the source's geometry. Raises Skip and OSError."""
    fields, _ = read_fields(header.path)
    geometry = {
        "TransformMatrix": itertools.chain(*header.axes),
        "Offset": header.origin_mm if np.isfinite(header.origin_mm).all() else (0, 0, 0),
        "ElementSpacing": header.spacing_mm,
        "DimSize": header.size,
    }
    lines = {name: " ".join(map(str, values)) for name, values in geometry.items()}
    if anatomy := fields.get("AnatomicalOrientation"):
        lines["AnatomicalOrientation"] = anatomy[:3]
    text = header_text(
        target.dtype[1:], target.path.name, {"Comment": comment[:MAX_COMMENT], **lines}
    )
    target.path.with_suffix(".mhd").write_bytes(text)
