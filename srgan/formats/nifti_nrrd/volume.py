"""A NIfTI or NRRD volume: what its header says, and where its voxels lie."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from srgan.formats.scan import Place, Scan
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
    gzipped: bool
    offset: int = 0  # bytes of the data file before the voxels, or before the gzip data
    inflated_offset: int = 0  # bytes before the voxels once inflated
    slope: float = 1.0  # HU = slope * voxel + intercept
    intercept: float = 0.0
    made_by: str = ""  # see scan.check_maker

    @property
    def nbytes(self) -> int:
        """Bytes of the voxels once inflated."""
        return self.geometry.n_voxels * np.dtype(self.dtype).itemsize


def check_size(volume: Volume) -> Volume:
    """The volume, if its data file is as long as the header says and not too large to inflate.

    What compressed data inflate to is found when they are read. Raises Skip.
    """
    if volume.gzipped:
        if 2 * volume.geometry.n_voxels > MAX_HELD:
            raise Skip("too large", f"compressed, of more than {MAX_HELD >> 20} MiB as HU")
        return volume
    size = file_size(volume.data_path) - volume.offset
    if size != volume.nbytes:
        word = "shorter" if size < volume.nbytes else "longer"
        raise Skip("damaged pixel data", f"the data file is {word} than the header says")
    return volume


def file_size(path: Path) -> int:
    """Bytes of a data file. Raises Skip."""
    try:
        return os.path.getsize(path)
    except (OSError, ValueError):
        raise Skip("data file is missing", "it cannot be looked up") from None


def scan_of(volume: Volume, series_uid: str, patient_id: str) -> Scan:
    """The scan of a volume: its slices in the order of the file."""
    columns, rows, _ = volume.geometry.size
    across_mm, down_mm, _ = volume.geometry.spacing_mm
    return Scan(
        kind=volume.kind,
        series_uid=series_uid,
        patient_id=patient_id,
        slices=volume.geometry.slices(volume.path),
        rows=rows,
        columns=columns,
        spacing_mm=(down_mm, across_mm),
        files=tuple(dict.fromkeys((volume.path, volume.data_path))),
    )


def place_of(read_header: Callable[[Path], Volume], scan: Scan, point_mm: np.ndarray) -> Place:
    """Where a point lies, by the header. Raises Skip where that cannot be read."""
    return read_header(scan.slices[0].path).geometry.place_of(point_mm)
