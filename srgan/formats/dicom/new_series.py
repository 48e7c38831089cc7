"""The header of a CT slice for a volume, which has no patient and no study: both are made up."""

import numpy as np
from pydicom.dataset import Dataset

from srgan.formats.dicom import explicit, stored
from srgan.formats.dicom.derived_header import (
    MAX_TEXT,
    Series,
    decimal,
    equipment,
    identity,
    one_line,
    unknown,
)
from srgan.formats.dicom.explicit import Elements
from srgan.formats.dicom.pixels import PixelData
from srgan.formats.volume_geometry import Geometry

MADE_UP = "Patient and study are made up: the source is a volume file without them"
WINDOW = "40", "400"  # centre and width of the soft-tissue window, to begin with
LAYOUT = PixelData("", (), 16, 15, True, None, 1.0, 0.0)  # int16 HU


def elements(geometry: Geometry, series: Series, index: int, uid: str, how: str) -> Elements:
    """All elements but PixelData. geometry: of the new volume; uid: of its slice `index`."""
    new = unknown()
    new.update(identity(series, uid, "AXIAL"))
    new.add_new("StudyInstanceUID", "UI", series.study_uid)
    new.add_new("StudyDescription", "LO", "Made up for a volume file")
    new.add_new("PatientID", "LO", f"MADE-UP-{series.study_uid[-12:]}")
    new.add_new("PatientName", "PN", "Made up^by srgan-ct")
    new.add_new("PatientComments", "LT", MADE_UP)
    new.add_new("Modality", "CS", "CT")
    new.add_new("Laterality", "CS", "")
    new.add_new("PatientPosition", "CS", "")
    new.add_new("SeriesNumber", "IS", 1)
    new.add_new("InstanceNumber", "IS", index + 1)
    description = one_line(f"{MADE_UP}; {how}")[:MAX_TEXT]
    new.add_new("DerivationDescription", "ST", description)
    new.add_new("ContributingEquipmentSequence", "SQ", [equipment(series, how)])
    _place(new, geometry, series, index)
    columns, rows, _ = geometry.size
    new.update(stored.elements((rows, columns), LAYOUT, LAYOUT))
    new.add_new("PhotometricInterpretation", "CS", "MONOCHROME2")
    new.update(stored.whole_hu())
    new.add_new("WindowCenter", "DS", WINDOW[0])
    new.add_new("WindowWidth", "DS", WINDOW[1])
    return explicit.new(new)


def _place(new: Dataset, geometry: Geometry, series: Series, index: int) -> None:
    across_mm, down_mm, along_mm = geometry.spacing_mm
    axes = np.array(geometry.axes, float)
    position = geometry.known_origin_mm + index * along_mm * axes[2]
    new.add_new("FrameOfReferenceUID", "UI", series.frame_uid)
    new.add_new("ImageOrientationPatient", "DS", [decimal(v) for v in axes[:2].ravel()])
    new.add_new("ImagePositionPatient", "DS", [decimal(v) for v in position])
    new.add_new("PixelSpacing", "DS", [decimal(down_mm), decimal(across_mm)])
    new.add_new("SpacingBetweenSlices", "DS", decimal(along_mm))
