"""Small CT slices written as DICOM for tests."""

from pathlib import Path

import numpy as np
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    RLELossless,
    generate_uid,
)

CT = "1.2.840.10008.5.1.4.1.1.2"
COMPRESSED = [RLELossless, JPEG2000Lossless, JPEGLosslessSV1]
SERIES = generate_uid(entropy_srcs=["a series"])


def stored_values(rows: int = 16, columns: int = 24) -> np.ndarray:
    """(rows, columns) int16 that reach from air to bone."""
    return np.linspace(-1000, 1000, rows * columns).round().astype(np.int16).reshape(rows, columns)


def ct_slice(z: float = 0.0, values: np.ndarray | None = None, **changes) -> Dataset:
    """An axial CT slice, signed, slope 1, intercept 0; None in `changes` takes an element away."""
    values = stored_values() if values is None else values
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = CT
    dataset = Dataset()
    dataset.file_meta = meta
    fields = {
        "SOPClassUID": CT,
        "SOPInstanceUID": generate_uid(),
        "SeriesInstanceUID": SERIES,
        "Modality": "CT",
        "PatientID": "P1",
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
        "ImagePositionPatient": [0, 0, z],
        "PixelSpacing": [0.7, 0.8],
        "InstanceNumber": 1,
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": "MONOCHROME2",
        "Rows": values.shape[0],
        "Columns": values.shape[1],
        "BitsAllocated": 16,
        "BitsStored": 16,
        "HighBit": 15,
        "PixelRepresentation": 1,
        "RescaleSlope": "1",
        "RescaleIntercept": "0",
        "PixelData": values.tobytes(),
    }
    for name, value in (fields | changes).items():
        if value is not None:
            setattr(dataset, name, value)
    meta.MediaStorageSOPInstanceUID = dataset.get("SOPInstanceUID", generate_uid())
    dataset["PixelData"].VR = "OW"
    return dataset


def write(path: Path, dataset: Dataset | None = None, **changes) -> Path:
    """Write a slice (by default `ct_slice(**changes)`) and return its path."""
    dataset = ct_slice(**changes) if dataset is None else dataset
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path


def write_series(folder: Path, volume: np.ndarray, **changes) -> Path:
    """A file for each slice, every 2.5 mm; the names are in the other order: 9.dcm, 8.dcm ..."""
    for z, hu in enumerate(volume):
        made = ct_slice(2.5 * z, hu, InstanceNumber=z + 1, **changes)
        write(folder / f"{9 - z}.dcm", made)
    return folder


def cut_short(path: Path) -> None:
    """Compress the picture of a slice that is there, and keep its first 100 bytes alone."""
    dataset = dcmread(path)
    dataset.compress(RLELossless)
    frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
    dataset.PixelData = encapsulate([frame[:100]])
    dataset.save_as(path)


def write_compressed(folder: Path, syntax: str, **changes) -> tuple[Path, bytes, Dataset]:
    """A slice in a compressed transfer syntax: its path, its frame, and the data set."""
    import gdcm

    plain = write(folder / "plain.dcm", **changes)
    if syntax == RLELossless:
        dataset = dcmread(plain)
        dataset.compress(RLELossless)
    else:
        read = gdcm.ImageReader()
        read.SetFileName(str(plain))
        assert read.Read()
        change = gdcm.ImageChangeTransferSyntax()
        name = {JPEG2000Lossless: "JPEG2000Lossless", JPEGLosslessSV1: "JPEGLosslessProcess14_1"}
        change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, name[syntax])))
        change.SetInput(read.GetImage())
        assert change.Change()
        out = gdcm.ImageWriter()
        out.SetFile(read.GetFile())
        out.SetImage(change.GetOutput())
        out.SetFileName(str(folder / "gdcm.dcm"))
        assert out.Write()
        dataset = dcmread(folder / "gdcm.dcm")
    plain.unlink()
    frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
    return write(folder / "packed.dcm", dataset), frame, dataset


def with_frame(frame: bytes, syntax: str = JPEG2000Lossless, n_fragments: int = 1, **changes):
    """A data set whose pixel data are these bytes as one compressed frame."""
    dataset = ct_slice(**changes)
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate([frame], fragments_per_frame=n_fragments, has_bot=False)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    return dataset
