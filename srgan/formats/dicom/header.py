"""DICOM CT: the header of one file, and one slice as int16 HU.

A file is used only where its header says that it is an axial CT slice in HU. Where something is
missing or contradicts itself, a Skip says so: a wrong HU would never be noticed later.
"""

import math
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from sys import intern

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import UID

from srgan.formats.dicom.parse import (
    TAGS,
    Parsed,
    double,
    number,
    numbers,
    parse,
    raw_bytes,
    text,
    unsigned,
)
from srgan.formats.dicom.pixels import (
    PixelData,
    find_pixel_data,
    read_bytes,
    read_values,
    values_to_hu,
)
from srgan.formats.limits import MAX_ANGLE_DEG, MAX_POSITION_MM, MAX_SIDE, MAX_SPACING_MM
from srgan.formats.scan import MAX_ID, OWN_MODEL, tidy_id
from srgan.system.errors import Skip, reason

CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"

REFORMATS = {"REFORMATTED", "REFORMAT", "MPR", "MPVR", "CPR", "MIP", "MINIP", "VRT", "SSD"}
LOCALIZERS = {"LOCALIZER", "SCOUT", "TOPOGRAM"}

PLAIN_TEXT = re.compile(rb"[A-Za-z0-9 ._:/()+-]*\0?")  # these letters are so in every character set

# Tags that tell two passes, phases or echoes at one position apart, the plainest first.
PASS_TAGS = (
    "AcquisitionNumber",
    "TemporalPositionIdentifier",
    "EchoNumbers",
    "DiffusionBValue",
    "ConvolutionKernel",
    "TriggerTime",
    "ContentTime",
)

MAX_GANTRY_TILT_DEG = 30.0  # what a gantry can do; GantryDetectorTilt may explain an angle up to it


@dataclass(frozen=True, slots=True)
class Header:
    """One axial CT slice as its header describes it."""

    path: Path
    series_uid: str
    study_uid: str  # may be empty
    uid: str  # SOPInstanceUID
    patient_id: str  # tidy; may be empty
    instance: int
    rows: int
    columns: int
    spacing_mm: tuple[float, float]  # between rows, between columns
    z_mm: float  # along the slice normal, towards the head
    kvp: float | None
    tube_current_ma: float | None
    exposure_mas: float | None
    kernel: str
    description: str  # SeriesDescription
    pass_values: tuple[str, ...]  # of PASS_TAGS; empty where the tag is missing
    pixel_data: PixelData
    made_by: str  # see check_maker


@dataclass(frozen=True, slots=True)
class Frame:
    """Where a slice lies, for a comparison with a slice of another series."""

    uid: str  # FrameOfReferenceUID; may be empty
    thickness_mm: float | None
    plane: tuple[float, ...]  # the first pixel in mm, the directions of rows and of columns


def read_header(path: Path) -> Header:
    """Read and check the header of one DICOM file; the pixel data are found, not read.

    Raises Skip where the file is not an axial CT slice in HU, or cannot be relied on.
    """
    with _opened(path) as (header, _):
        return header


def read_slice(path: Path) -> tuple[Header, np.ndarray]:
    """Read one file: its header, and (rows, columns) int16 HU with padding and below as -1024.

    Raises Skip where the file is not usable or its pixel data are damaged.
    """
    with _opened(path) as (header, parsed):
        values = read_values(parsed.source, header.pixel_data, header.rows, header.columns)
        return header, values_to_hu(values, header.pixel_data)


def stored_bytes(header: Header) -> bytes:
    """The pixel data as they lie in the file, which is not deflated. Raises Skip."""
    try:
        with open(header.path, "rb") as file:
            return read_bytes(file, header.pixel_data)
    except OSError as error:
        raise Skip("cannot be read", reason(error)) from None


def read_whole(path: Path) -> tuple[Header, Dataset, np.ndarray]:
    """Read one file for a copy of it: its header, all its elements before the pixel data, and
    (rows, columns) int32 stored values.

    Raises Skip as `read_slice`.
    """
    with _opened(path, whole=True) as (header, parsed):
        values = read_values(parsed.source, header.pixel_data, header.rows, header.columns)
        return header, parsed.dataset, values


def read_plane(path: Path) -> np.ndarray:
    """Read where a slice lies: (3, 3), its first pixel in mm, directions of rows and of columns.

    Raises Skip as `read_header`.
    """
    return np.reshape(read_frame(path).plane, (3, 3))


def read_frame(path: Path) -> Frame:
    """Read where a slice lies, with its frame of reference. Raises Skip as `read_header`."""
    with _opened(path) as (_, parsed):
        dataset = parsed.dataset
        names = ("ImagePositionPatient", "ImageOrientationPatient")
        return Frame(
            uid=intern(text(dataset, "FrameOfReferenceUID")),
            thickness_mm=number(dataset, "SliceThickness"),
            plane=tuple(value for name in names for value in numbers(dataset, name)),
        )


@contextmanager
def _opened(path: Path, whole: bool = False) -> Iterator[tuple[Header, Parsed]]:
    """The one place where a DICOM file is opened and parsed: whatever goes wrong is a Skip."""
    try:
        with open(path, "rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            parsed = parse(file, whole)
            yield _checked(Path(path), parsed), parsed
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


def _checked(path: Path, parsed: Parsed) -> Header:
    dataset = parsed.dataset
    _check_kind(dataset)
    rows, columns = (unsigned(dataset, name) or 0 for name in ("Rows", "Columns"))
    if not (0 < rows <= MAX_SIDE and 0 < columns <= MAX_SIDE):
        raise Skip("no usable size", f"Rows x Columns is {rows} x {columns}")
    normal = _normal(dataset)
    position = numbers(dataset, "ImagePositionPatient")
    if len(position) != 3 or not all(abs(v) < MAX_POSITION_MM for v in position):
        raise Skip("no position", "ImagePositionPatient is missing or not three numbers in reach")
    series, study = (
        tidy_id(text(dataset, name)) for name in ("SeriesInstanceUID", "StudyInstanceUID")
    )
    patient = tidy_id(_decoded(dataset, "PatientID"))
    if not series:
        raise Skip("no series", "SeriesInstanceUID is missing")
    if max(len(series), len(study), len(patient)) > MAX_ID:
        raise Skip("damaged header", f"an id of more than {MAX_ID} characters")
    return Header(
        path=path,
        series_uid=intern(series),
        study_uid=intern(study),
        uid=text(dataset, "SOPInstanceUID"),
        patient_id=intern(patient),
        instance=int(number(dataset, "InstanceNumber") or 0),
        rows=rows,
        columns=columns,
        spacing_mm=_spacing(dataset),
        z_mm=float(np.dot(normal, position)),
        kvp=number(dataset, "KVP"),
        tube_current_ma=number(dataset, "XRayTubeCurrent"),
        exposure_mas=_exposure_mas(dataset),
        kernel=intern(text(dataset, "ConvolutionKernel")),
        description=intern(tidy_id(_decoded(dataset, "SeriesDescription"))),
        pass_values=_pass_values(dataset),
        pixel_data=find_pixel_data(parsed, rows, columns),
        made_by=_made_by(dataset),
    )


def _check_kind(dataset: Dataset) -> None:
    """Raises Skip unless it is CT Image Storage, one grey frame, and a slice as scanned."""
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


def _made_by(dataset: Dataset) -> str:
    """What this program says that it did, or ""."""
    if TAGS["ContributingEquipmentSequence"] in dataset:
        for item in reversed(dataset.ContributingEquipmentSequence or ()):
            if str(item.get("ManufacturerModelName", "")).lower().startswith(OWN_MODEL):
                return str(item.get("ContributionDescription", "")) or OWN_MODEL
    return ""


def _normal(dataset: Dataset) -> np.ndarray:
    """The slice normal towards the head, at most MAX_ANGLE_DEG or the gantry's tilt off z."""
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


def _exposure_mas(dataset: Dataset) -> float | None:
    """The exposure in mAs, or None where neither it nor its factors are there and above zero."""
    for name, per_mas in (("Exposure", 1), ("ExposureInuAs", 1000)):
        if (value := number(dataset, name) or 0.0) > 0:
            return value / per_mas
    current_ma, time_ms = number(dataset, "XRayTubeCurrent"), number(dataset, "ExposureTime")
    mas = (current_ma or 0.0) * (time_ms or 0.0) / 1000
    return mas if mas > 0 else None


def _pass_values(dataset: Dataset) -> tuple[str, ...]:
    return tuple(
        intern(double(dataset, name) if name == "DiffusionBValue" else text(dataset, name))
        for name in PASS_TAGS
    )


def _decoded(dataset: Dataset, name: str) -> str:
    """A text in its character set; empty where it is missing."""
    if PLAIN_TEXT.fullmatch(raw_bytes(dataset, name)):
        return text(dataset, name)
    try:
        value = dataset.get(name) or ""
    except Exception:  # an unknown character set must not cost the patient
        return text(dataset, name)
    return value if isinstance(value, str) else "\\".join(map(str, value))
