"""A volume of axial slices in one file, or in a header and a data file: what its header says."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from srgan.formats.decimals import to_number
from srgan.formats.scan import MAX_ID, OWN_MODEL, Place, Scan, tidy_id
from srgan.formats.volume_geometry import Geometry
from srgan.system.errors import Skip

MAX_HELD = 640 << 20  # bytes of int16: all slices of a compressed volume, 1280 of 512 x 512


@dataclass(frozen=True, slots=True)
class Volume:
    """A volume of axial slices as its header describes it."""

    kind: str  # a key of `readers.FORMATS`
    path: Path
    data_path: Path  # equal to path where the data follow the header
    geometry: Geometry
    dtype: str  # NumPy's, with its byte order
    compressed: bool
    offset: int = 0  # bytes of the data file before the voxels, or before the compressed data
    inflated_offset: int = 0  # bytes before the voxels once inflated
    slope: float = 1.0  # HU = slope * voxel + intercept
    intercept: float = 0.0
    comment: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)  # of DICOM, by name: those it has

    @property
    def nbytes(self) -> int:
        """Bytes of the voxels once inflated."""
        return self.geometry.n_voxels * np.dtype(self.dtype).itemsize

    @property
    def made_by(self) -> str:
        """See scan.check_maker."""
        return self.comment if self.comment.lower().startswith(OWN_MODEL) else ""

    @property
    def is_scaled(self) -> bool:
        return (self.slope, self.intercept) != (1.0, 0.0)


ReadHeader = Callable[[Path], Volume]


def check_size(volume: Volume) -> Volume:
    """The volume, if its data file is as long as the header says and not too large to inflate.

    What compressed data inflate to is found when they are read. Raises Skip.
    """
    size = file_size(volume.data_path) - volume.offset
    if volume.compressed:
        if 2 * volume.geometry.n_voxels > MAX_HELD:
            raise Skip("too large", f"compressed, of more than {MAX_HELD >> 20} MiB as HU")
        return volume
    if size != volume.nbytes:
        word = "shorter" if size < volume.nbytes else "longer"
        raise Skip("damaged pixel data", f"the data file is {word} than the header says")
    return volume


def file_size(path: Path) -> int:
    """Bytes of a data file. Raises Skip where it is no regular file."""
    try:
        if not path.is_file():
            raise Skip("data file is missing", str(path))
        return path.stat().st_size
    except (OSError, ValueError):
        raise Skip("data file is missing", "it cannot be looked up") from None


def scan_of(volume: Volume, series_uid: str, patient_id: str) -> Scan:
    """The scan of a volume: its slices in the order of the file.

    series_uid: used where no tag of DICOM names the series that the volume was made from.
    """
    columns, rows, _ = volume.geometry.size
    across_mm, down_mm, _ = volume.geometry.spacing_mm
    tags = volume.tags
    return Scan(
        kind=volume.kind,
        series_uid=next(iter(_ids(tags, "SeriesInstanceUID")), series_uid),
        patient_id=patient_id,
        slices=volume.geometry.slices(volume.path),
        rows=rows,
        columns=columns,
        spacing_mm=(down_mm, across_mm),
        files=tuple(dict.fromkeys((volume.path, volume.data_path))),
        kvp=_positive(tags, "KVP"),
        tube_current_ma=_positive(tags, "XRayTubeCurrent"),
        exposure_mas=_positive(tags, "Exposure"),
        kernel=tidy_id(tags.get("ConvolutionKernel", "")[:MAX_ID]),
        description=tidy_id(tags.get("SeriesDescription", "")[:MAX_ID]),
        made_by=volume.made_by,
        study_uids=_ids(tags, "StudyInstanceUID"),
        patient_ids=_ids(tags, "PatientID"),
    )


def _ids(tags: Mapping[str, str], name: str) -> tuple[str, ...]:
    value = tidy_id(tags.get(name, ""))
    return (value,) if 0 < len(value) <= MAX_ID else ()


def _positive(tags: Mapping[str, str], name: str) -> float | None:
    value = to_number(tags.get(name, ""))
    return float(value) if 0 < value < math.inf else None


def of_scan(read_header: ReadHeader, scan: Scan) -> Volume:
    """The volume that a scan was made from. Raises Skip where the file is another one by now."""
    volume = read_header(scan.slices[0].path)
    columns, rows, slices = volume.geometry.size
    last = max(item.index for item in scan.slices)  # of a pair, a scan has some of the slices
    if (columns, rows) != (scan.columns, scan.rows) or slices <= last:
        raise Skip("changed", "the file is not the one that was catalogued")
    return volume


def geometry(read_header: ReadHeader, scan: Scan) -> Geometry:
    """Where the scan lies, by the header. Raises Skip where that cannot be read."""
    return of_scan(read_header, scan).geometry


def place_of(read_header: ReadHeader, scan: Scan, point_mm: np.ndarray) -> Place:
    """Where a point lies, by the header. Raises Skip where that cannot be read."""
    return read_header(scan.slices[0].path).geometry.place_of(point_mm)
