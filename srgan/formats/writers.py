"""Begin a new scan in one of the formats that are written."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from srgan.formats import readers
from srgan.formats.derived import Derived, SourceSlice, Target, slice_file
from srgan.formats.dicom import write as dicom_write
from srgan.formats.scan import Scan
from srgan.formats.volumes import write as volume_write
from srgan.formats.volumes.volume import Volume
from srgan.system.files import sync

FORMATS = {"dicom": "dicom", "metaimage": "mhd", "nifti": "nifti", "nrrd": "nrrd"}  # by Scan.kind
HEADER_BYTES = 64 << 10  # of a DICOM file; few have as many


def bytes_needed(format: str, scan: Scan, derived: Derived) -> int:
    """About how many bytes the new scan takes while it is written. Raises Skip."""
    volume = _volume(scan)
    n_pixels = len(scan.slices) * scan.rows * scan.columns * derived.enlargement**2
    inflated = volume.nbytes if volume and volume.compressed else 0
    if format == "dicom":
        return 2 * n_pixels + HEADER_BYTES * len(scan.slices) + inflated
    voxels = n_pixels * np.dtype(volume_write.voxel_type(volume)).itemsize
    return voxels * (2 if _is_packed(format, volume) else 1) + inflated


def begin(format: str, scan: Scan, derived: Derived, folder: Path) -> Target:
    """A new scan in `folder`, which is empty. Raises Skip and OSError."""
    if format == "dicom":
        return DicomTarget(folder, dicom_write.Series.new(derived.description))
    geometry, volume = readers.FORMATS[scan.kind].geometry(scan), _volume(scan)
    return volume_write.begin(
        format,
        folder,
        readers.volume_name(volume.path) if volume else "",
        geometry.enlarged(derived.enlargement),
        volume_write.voxel_type(volume),
        # A DICOM series begins at the feet, or where its normal begins, as others write it.
        last_first=volume is None and geometry.is_left_handed,
        compressed=_is_packed(format, volume),
    )


def _volume(scan: Scan) -> Volume | None:
    return readers.FORMATS[scan.kind].read_header(scan.slices[0].path) if scan.is_volume else None


def _is_packed(format: str, volume: Volume | None) -> bool:
    """Is .nii.gz written? Where .nii.gz was read."""
    return (
        format == "nifti"
        and volume is not None
        and (volume.kind, volume.compressed) == ("nifti", True)
    )


@dataclass(frozen=True)
class DicomTarget:
    folder: Path
    series: dicom_write.Series

    def write(self, index: int, source: SourceSlice, new_hu: np.ndarray, how: str) -> None:
        path = slice_file(self.folder, index)
        dicom_write.write(path, source.dicom, new_hu - source.hu, self.series, how)
        sync(path)

    def finish(self, how: str) -> None:
        pass
