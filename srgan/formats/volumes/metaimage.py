"""MetaImage volumes (.mhd with .raw or .zraw, .mha): is it a volume of axial CT slices in HU?

The header and the size of its data file are checked here; `voxels` reads the voxels.
"""

import math
import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from srgan.formats import volume_geometry
from srgan.formats.data_place import named_beside
from srgan.formats.dicom.header import LOCALIZERS, REFORMATS
from srgan.formats.volume_geometry import Fields, Geometry
from srgan.formats.volumes.metaimage_fields import (
    BIG_ENDIAN,
    INTERCEPT,
    MATRIX,
    ORIGIN,
    SLOPE,
    SPACING,
    TAGS,
    TYPES,
    first_name,
    flag,
    number,
    numbers,
    read_fields,
)
from srgan.formats.volumes.volume import Volume, check_size, file_size
from srgan.system.errors import Skip

DATA = "ElementDataFile"
NOT_HU = {
    "MET_CHAR": "8 bits cannot hold HU",
    "MET_UCHAR": "8 bits cannot hold HU",
    "MET_USHORT": "unsigned, no value below 0",
    "MET_UINT": "unsigned, no value below 0",
}
OTHER_MODALITIES = ("MET_MOD_MR", "MET_MOD_NM", "MET_MOD_US")


def read_header(path: Path) -> Volume:
    """Read and check the header of a .mhd or .mha, and the size of its data file.

    Raises Skip where it is no volume of axial CT slices, or where header and data disagree.
    """
    path = Path(path)
    fields, end = read_fields(path)
    _check_kind(fields)
    dtype = _voxel_type(fields)
    geometry = _geometry(fields)
    local = fields[DATA].upper() == "LOCAL"
    volume = Volume(
        kind="metaimage",
        path=path,
        data_path=path if local else named_beside(path, DATA, fields[DATA]),
        geometry=geometry,
        dtype=dtype,
        compressed=flag(fields, "CompressedData"),
        offset=end if local else 0,
        comment=fields.get("Comment", ""),
        tags={name: fields[tag] for name, tag in TAGS.items() if tag in fields},
    )
    return check_size(_after_other_bytes(volume, fields))


def _check_kind(fields: dict[str, str]) -> None:
    """Raises Skip where the header, or a tag of DICOM in it, says that it is no CT as scanned."""
    own, tag = fields.get("Modality", ""), fields.get(TAGS["Modality"]) or "CT"
    if own in OTHER_MODALITIES or tag != "CT":
        raise Skip("not CT", f"Modality is {own if tag == 'CT' else tag}")
    image_type = fields.get(TAGS["ImageType"], "").upper()
    words = set(re.split(r"[\\_\s]+", image_type))
    for kinds, reason in ((LOCALIZERS, "localizer"), (REFORMATS, "reformat")):
        if words & kinds:
            raise Skip(reason, f"ImageType {image_type}")


def _voxel_type(fields: dict[str, str]) -> str:
    """NumPy's name of the voxel type of a three-dimensional image with one signed channel."""
    if fields.get("ObjectType", "Image").lower() != "image":
        raise Skip("not a MetaImage header", "ObjectType is not Image")
    if number(fields, "NDims", "") != 3:
        raise Skip("no volume of axial slices", f"NDims is {fields.get('NDims') or 'missing'}")
    if number(fields, "ElementNumberOfChannels", "1") != 1:
        raise Skip("more than one sample per pixel", "ElementNumberOfChannels is not 1")
    if not flag(fields, "BinaryData", "True"):
        raise Skip("voxel type is not read", "BinaryData is False")
    kind = fields.get("ElementType", "")
    if kind in NOT_HU:
        raise Skip("not HU", f"{kind}: {NOT_HU[kind]}")
    if kind not in TYPES:
        raise Skip("voxel type is not read", f"ElementType {kind or 'is missing'}")
    # ITK leaves them aside, so the voxels would be taken for what they are not.
    for name, unchanged in ((SLOPE, "1"), (INTERCEPT, "0")):
        if number(fields, name, unchanged) != int(unchanged):
            raise Skip("not HU", f"{name} is not {unchanged}")
    big = flag(fields, first_name(fields, BIG_ENDIAN) or BIG_ENDIAN[0])
    return (">" if big else "<") + TYPES[kind]


def _geometry(fields: dict[str, str]) -> Geometry:
    size = numbers(fields, "DimSize", 3)
    if not all(math.isfinite(n) and n == int(n) for n in size):
        raise Skip("damaged header", "DimSize is not 3 whole numbers")
    spacing = first_name(fields, SPACING)
    if not spacing:
        raise Skip("no pixel spacing", "ElementSpacing is missing")
    if (unit := fields.get("DistanceUnits", "mm")) in ("um", "cm"):
        raise Skip("no pixel spacing", f"DistanceUnits is {unit}, not mm")
    origin = numbers(fields, first_name(fields, ORIGIN) or "Offset", 3, "0 0 0")
    return volume_geometry.checked(
        size,
        numbers(fields, spacing, 3),
        _axes(fields),
        origin,
        Fields("DimSize", spacing, "TransformMatrix"),
    )


def _axes(fields: dict[str, str]) -> np.ndarray:
    """(3, 3): directions of columns, rows and slices in the patient, all about of length 1.

    The rows of TransformMatrix, as ITK has them.
    """
    name = first_name(fields, MATRIX)
    values = numbers(fields, name or MATRIX[0], 9, "1 0 0 0 1 0 0 0 1")
    if not all(abs(v) < 2 for v in values):
        raise Skip("not known to be axial", "TransformMatrix is no orientation")
    axes = np.array(values, float).reshape(3, 3)
    length = np.linalg.norm(np.cross(axes[0], axes[1]))
    if abs(length - 1) > 0.05 or np.linalg.norm(axes[2]) < 0.5:
        raise Skip("not known to be axial", "TransformMatrix is no orientation")
    anatomy = fields.get("AnatomicalOrientation", "RAI").upper()
    if not name and (len(anatomy) != 3 or anatomy[2] not in "IS"):
        raise Skip("not axial", f"AnatomicalOrientation is {anatomy}")
    return axes


def _after_other_bytes(volume: Volume, fields: dict[str, str]) -> Volume:
    """The volume with its voxels after the bytes that HeaderSize tells; -1: the file's last."""
    size = file_size(volume.data_path) - volume.offset
    before = number(fields, "HeaderSize", "0")
    if not (-1 <= before < 1e12 and before == int(before)):
        raise Skip("damaged header", "HeaderSize is not a number of bytes")
    if before > 0 and volume.data_path == volume.path:
        raise Skip("damaged header", "HeaderSize with data in the same file")
    if volume.compressed:
        if before:
            raise Skip("damaged header", "HeaderSize with compressed data")
        if number(fields, "CompressedDataSize", "0") not in (0, size):
            raise Skip("damaged pixel data", "CompressedDataSize is not the data file's size")
    if before == -1:
        before = max(0, size - volume.nbytes)
    return replace(volume, offset=volume.offset + int(before))
