"""Write a derived copy of a DICOM slice: new pixels, a new identity, and a note of what was done.

DICOM PS3.3, CT Image Storage. Study, patient, frame of reference and acquisition are those of the
source; series and instance are new. Private elements are left out, and so is what no longer holds
or cannot be written.
"""

import warnings
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from pathlib import Path

import numpy as np
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_data_element
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from pydicom.valuerep import VR

import srgan
from srgan.formats.derived import changed_hu
from srgan.formats.dicom.header import CT_IMAGE_STORAGE, Header
from srgan.formats.dicom.parse import text
from srgan.formats.dicom.pixels import PixelData, is_padding, values_to_words
from srgan.formats.scan import OWN_MODEL
from srgan.system.errors import Skip

SOURCE_IMAGE = ("121322", "Source image for image processing operation")
MODIFYING_EQUIPMENT = ("109103", "Modifying Equipment")
MAX_DESCRIPTION = 1024  # characters of ST
NEW_SERIES = 1000  # is added to the source's SeriesNumber
KNOWN_VR = {vr.value for vr in VR if len(vr.value) == 2}
IN_WORDS = {"OB", "OD", "OF", "OL", "OV", "OW", "UN"}  # pydicom does not turn their byte order
STALE = {
    0x00080014,  # InstanceCreatorUID
    0x00081195,  # TransactionUID
    0x00280106, 0x00280107, 0x00280108, 0x00280109,  # smallest and largest pixel value
    0x00280110, 0x00280111,  # smallest and largest pixel value in plane
    0x00283010,  # VOILUTSequence
    0x00287FE0,  # PixelDataProviderURL
    0x00880130, 0x00880140,  # storage media file set
    0x00880200,  # IconImageSequence
    0x04000500,  # EncryptedAttributesSequence
    0x4FFE0001,  # MACParametersSequence
    0xFFFAFFFA,  # DigitalSignaturesSequence
}  # fmt: skip
STALE_GROUPS = {*range(0x5000, 0x5100), *range(0x6000, 0x6100)}  # curves, overlays


@dataclass(frozen=True)
class Series:
    """What the slices of one derived series have in common."""

    uid: str
    made: datetime
    description: str  # 64 ASCII characters at most

    @classmethod
    def new(cls, description: str) -> "Series":
        return cls(str(generate_uid(prefix=None)), datetime.now(), description)


def changed_values(values: np.ndarray, pixel_data: PixelData, change_hu: np.ndarray) -> np.ndarray:
    """Stored values with a change in HU: int32, rounded, in the range of BitsStored.

    Padding stays as it is, and so does everything where the change is zero.
    """
    hu = values * pixel_data.slope + pixel_data.intercept
    hu = changed_hu(hu, change_hu, is_padding(values, pixel_data))
    lowest = -(1 << pixel_data.bits_stored - 1) if pixel_data.signed else 0
    highest = lowest + (1 << pixel_data.bits_stored) - 1
    back = np.rint((hu - pixel_data.intercept) / pixel_data.slope)
    return np.clip(back, lowest, highest).astype(np.int32)


def write(
    path: Path,
    source: tuple[Header, Dataset, np.ndarray],
    change_hu: np.ndarray,
    series: Series,
    how: str,
) -> None:
    """Write the derived slice, uncompressed, Explicit VR Little Endian.

    source: from `header.read_whole`; its data set is changed. change_hu: (rows, columns). how: what
    was done, with its parameters. Raises Skip where the header cannot be written, and OSError.
    """
    header, dataset, values = source
    words = values_to_words(changed_values(values, header.pixel_data, change_hu), header.pixel_data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            keep_writable(dataset)
            _identify(dataset, header, series)
            _explain(dataset, header, series, how)
            dataset.add_new("PixelData", "OW", words.tobytes())
            dataset.file_meta = _meta(dataset)
            file = BytesIO()  # to a path pydicom raises an OSError without a number
            dcmwrite(file, dataset, enforce_file_format=True)
        except Exception as error:
            raise Skip("header cannot be copied", type(error).__name__) from None
    path.write_bytes(file.getvalue())


# ---- what stays of the source's header ----


def keep_writable(dataset: Dataset) -> None:
    """Delete what is stale, private, or cannot be written as Explicit VR Little Endian.

    Elements of an explicit little-endian source are copied as they are, valid or not.
    """
    for tag in list(dataset.keys()):
        stale = tag in STALE or tag.group in STALE_GROUPS or tag.group < 8 or tag.element == 0
        if stale or tag.is_private or not _is_writable(dataset, tag):
            del dataset[tag]


def _is_writable(dataset: Dataset, tag) -> bool:
    implicit, little = dataset.original_encoding
    try:
        item = dataset.get_item(tag)
        if item.VR == VR.SQ or implicit or not little:
            item = dataset[tag]
        if item.VR == VR.SQ:
            for part in item.value:
                keep_writable(part)
        if item.VR not in KNOWN_VR or (not little and item.VR in IN_WORDS):
            return False
        trial = DicomBytesIO()
        trial.is_implicit_VR, trial.is_little_endian = False, True
        write_data_element(trial, item, dataset.get("SpecificCharacterSet"))
    except Exception:
        return False
    return True


# ---- what is new ----


def _identify(dataset: Dataset, header: Header, series: Series) -> None:
    """New instance and series, today's dates of both; DERIVED\\SECONDARY."""
    date, time = series.made.strftime("%Y%m%d"), series.made.strftime("%H%M%S")
    for name in ("InstanceCreation", "Content", "Series"):
        dataset.add_new(f"{name}Date", "DA", date)
        dataset.add_new(f"{name}Time", "TM", time)
    words = text(dataset, "ImageType").split("\\")
    kind = words[2].strip() if len(words) > 2 and words[2].strip() else "AXIAL"
    dataset.add_new("ImageType", "CS", ["DERIVED", "SECONDARY", kind])
    dataset.add_new("SOPClassUID", "UI", CT_IMAGE_STORAGE)
    dataset.add_new("SOPInstanceUID", "UI", generate_uid(prefix=None))
    dataset.add_new("SeriesInstanceUID", "UI", series.uid)
    dataset.add_new("SeriesDescription", "LO", series.description)
    dataset.add_new("SeriesNumber", "IS", NEW_SERIES + _series_number(dataset))


def _series_number(dataset: Dataset) -> int:
    try:
        given = int(dataset.SeriesNumber)
    except Exception:  # missing, empty or no number
        return 0
    return given if 0 <= given < 10**8 else 0


def _explain(dataset: Dataset, header: Header, series: Series, how: str) -> None:
    """What this slice was made from, by what, and how."""
    before = _text_of(dataset, "DerivationDescription")
    description = f"{how}; the source: {before}" if before else how
    dataset.add_new("DerivationDescription", "ST", description[:MAX_DESCRIPTION])
    image = Dataset()
    image.ReferencedSOPClassUID = CT_IMAGE_STORAGE
    image.add_new("ReferencedSOPInstanceUID", "UI", header.uid)
    image.PurposeOfReferenceCodeSequence = [_code(*SOURCE_IMAGE)]
    if header.uid:
        dataset.SourceImageSequence = [image]
    elif "SourceImageSequence" in dataset:  # of the source's own source
        del dataset.SourceImageSequence
    device = Dataset()
    device.PurposeOfReferenceCodeSequence = [_code(*MODIFYING_EQUIPMENT)]
    device.Manufacturer = OWN_MODEL
    device.ManufacturerModelName = OWN_MODEL
    device.SoftwareVersions = srgan.__version__
    device.ContributionDateTime = series.made.strftime("%Y%m%d%H%M%S")
    device.ContributionDescription = how[:MAX_DESCRIPTION]
    earlier = dataset.get("ContributingEquipmentSequence") or []
    dataset.ContributingEquipmentSequence = [*earlier, device]


def _text_of(dataset: Dataset, name: str) -> str:
    """An element's ASCII characters, on one line."""
    try:
        return " ".join(str(dataset.get(name) or "").encode("ascii", "ignore").decode().split())
    except Exception:
        return ""


def _code(value: str, meaning: str) -> Dataset:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "DCM", meaning
    return code


def _meta(dataset: Dataset) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = CT_IMAGE_STORAGE
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return meta
