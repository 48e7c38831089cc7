"""DICOM CT: the header of one file, and one slice as int16 HU.

Only what is said to be an axial CT slice in HU is taken; whatever is missing or contradicts itself
is a Skip with its reason, because a wrong HU would never be noticed later.
"""

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from sys import intern
from typing import Any, BinaryIO

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import UID

from srgan.formats.dicom.parse import TAGS, number, numbers, parse, text, unsigned
from srgan.formats.dicom.pixels import Stored, read_stored, read_values, values_to_hu
from srgan.formats.limits import MAX_ANGLE_DEG, MAX_POSITION_MM, MAX_SIDE, MAX_SPACING_MM
from srgan.formats.scan import MAX_ID, OWN_MODEL, tidy_id
from srgan.system.errors import Skip, reason

CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"

REFORMATS = {"REFORMATTED", "REFORMAT", "MPR", "MPVR", "CPR", "MIP", "MINIP", "VRT", "SSD"}
LOCALIZERS = {"LOCALIZER", "SCOUT", "TOPOGRAM"}

MAX_GANTRY_TILT_DEG = 30.0  # what a gantry can do; GantryDetectorTilt may explain an angle up to it


@dataclass(frozen=True, slots=True)
class Header:
    """One axial CT slice as its header describes it."""

    path: Path
    series_uid: str
    uid: str  # SOPInstanceUID
    patient_id: str  # tidy; may be empty
    instance: int
    rows: int
    columns: int
    spacing_mm: tuple[float, float]  # between rows, between columns
    z_mm: float  # along the slice normal, towards the head
    kvp: float | None
    tube_current_ma: float | None
    kernel: str
    stored: Stored


def read_header(path: Path) -> Header:
    """Read and check the header of one DICOM file; the pixels are only looked up, not read.

    Raises Skip where the file is not an axial CT slice in HU, or cannot be relied on.
    """
    return _read(Path(path), lambda dataset, source, header: header)


def read_slice(path: Path) -> tuple[Header, np.ndarray]:
    """Read one file: its header, and (rows, columns) int16 HU with padding and below as -1024.

    Raises Skip where the file is not usable or its pixel data are not whole.
    """

    def take(dataset, source, header):
        values = read_values(source, header.stored, header.rows, header.columns)
        return header, values_to_hu(values, header.stored)

    return _read(Path(path), take)


def read_whole(path: Path) -> tuple[Header, Dataset, np.ndarray]:
    """One file for a copy of it: its header, all its elements before the pixel data, and
    (rows, columns) int32 stored values.

    Raises Skip as `read_slice`.
    """

    def take(dataset, source, header):
        return header, dataset, read_values(source, header.stored, header.rows, header.columns)

    return _read(Path(path), take, whole=True)


def read_plane(path: Path) -> np.ndarray:
    """Where a slice lies: (3, 3), its first pixel in mm, the directions of rows and of columns.

    Raises Skip as `read_header`.
    """

    def take(dataset, source, header):
        names = ("ImagePositionPatient", "ImageOrientationPatient")
        return np.concatenate([numbers(dataset, name) for name in names]).reshape(3, 3)

    return _read(Path(path), take)


def _read(path: Path, take: Callable[[Dataset, BinaryIO, Header], Any], whole: bool = False):
    """The one place where DICOM files are opened and parsed: what goes wrong becomes a Skip."""
    try:
        with open(path, "rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset, meta, source, place = parse(file, whole)
            return take(dataset, source, _header(path, dataset, meta, source, place))
    except Skip:
        raise
    except OSError as error:
        # pydicom raises some of its own, which have no number.
        fault = "cannot be read" if error.errno else "damaged header"
        raise Skip(fault, reason(error)) from None
    except RecursionError:
        raise Skip("damaged header", "sequences nested too deep") from None
    except Exception as error:
        raise Skip("damaged header", type(error).__name__) from None


# ---- is it an axial CT slice in HU? ----


def _header(path: Path, dataset: Dataset, meta: Dataset, source, place) -> Header:
    _check_kind(dataset, meta)
    rows, columns = (unsigned(dataset, name) or 0 for name in ("Rows", "Columns"))
    if not (0 < rows <= MAX_SIDE and 0 < columns <= MAX_SIDE):
        raise Skip("no usable size", f"Rows x Columns is {rows} x {columns}")
    normal = _normal(dataset)
    position = numbers(dataset, "ImagePositionPatient")
    if len(position) != 3 or not all(abs(v) < MAX_POSITION_MM for v in position):
        raise Skip("no position", "ImagePositionPatient is missing or not three numbers in reach")
    series, patient = tidy_id(text(dataset, "SeriesInstanceUID")), tidy_id(_patient(dataset))
    if not series:
        raise Skip("no series", "SeriesInstanceUID is missing")
    if max(len(series), len(patient)) > MAX_ID:
        raise Skip("damaged header", f"an id of more than {MAX_ID} characters")
    return Header(
        path=path,
        series_uid=intern(series),
        uid=text(dataset, "SOPInstanceUID"),
        patient_id=intern(patient),
        instance=int(number(dataset, "InstanceNumber") or 0),
        rows=rows,
        columns=columns,
        spacing_mm=_spacing(dataset),
        z_mm=float(np.dot(normal, position)),
        kvp=number(dataset, "KVP"),
        tube_current_ma=number(dataset, "XRayTubeCurrent"),
        kernel=intern(text(dataset, "ConvolutionKernel")),
        stored=read_stored(dataset, meta, source, place, rows, columns),
    )


def _check_kind(dataset: Dataset, meta: Dataset) -> None:
    """CT Image Storage with modality CT, one grey frame, a slice as the scanner made it."""
    kind, modality = text(dataset, "SOPClassUID"), text(dataset, "Modality")
    if kind != CT_IMAGE_STORAGE:
        raise Skip("not CT Image Storage", f"{UID(kind).name or 'no SOP class'} {modality}")
    if modality != "CT":
        raise Skip("not CT", f"Modality is {modality or 'missing'}")
    if (unsigned(dataset, "SamplesPerPixel") or 1) != 1:
        raise Skip("more than one sample per pixel", "a colour picture")
    frames = text(dataset, "NumberOfFrames")
    if frames not in ("", "1"):
        raise Skip("more than one frame", f"NumberOfFrames is {frames}")
    image_type = text(dataset, "ImageType").upper()
    words = set(image_type.replace("\\", " ").replace("_", " ").split())
    if words & LOCALIZERS:
        raise Skip("localizer", f"ImageType {image_type}")
    if words & REFORMATS:
        raise Skip("reformat", f"ImageType {image_type}")
    if "SCREEN SAVE" in image_type:
        raise Skip("screen capture", f"ImageType {image_type}")
    if TAGS["ContributingEquipmentSequence"] in dataset:
        for item in dataset.ContributingEquipmentSequence or ():
            if str(item.get("ManufacturerModelName", "")).lower().startswith(OWN_MODEL):
                raise Skip("output of this program")


def _normal(dataset: Dataset) -> np.ndarray:
    """The slice normal towards the head, within MAX_ANGLE_DEG of z or as the gantry was tilted."""
    values = numbers(dataset, "ImageOrientationPatient")
    if not values:
        raise Skip("not known to be axial", "ImageOrientationPatient is missing")
    if len(values) != 6 or not np.isfinite(values).all():
        raise Skip("not known to be axial", "ImageOrientationPatient is not six numbers")
    row, column = np.array(values).reshape(2, 3)
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    if not all(abs(n - 1) < 0.05 for n in lengths) or abs(row @ column) > 0.05:
        raise Skip("not known to be axial", "ImageOrientationPatient is no orientation")
    normal = np.cross(row, column)
    normal /= np.linalg.norm(normal) * (1 if normal[2] >= 0 else -1)
    angle = math.degrees(math.acos(min(1.0, normal[2])))
    tilt = min(abs(number(dataset, "GantryDetectorTilt") or 0.0), MAX_GANTRY_TILT_DEG)
    if angle > max(MAX_ANGLE_DEG, tilt + 1):
        planes = ("sagittal", "coronal", "oblique")
        plane = planes[int(np.argmax(np.abs(normal)))] if angle > 70 else "oblique"
        raise Skip("not axial", f"{plane}, the slice normal is {angle:.0f} degrees off z")
    return normal


def _spacing(dataset: Dataset) -> tuple[float, float]:
    values = numbers(dataset, "PixelSpacing")
    if not values:
        raise Skip("no pixel spacing", "PixelSpacing is missing")
    if len(values) != 2 or not all(0 < v < MAX_SPACING_MM for v in values):
        detail = f"PixelSpacing is not two numbers from 0 to {MAX_SPACING_MM:g} mm"
        raise Skip("no pixel spacing", detail)
    return values[0], values[1]


def _patient(dataset: Dataset) -> str:
    """PatientID in its character set; empty where it is missing."""
    try:
        value = dataset.get("PatientID") or ""
    except Exception:  # an unknown character set must not cost the patient
        return text(dataset, "PatientID")
    return value if isinstance(value, str) else "\\".join(map(str, value))
