"""The formats that scans are read from. A new format of volumes is an entry in each table here."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Protocol

import numpy as np

from srgan.formats.dicom import series
from srgan.formats.metaimage import header as metaimage_header
from srgan.formats.metaimage import pixels as metaimage_pixels
from srgan.formats.scan import Place, Scan


class VolumeHeader(Protocol):
    """What the catalogue needs to know of the header of a volume."""

    path: Path
    data_path: Path  # equal to path where the data follow the header


@dataclass(frozen=True)
class Format:
    """How the slices of a catalogued scan are read, and where a point lies in it."""

    title: str  # as messages name one scan of it
    reader: Callable[[Scan], Callable[[int], np.ndarray]]
    place_of: Callable[[Scan, np.ndarray], Place]


FORMATS = {  # by Scan.kind
    "dicom": Format("a DICOM series", series.reader, series.place_of),
    "metaimage": Format("a MetaImage volume", metaimage_pixels.reader, metaimage_header.place_of),
}
# By the ending of a header: a module with read_header(path) -> VolumeHeader and
# scan_of(header, series_uid, patient_id). Any other file may be a DICOM slice.
VOLUME_HEADERS: dict[str, ModuleType] = {".mhd": metaimage_header, ".mha": metaimage_header}
VOLUME_DATA = (".raw", ".zraw")  # what such headers name


def reader(scan: Scan) -> Callable[[int], np.ndarray]:
    """A function from an index into scan.slices to (rows, columns) int16 HU; it raises Skip."""
    return FORMATS[scan.kind].reader(scan)


def place_of(scan: Scan, point_mm: np.ndarray) -> Place:
    """The nearest slice to a point in the patient, and the pixel in it. Raises Skip."""
    return FORMATS[scan.kind].place_of(scan, point_mm)


def is_header(path: Path) -> bool:
    return path.suffix.lower() in VOLUME_HEADERS


def is_data(path: Path) -> bool:
    return path.suffix.lower() in VOLUME_DATA


def volume_format(path: Path) -> ModuleType:
    return VOLUME_HEADERS[path.suffix.lower()]
