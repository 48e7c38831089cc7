"""MetaImage volumes (.mhd with .raw or .zraw, .mha): is it a volume of axial CT slices in HU?

The header and the size of its data file are checked here; `pixels` reads the voxels.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from srgan.formats.decimals import to_number
from srgan.formats.dicom.header import LOCALIZERS, REFORMATS
from srgan.formats.limits import MAX_ANGLE_DEG, MAX_POSITION_MM, MAX_SIDE, MAX_SPACING_MM
from srgan.formats.metaimage.fields import (
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
from srgan.formats.scan import MAX_ID, OWN_MODEL, Place, Scan, Slice, tidy_id
from srgan.system.errors import Skip

MAX_VOXELS = 1 << 30  # 4096 slices of 512 x 512
MAX_INFLATED = 640 << 20  # bytes; all slices are held in memory, as int16: 1280 of 512 x 512
NOT_HU = {
    "MET_CHAR": "8 bits cannot hold HU",
    "MET_UCHAR": "8 bits cannot hold HU",
    "MET_USHORT": "unsigned, no value below 0",
    "MET_UINT": "unsigned, no value below 0",
}
OTHER_MODALITIES = ("MET_MOD_MR", "MET_MOD_NM", "MET_MOD_US")


@dataclass(frozen=True, slots=True)
class Header:
    """A volume of axial slices as its header describes it."""

    path: Path
    data_path: Path  # equal to path where the data follow the header
    size: tuple[int, int, int]  # columns, rows, slices: the order of the file
    spacing_mm: tuple[float, float, float]  # in the same order
    axes: tuple[tuple[float, float, float], ...]  # the patient's direction of each, in that order
    origin_mm: tuple[float, float, float]  # of the first voxel, as the header has it
    dtype: str  # NumPy's, with its byte order
    compressed: bool
    offset: int  # bytes before the voxels in the data file
    tags: Mapping[str, str]  # of DICOM, by name, those that the header has
    made_by: str  # see scan.check_maker

    @property
    def nbytes(self) -> int:
        """Bytes of the voxels once inflated."""
        return math.prod(self.size) * np.dtype(self.dtype).itemsize

    @property
    def z_mm(self) -> float:
        """Where the first slice lies along the slice axis; 0 where the header cannot be right."""
        usable = all(abs(v) < MAX_POSITION_MM for v in self.origin_mm)
        return float(np.dot(self.axes[2], self.origin_mm)) if usable else 0.0


def read_header(path: Path) -> Header:
    """Read and check the header of a .mhd or .mha, and the size of its data file.

    Raises Skip where it is no volume of axial CT slices, or where header and data disagree.
    """
    path = Path(path)
    fields, end = read_fields(path)
    _check_kind(fields)
    comment = fields.get("Comment", "")
    header = Header(
        path=path,
        dtype=_voxel_type(fields),
        size=_size(fields),
        spacing_mm=_spacing_mm(fields),
        axes=_axes(fields),
        origin_mm=numbers(fields, first_name(fields, ORIGIN) or "Offset", 3, "0 0 0"),
        compressed=flag(fields, "CompressedData"),
        data_path=_data_path(path, fields["ElementDataFile"]),
        offset=end,
        tags={name: fields[tag] for name, tag in TAGS.items() if tag in fields},
        made_by=comment if comment.lower().startswith(OWN_MODEL) else "",
    )
    return replace(header, offset=_find_voxels(header, fields))


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


def _size(fields: dict[str, str]) -> tuple[int, int, int]:
    size = numbers(fields, "DimSize", 3)
    if not all(math.isfinite(n) and n == int(n) for n in size):
        raise Skip("damaged header", "DimSize is not 3 whole numbers")
    if not all(n > 0 for n in size):
        raise Skip("no usable size", "DimSize is not positive")
    if max(size) > MAX_SIDE or math.prod(size) > MAX_VOXELS:
        raise Skip("too large", "DimSize asks for more than this program reads")
    return tuple(map(int, size))


def _spacing_mm(fields: dict[str, str]) -> tuple[float, float, float]:
    name = first_name(fields, SPACING)
    if not name:
        raise Skip("no pixel spacing", "ElementSpacing is missing")
    if (unit := fields.get("DistanceUnits", "mm")) in ("um", "cm"):
        raise Skip("no pixel spacing", f"DistanceUnits is {unit}, not mm")
    spacing = numbers(fields, name, 3)
    if not all(0 < s < MAX_SPACING_MM for s in spacing):
        detail = f"{name} is not three numbers from 0 to {MAX_SPACING_MM:g} mm"
        raise Skip("no pixel spacing", detail)
    return spacing


def _axes(fields: dict[str, str]) -> tuple[tuple[float, float, float], ...]:
    """Directions of columns, rows and slices in the patient, checked to be those of axial slices.

    The rows of TransformMatrix, as ITK has them.
    """
    name = first_name(fields, MATRIX)
    values = numbers(fields, name or MATRIX[0], 9, "1 0 0 0 1 0 0 0 1")
    if not all(abs(v) < 2 for v in values):
        raise Skip("not known to be axial", "TransformMatrix is no orientation")
    across, down, along = np.array(values, float).reshape(3, 3)
    normal = np.cross(across, down)
    length = np.linalg.norm(normal)
    if abs(length - 1) > 0.05 or np.linalg.norm(along) < 0.5:
        raise Skip("not known to be axial", "TransformMatrix is no orientation")
    anatomy = fields.get("AnatomicalOrientation", "RAI").upper()
    if not name and (len(anatomy) != 3 or anatomy[2] not in "IS"):
        raise Skip("not axial", f"AnatomicalOrientation is {anatomy}")
    if abs(normal[2]) / length < math.cos(math.radians(MAX_ANGLE_DEG)):
        raise Skip("not axial", "the slice normal by TransformMatrix is not along z")
    return values[:3], values[3:6], values[6:]


def _data_path(path: Path, name: str) -> Path:
    """Where the voxels lie: after the header, or in a file of a plain name beside it.

    No message repeats what the header names: it may be a path of another machine.
    """
    if name.upper() == "LOCAL":
        return path
    if name.upper().split(" ")[0] == "LIST" or "%" in name:
        raise Skip("data in several files", "ElementDataFile is a list or a pattern")
    name = re.sub(r"^(\.[/\\]+)+", "", name)
    plain = name not in ("", ".", "..") and not set(name) & set('/\\:*?"<>|\0')
    if not plain:
        raise Skip("data file outside the folder", "ElementDataFile is not a plain file name")
    return path.parent / name


def _find_voxels(header: Header, fields: dict[str, str]) -> int:
    """Where the voxels begin in the data file, which is regular and as long as the header says.

    header.offset: where the header ends.
    """
    end = header.offset if header.data_path == header.path else 0
    size = _file_size(header.data_path) - end
    before = number(fields, "HeaderSize", "0")
    if not (-1 <= before < 1e12 and before == int(before)):
        raise Skip("damaged header", "HeaderSize is not a number of bytes")
    if before > 0 and header.data_path == header.path:
        raise Skip("damaged header", "HeaderSize with data in the same file")
    if header.compressed:
        if header.nbytes > MAX_INFLATED:
            raise Skip("too large", f"compressed, of more than {MAX_INFLATED >> 20} MiB")
        if before:
            raise Skip("damaged header", "HeaderSize with compressed data")
        if number(fields, "CompressedDataSize", "0") not in (0, size):
            raise Skip("damaged pixel data", "CompressedDataSize is not the data file's size")
        return end
    if before == -1:  # the voxels are the last of the file
        before = max(0, size - header.nbytes)
    if size - before != header.nbytes:
        word = "shorter" if size - before < header.nbytes else "longer"
        raise Skip("damaged pixel data", f"the data file is {word} than the header says")
    return end + int(before)


def _file_size(path: Path) -> int:
    try:
        if not path.is_file():
            raise Skip("data file is missing", str(path))
        return path.stat().st_size
    except (OSError, ValueError):
        raise Skip("data file is missing", "it cannot be looked up") from None


def scan_of(header: Header, series_uid: str, patient_id: str) -> Scan:
    """The scan of a header: its slices in the order of the file.

    series_uid: used where no tag of DICOM names the series that the volume was made from.
    """
    columns, rows, n = header.size
    z_mm, step_mm = header.z_mm, header.spacing_mm[2]
    return Scan(
        kind="metaimage",
        series_uid=next(iter(_ids(header.tags, "SeriesInstanceUID")), series_uid),
        patient_id=patient_id,
        slices=tuple(Slice(header.path, i, z_mm + i * step_mm) for i in range(n)),
        rows=rows,
        columns=columns,
        spacing_mm=(header.spacing_mm[1], header.spacing_mm[0]),
        files=tuple(dict.fromkeys((header.path, header.data_path))),
        kvp=_positive(header.tags, "KVP"),
        tube_current_ma=_positive(header.tags, "XRayTubeCurrent"),
        exposure_mas=_positive(header.tags, "Exposure"),
        kernel=tidy_id(header.tags.get("ConvolutionKernel", "")[:MAX_ID]),
        description=tidy_id(header.tags.get("SeriesDescription", "")[:MAX_ID]),
        study_uids=_ids(header.tags, "StudyInstanceUID"),
        patient_ids=_ids(header.tags, "PatientID"),
    )


def _ids(tags: Mapping[str, str], name: str) -> tuple[str, ...]:
    value = tidy_id(tags.get(name, ""))
    return (value,) if 0 < len(value) <= MAX_ID else ()


def _positive(tags: Mapping[str, str], name: str) -> float | None:
    value = to_number(tags.get(name, ""))
    return float(value) if 0 < value < math.inf else None


def place_of(scan: Scan, point_mm: np.ndarray) -> Place:
    """Where a point lies, by the header's origin, axes and spacing.

    Raises Skip where the header cannot be read.
    """
    header = read_header(scan.slices[0].path)
    spacing = np.array(header.spacing_mm, float)
    steps = np.array(header.axes, float) * spacing[:, None]
    try:
        offset = point_mm - np.array(header.origin_mm, float)
        column, row, along = np.linalg.solve(steps.T, offset)
    except np.linalg.LinAlgError:
        raise Skip("not known to be axial", "TransformMatrix is no orientation") from None
    position = int(np.clip(np.rint(along), 0, len(scan.slices) - 1)) if np.isfinite(along) else 0
    return Place(position, float(row), float(column), float((along - position) * spacing[2]))
