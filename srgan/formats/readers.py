"""The formats that scans are read from: a new format of volumes is one more entry in FORMATS."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np

from srgan import hu_check
from srgan.formats.derived import SourceSlice
from srgan.formats.dicom import series, series_geometry
from srgan.formats.scan import Place, Scan
from srgan.formats.volume_geometry import Geometry
from srgan.formats.volumes import metaimage, nifti, nrrd, volume, voxels
from srgan.formats.volumes.volume import ReadHeader
from srgan.system.errors import Skip


class VolumeHeader(Protocol):
    """What the catalogue needs to know of the header of a volume."""

    path: Path
    data_path: Path  # equal to path where the data follow the header
    made_by: str  # see scan.check_maker


@dataclass(frozen=True)
class Format:
    """How scans of one kind are found, how their slices are read, and where a point lies in one.

    Each function raises Skip, with a reason, for a file that is not axial CT in HU or is damaged.
    """

    title: str  # as messages name one scan of it
    reader: Callable[[Scan], Callable[[int], np.ndarray]]  # index to (rows, columns) int16 HU
    place_of: Callable[[Scan, np.ndarray], Place]  # of a point in mm: the nearest slice, the pixel
    # For volumes alone. A file of any other ending may be a DICOM slice.
    read_header: Callable[[Path], VolumeHeader] | None = None
    scan_of: Callable[[VolumeHeader, str, str], Scan] | None = None  # header, series UID, patient
    header_endings: tuple[str, ...] = ()  # in lower case
    data_endings: tuple[str, ...] = ()  # of the files that such headers name
    # For copies: (scan, empty folder for what must be inflated) to a function that can be pickled.
    source_reader: Callable[[Scan, Path], Callable[[int], SourceSlice]] | None = None
    geometry: Callable[[Scan], Geometry] | None = None  # of the slices in order, evenly spaced


def _volumes(title: str, read_header: ReadHeader, headers: tuple, data: tuple = ()) -> Format:
    """A format of volumes. headers, data: the endings of names."""
    return Format(
        title,
        partial(voxels.reader, read_header),
        partial(volume.place_of, read_header),
        read_header,
        volume.scan_of,
        headers,
        data,
        partial(voxels.source_reader, read_header),
        partial(volume.geometry, read_header),
    )


FORMATS = {  # by Scan.kind
    "dicom": Format(
        "a DICOM series",
        series.reader,
        series.place_of,
        source_reader=series.source_reader,
        geometry=series_geometry.geometry,
    ),
    "metaimage": _volumes(
        "a MetaImage volume", metaimage.read_header, (".mhd", ".mha"), (".raw", ".zraw")
    ),
    "nifti": _volumes("a NIfTI volume", nifti.read_header, (".nii", ".nii.gz")),
    "nrrd": _volumes("an NRRD volume", nrrd.read_header, (".nrrd", ".nhdr"), (".raw", ".raw.gz")),
}


def reader(scan: Scan) -> Callable[[int], np.ndarray]:
    """A function from an index into scan.slices to (rows, columns) int16 HU.

    Both raise Skip. A slice always has the size of its scan, and can be HU by its pixels.
    """
    read = FORMATS[scan.kind].reader(scan)

    def read_slice(index: int) -> np.ndarray:
        hu = read(index)
        if hu.shape != (scan.rows, scan.columns):
            raise Skip("size differs from the header", f"{hu.shape}")
        hu_check.check_slice(hu)
        return hu

    return read_slice


def volume_format(path: Path) -> Format | None:
    """The format of volumes whose headers end as this file does."""
    name = path.name.lower()
    return next((f for f in FORMATS.values() if name.endswith(f.header_endings)), None)


def volume_name(path: Path) -> str:
    """The name of a volume's header or data file without its ending: "a" of a.nii.gz."""
    name = path.name.lower()
    endings = [e for f in FORMATS.values() for e in f.header_endings + f.data_endings]
    longest = max((e for e in endings if name.endswith(e)), key=len, default="")
    return path.name[: len(name) - len(longest)]


def is_volume_data(path: Path) -> bool:
    """Does the file end as the data of a volume do, which a header names?"""
    name = path.name.lower()
    return any(name.endswith(f.data_endings) for f in FORMATS.values())
