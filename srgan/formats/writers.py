"""Begin a new scan in one of the formats that are written."""

from pathlib import Path

import numpy as np

from srgan.formats import readers
from srgan.formats.derived import Derived, Target
from srgan.formats.dicom.derived_header import Series
from srgan.formats.dicom.write import DicomTarget
from srgan.formats.scan import Scan
from srgan.formats.volumes import write as volume_write
from srgan.formats.volumes.volume import Volume

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
        return _dicom_target(scan, derived, folder)
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


def _dicom_target(scan: Scan, derived: Derived, folder: Path) -> DicomTarget:
    if scan.is_volume:
        geometry = readers.FORMATS[scan.kind].geometry(scan).enlarged(derived.enlargement)
        return DicomTarget(folder, Series.new(derived), geometry)
    return DicomTarget(folder, Series.new(derived, _instance_numbers(scan)))


def _instance_numbers(scan: Scan) -> tuple[int, ...] | None:
    """1, 2, 3 ... where the source's are not unique and in order, else None."""
    steps = np.diff([item.instance for item in scan.slices])
    in_order = (steps > 0).all() or (steps < 0).all()
    return None if in_order else tuple(range(1, len(scan.slices) + 1))
