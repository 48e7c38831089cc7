"""Begin a new scan in one of the formats that are written."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from srgan.formats.derived import Derived, SourceSlice, Target, changed_hu, slice_file
from srgan.formats.dicom import write as dicom_write
from srgan.formats.metaimage import header as metaimage_header
from srgan.formats.metaimage import write as metaimage_write
from srgan.formats.metaimage.header import Header
from srgan.formats.metaimage.pixels import Voxels
from srgan.formats.scan import Scan
from srgan.system.files import sync

FORMATS = {"dicom": "dicom", "metaimage": "mhd", "nifti": "nifti", "nrrd": "nrrd"}  # by Scan.kind
HEADER_BYTES = 64 << 10  # of a DICOM file; few have as many


def bytes_needed(format: str, scan: Scan, derived: Derived) -> int:
    """About how many bytes the new scan takes, with 2 for each pixel."""
    pixels = scan.rows * scan.columns * derived.enlargement**2
    return len(scan.slices) * (2 * pixels + (HEADER_BYTES if format == "dicom" else 0))


def begin(format: str, scan: Scan, derived: Derived, folder: Path) -> Target:
    """A new scan in `folder`, which is empty. Raises Skip and OSError."""
    if format == "dicom":
        return DicomTarget(folder, dicom_write.Series.new(derived.description))
    header = metaimage_header.read_header(scan.files[0])
    _, voxels = metaimage_write.begin_copy(header, folder)
    return MetaImageTarget(header, voxels)


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


@dataclass(frozen=True)
class MetaImageTarget:
    header: Header
    voxels: Voxels

    def write(self, index: int, source: SourceSlice, new_hu: np.ndarray, how: str) -> None:
        hu = changed_hu(source.exact_hu, new_hu - source.hu)
        values = np.rint(hu) if self.voxels.dtype[1] == "i" else hu
        self.voxels.write(index, values)

    def finish(self, how: str) -> None:
        metaimage_write.write_header(self.header, self.voxels, how)
        sync(self.voxels.path)
