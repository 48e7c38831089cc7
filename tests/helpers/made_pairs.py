"""Trees of normal- and low-dose series, in the layouts of TCIA and of the 2016 challenge."""

from pathlib import Path

import numpy as np
from pydicom.uid import generate_uid
from scipy import ndimage

from tests.helpers import made_dicom
from tests.helpers.made_chest import chest, to_hu

SPACING_MM, STEP_MM = 0.8, 2.0


def doses(patient: int, slices: int = 6, sd_hu: float = 60.0) -> tuple[np.ndarray, np.ndarray]:
    """A normal dose and a low dose with more noise: (slices, 96, 96) int16 HU each."""
    normal = chest(patient, slices)
    rng = np.random.default_rng(1000 + patient)
    noise = ndimage.gaussian_filter(rng.normal(0, 1, normal.shape), (0, 0.6, 0.6))
    return normal, to_hu(normal + sd_hu * noise / noise.std())


def write(
    folder: Path,
    hu: np.ndarray,
    patient: str,
    description: str = "",
    z_mm: float = 0.0,
    name: str = "1-{:02}.dcm",
    **changes,
) -> list[Path]:
    """A series of one patient, in the patient's frame of reference and study; returns its files."""
    uids = {
        "SeriesInstanceUID": generate_uid(entropy_srcs=[str(folder), description]),
        "StudyInstanceUID": generate_uid(entropy_srcs=[patient, "study"]),
        "FrameOfReferenceUID": generate_uid(entropy_srcs=[patient, "frame"]),
        "SliceThickness": STEP_MM,
        "PixelSpacing": [SPACING_MM, SPACING_MM],
        "ConvolutionKernel": "B30f",
        "KVP": 120,
    }
    changes = {"PatientID": patient, "SeriesDescription": description} | uids | changes
    return [
        made_dicom.write(
            folder / name.format(i + 1),
            z=z_mm + STEP_MM * i,
            values=image,
            InstanceNumber=i + 1,
            **changes,
        )
        for i, image in enumerate(hu)
    ]


def tcia(folder: Path, patient: str, number: int, **changes) -> tuple[list[Path], list[Path]]:
    """A patient of LDCT-and-Projection-data: the files of the normal and of the low dose."""
    study = folder / patient / "12-23-2021-NA-NA-62464"
    return tuple(
        write(
            study / f"1.000000-{dose} Dose Images-{number}{k}",
            hu,
            patient,
            f"{dose} Dose Images",
            **changes,
        )
        for k, (dose, hu) in enumerate(zip(("Full", "Low"), doses(number), strict=True))
    )


def mayo(
    folder: Path, patient: str, number: int, thickness: int = 1, **changes
) -> tuple[list[Path], list[Path]]:
    """A patient of the 2016 challenge, whose headers say nothing of the dose."""
    return tuple(
        write(
            folder / patient / f"{long}_{thickness}mm",
            hu,
            patient,
            f"Abd {thickness}.0 B30f",
            name=f"{patient}_{short}_{thickness}_1.CT.{k:04}.{{:04}}.2015.12.22.IMA",
            **changes,
        )
        for k, (long, short, hu) in enumerate(
            zip(("full", "quarter"), ("FD", "QD"), doses(number), strict=True)
        )
    )
