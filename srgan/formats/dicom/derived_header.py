"""The header of a derived CT slice: what is new in it. What stays is `explicit.kept`.

DICOM PS3.3, CT Image Storage. Study, patient, frame of reference and acquisition are those of the
source; series and instance are new.
"""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from pydicom.valuerep import format_number_as_ds

import srgan
from srgan.formats.derived import Derived
from srgan.formats.dicom import explicit
from srgan.formats.dicom.explicit import Elements
from srgan.formats.dicom.header import CT_IMAGE_STORAGE, Header
from srgan.formats.dicom.parse import TAGS, numbers, raw_bytes, text
from srgan.formats.scan import OWN_MODEL

SOURCE_IMAGE = ("121322", "Source image for image processing operation")
MODIFYING_EQUIPMENT = ("109103", "Modifying Equipment")
SPATIAL_RESAMPLING = ("113085", "Spatial resampling")
MAX_TEXT = 1024  # characters of ST
MAX_DESCRIPTION = 64  # characters of LO
MAX_CODE = 16  # characters of CS
MAX_DS = 16  # characters of a decimal string
NEW_SERIES = 1000  # is added to the source's SeriesNumber
DERIVATION_CODES, EQUIPMENT = 0x00089215, 0x0018A001
# They tell the size of a pixel too, or how fine the scanner resolves.
STALE_IF_ENLARGED = {
    0x00181050,  # SpatialResolution
    0x00181164,  # ImagerPixelSpacing
    0x00182010,  # NominalScannedPixelSpacing
    0x00189322,  # ReconstructionPixelSpacing
    0x00280034,  # PixelAspectRatio, beside PixelSpacing
    0x00280A02, 0x00280A04,  # PixelSpacingCalibrationType and -Description
}  # fmt: skip
STRAY = {0x00081150, 0x00081155, 0x00081160}  # references have these in items, not outside
# What the pixels and their place are read by: kept as it was read, even under a wrong VR.
RELIED_ON = {
    "Modality": "CS", "ImageOrientationPatient": "DS", "ImagePositionPatient": "DS",
    "PixelSpacing": "DS", "RescaleIntercept": "DS", "RescaleSlope": "DS",
}  # fmt: skip
# Type 2 of the CT modules: where a source lacks one, its value is not known.
NEVER_ABSENT = {
    "StudyDate": "DA", "StudyTime": "TM", "AccessionNumber": "SH", "Manufacturer": "LO",
    "ReferringPhysicianName": "PN", "PatientName": "PN", "PatientID": "LO",
    "PatientBirthDate": "DA", "PatientSex": "CS", "SliceThickness": "DS", "KVP": "DS",
    "StudyID": "SH", "AcquisitionNumber": "IS", "InstanceNumber": "IS",
    "PositionReferenceIndicator": "LO",
}  # fmt: skip


@dataclass(frozen=True)
class Series:
    """What the slices of one new series have in common."""

    derived: Derived
    uid: str
    made: datetime
    study_uid: str  # made up, for a source without one
    frame_uid: str  # as well
    numbers: tuple[int, ...] | None = None  # InstanceNumber of each slice; None: the source's

    @classmethod
    def new(cls, derived: Derived, numbers: tuple[int, ...] | None = None) -> "Series":
        uid, study, frame = (new_uid() for _ in range(3))
        return cls(derived, uid, datetime.now(), study, frame, numbers)


def new_uid() -> str:
    return str(generate_uid(prefix=None))  # 2.25 and a UUID


def decimal(value: float) -> str:
    """A number as a DS: as short as it can be, of 16 characters at most."""
    short = f"{value:.15g}"
    return short if len(short) <= MAX_DS else format_number_as_ds(float(value))


def elements(
    header: Header, dataset: Dataset, series: Series, index: int, uid: str, how: str
) -> Elements:
    """All elements but those of the pixels. uid: of the new slice, which is `index`."""
    n = series.derived.enlargement
    of_source = explicit.kept(dataset, header.pixel_data.signed)
    for tag in STRAY | (STALE_IF_ENLARGED if n > 1 else set()):
        of_source.pop(tag, None)
    for name, vr in RELIED_ON.items():
        of_source[TAGS[name]] = explicit.element(TAGS[name], vr, raw_bytes(dataset, name))
    new = Dataset()
    _identify(new, dataset, series, uid)
    _explain(new, dataset, header, how)
    if text(dataset, "PhotometricInterpretation") not in ("MONOCHROME1", "MONOCHROME2"):
        new.add_new("PhotometricInterpretation", "CS", "MONOCHROME2")
    if series.numbers:
        new.add_new("InstanceNumber", "IS", series.numbers[index])
    if n > 1:
        _enlarge(new, dataset, header, n)
    if not header.study_uid:
        new.add_new("StudyInstanceUID", "UI", series.study_uid)
    if not text(dataset, "FrameOfReferenceUID"):
        new.add_new("FrameOfReferenceUID", "UI", series.frame_uid)
    together = explicit.new(unknown()) | of_source | explicit.new(new)
    together[EQUIPMENT] = explicit.with_item(together, EQUIPMENT, _item(equipment(series, how)))
    if series.derived.resampled or n > 1:
        code = _item(_code(*SPATIAL_RESAMPLING))
        together[DERIVATION_CODES] = explicit.with_item(together, DERIVATION_CODES, code)
    return together


def unknown() -> Dataset:
    """The attributes of type 2, empty."""
    empty = Dataset()
    for name, vr in NEVER_ABSENT.items():
        empty.add_new(name, vr, "")
    return empty


def _item(dataset: Dataset) -> bytes:
    return explicit.joined(explicit.new(dataset))


def identity(series: Series, uid: str, kind: str) -> Dataset:
    """New instance and series, today's dates of both; DERIVED\\SECONDARY and the kind of slice.

    Without SyntheticData (0008,001C): checkers older than it, as Debian's dciodvfy, call it an
    error. The descriptions say it.
    """
    new = Dataset()
    date, time = series.made.strftime("%Y%m%d"), series.made.strftime("%H%M%S")
    for name in ("InstanceCreation", "Content", "Series"):
        new.add_new(f"{name}Date", "DA", date)
        new.add_new(f"{name}Time", "TM", time)
    new.add_new("ImageType", "CS", ["DERIVED", "SECONDARY", kind])
    new.add_new("SOPClassUID", "UI", CT_IMAGE_STORAGE)
    new.add_new("SOPInstanceUID", "UI", uid)
    new.add_new("SeriesInstanceUID", "UI", series.uid)
    new.add_new("SeriesDescription", "LO", one_line(series.derived.description)[:MAX_DESCRIPTION])
    return new


def _identify(new: Dataset, dataset: Dataset, series: Series, uid: str) -> None:
    words = text(dataset, "ImageType").split("\\")
    kind = words[2].strip() if len(words) > 2 and words[2].strip() else "AXIAL"
    new.update(identity(series, uid, one_line(kind)[:MAX_CODE]))
    new.add_new("SeriesNumber", "IS", NEW_SERIES + _series_number(dataset))


def _series_number(dataset: Dataset) -> int:
    try:
        given = int(dataset.SeriesNumber)
    except Exception:  # missing, empty or no number
        return 0
    return given if 0 <= given < 10**8 else 0


def _explain(new: Dataset, dataset: Dataset, header: Header, how: str) -> None:
    """What this slice was made from, and how."""
    before = _text_of(dataset, "DerivationDescription")
    description = one_line(f"{how}; the source: {before}" if before else how)
    new.add_new("DerivationDescription", "ST", description[:MAX_TEXT])
    if header.uid:
        image = Dataset()
        image.add_new("ReferencedSOPClassUID", "UI", CT_IMAGE_STORAGE)
        image.add_new("ReferencedSOPInstanceUID", "UI", header.uid)
        image.add_new("PurposeOfReferenceCodeSequence", "SQ", [_code(*SOURCE_IMAGE)])
        new.add_new("SourceImageSequence", "SQ", [image])


def equipment(series: Series, how: str) -> Dataset:
    """This program, as an item of ContributingEquipmentSequence."""
    device = Dataset()
    device.add_new("PurposeOfReferenceCodeSequence", "SQ", [_code(*MODIFYING_EQUIPMENT)])
    device.add_new("Manufacturer", "LO", OWN_MODEL)
    device.add_new("ManufacturerModelName", "LO", OWN_MODEL)
    device.add_new("SoftwareVersions", "LO", srgan.__version__)
    device.add_new("ContributionDateTime", "DT", series.made.strftime("%Y%m%d%H%M%S"))
    device.add_new("ContributionDescription", "ST", one_line(how)[:MAX_TEXT])
    return device


def _enlarge(new: Dataset, dataset: Dataset, header: Header, n: int) -> None:
    """The same field of view in n times as many rows and columns.

    The first pixel's centre moves by (1/n - 1)/2 old pixels along rows and columns.
    """
    row_mm, column_mm = header.spacing_mm  # between rows, between columns
    across, down = np.reshape(numbers(dataset, "ImageOrientationPatient"), (2, 3))
    across, down = across / np.linalg.norm(across), down / np.linalg.norm(down)
    moved = (1 / n - 1) / 2 * (column_mm * across + row_mm * down)
    position = numbers(dataset, "ImagePositionPatient") + moved
    new.add_new("PixelSpacing", "DS", [decimal(mm / n) for mm in header.spacing_mm])
    new.add_new("ImagePositionPatient", "DS", [decimal(mm) for mm in position])


def one_line(text: str) -> str:
    """The ASCII characters of a text, which every character set has, on one line."""
    return " ".join(text.encode("ascii", "ignore").decode().split())


def _text_of(dataset: Dataset, name: str) -> str:
    try:
        return one_line(str(dataset.get(name) or ""))
    except Exception:
        return ""


def _code(value: str, meaning: str) -> Dataset:
    code = Dataset()
    code.add_new("CodeValue", "SH", value)
    code.add_new("CodingSchemeDesignator", "SH", "DCM")
    code.add_new("CodeMeaning", "LO", meaning)
    return code
