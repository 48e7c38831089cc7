"""Write a new volume slice by slice: .mhd with .raw, .nii, .nii.gz or .nrrd.

The voxels lie little-endian in one file from the start, so that slices come in any order and one at
a time; the header, which the file begins with, is written last. SimpleITK writes whole volumes
alone: it and nibabel are the measure of the tests.
"""

import gzip
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from srgan.formats.derived import SourceSlice, stored_hu
from srgan.formats.volume_geometry import Geometry
from srgan.formats.volumes import metaimage_fields, nifti_header, nrrd
from srgan.formats.volumes.volume import Volume
from srgan.formats.volumes.voxels import Voxels
from srgan.system.files import sync
from srgan.system.progress import Progress

PLAIN = re.compile(r"[\w-][\w.-]*", re.ASCII)
PIECE = 16 << 20  # bytes that are compressed at once
GZIP_LEVEL = 1  # as nibabel; noise does not get smaller by more


@dataclass(frozen=True)
class Form:
    """How a file of one format begins."""

    ending: str  # of the file with the header
    offset: int  # bytes of the header before the voxels; 0 where they have a file of their own
    header: Callable[[Geometry, str, str, str], bytes]  # geometry, dtype, data file, comment


FORMS = {
    "mhd": Form(".mhd", 0, metaimage_fields.new_header),
    "nifti": Form(".nii", nifti_header.OFFSET, nifti_header.new_header),
    "nrrd": Form(".nrrd", nrrd.OFFSET, nrrd.new_header),
}


@dataclass(frozen=True)
class VolumeTarget:
    """A volume that is being written. It can be pickled; `write` may run in any process."""

    format: str  # a key of FORMS
    path: Path  # of the file with the header
    voxels: Voxels
    geometry: Geometry
    last_first: bool  # slice 0 of the scan is the last of the file
    compressed: bool  # the whole file, at the end

    def write(self, index: int, source: SourceSlice, new_hu: np.ndarray, how: str) -> None:
        hu, dtype = stored_hu(source, new_hu), np.dtype(self.voxels.dtype)
        if dtype.kind == "i":
            hu = np.clip(np.rint(hu), np.iinfo(dtype).min, np.iinfo(dtype).max)
        self.voxels.write(self.geometry.size[2] - 1 - index if self.last_first else index, hu)

    def finish(self, how: str) -> None:
        text = how.encode("ascii", "replace").decode()
        form = FORMS[self.format]
        header = form.header(self.geometry, self.voxels.dtype[1:], self.voxels.path.name, text)
        with open(self.path, "r+b" if form.offset else "wb") as file:
            file.write(header)
        sync(self.voxels.path)
        if self.compressed:
            _compress(self.path)


def begin(
    format: str,
    folder: Path,
    name: str,
    geometry: Geometry,
    dtype: str,
    last_first: bool = False,
    compressed: bool = False,
) -> VolumeTarget:
    """Make the file of the voxels in `folder`, empty as yet. Raises OSError.

    name: of the file, without its ending; "scan" is taken where some system cannot have it.
    geometry: of the new volume, in the order of the scan's slices. dtype: NumPy's name, without a
    byte order. last_first: the file has the slices in the other order. compressed: .nii.gz.
    """
    form = FORMS[format]
    name = name if PLAIN.fullmatch(name) and len(name) <= 100 else "scan"
    path = folder / f"{name}{form.ending}"
    data_path = path if form.offset else path.with_suffix(".raw")
    columns, rows, n = geometry.size
    voxels = Voxels(data_path, f"<{dtype}", rows, columns, form.offset)
    with open(data_path, "wb") as file:
        file.truncate(voxels.position(n))
    geometry = geometry.last_first() if last_first else geometry
    return VolumeTarget(format, path, voxels, geometry, last_first, compressed)


def voxel_type(volume: Volume | None) -> str:
    """The type of a new volume's voxels: that of a source in which HU are stored as they are.

    volume: None where the source is DICOM. NumPy's name, without a byte order.
    """
    if volume is None:
        return "i2"
    kind = np.dtype(volume.dtype).kind
    if volume.is_scaled:
        whole = kind != "f" and float(volume.slope).is_integer() and volume.intercept.is_integer()
        return "i2" if whole else "f4"
    return "i2" if kind == "u" else volume.dtype[1:]


def _compress(path: Path) -> None:
    """Replace a file by its .gz, which is the same each time. Raises OSError."""
    packed, size = path.with_name(f"{path.name}.gz"), path.stat().st_size
    with (
        open(path, "rb") as file,
        open(packed, "wb") as target,
        gzip.GzipFile("", "wb", GZIP_LEVEL, target, mtime=0) as stream,
        Progress(size >> 20, "MiB compressed") as bar,
    ):
        while piece := file.read(PIECE):
            stream.write(piece)
            bar.update(file.tell() >> 20, file.tell() / size)
    path.unlink()
    sync(packed)
