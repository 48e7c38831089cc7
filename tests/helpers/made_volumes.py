"""Small NIfTI and NRRD volumes made for tests, byte by byte."""

import gzip
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from tests.helpers.made_metaimage import volume

ELEMENT = {"i1": 256, "u1": 2, "i2": 4, "u2": 512, "i4": 8, "u4": 768, "i8": 1024, "u8": 1280}
ELEMENT |= {"f4": 16, "f8": 64}
FIELDS_1 = {
    "dim": (40, "8h"), "datatype": (70, "h"), "bitpix": (72, "h"), "pixdim": (76, "8f"),
    "vox_offset": (108, "f"), "scaling": (112, "2f"), "units": (123, "B"), "codes": (252, "2h"),
    "qform": (256, "6f"), "sform": (280, "12f"), "magic": (344, "4s"),
}  # fmt: skip
FIELDS_2 = {
    "magic": (4, "8s"), "datatype": (12, "h"), "bitpix": (14, "h"), "dim": (16, "8q"),
    "pixdim": (104, "8d"), "vox_offset": (168, "q"), "scaling": (176, "2d"), "codes": (344, "2i"),
    "qform": (352, "6d"), "sform": (400, "12d"), "units": (500, "i"),
}  # fmt: skip
NRRD = {
    "type": "short",
    "dimension": "3",
    "space": "left-posterior-superior",
    "sizes": "6 5 4",
    "space directions": "(0.7,0,0) (0,0.8,0) (0,0,2.5)",
    "kinds": "domain domain domain",
    "endian": "little",
    "encoding": "raw",
    "space origin": "(-10,-20,-30)",
}


def written_by_simpleitk(
    path: Path, hu: np.ndarray, compressed: bool = False, tags: dict[str, str] | None = None
) -> Iterator[Path]:
    """The path, each time after SimpleITK wrote the volume there in another direction."""
    image = sitk.GetImageFromArray(hu)
    image.SetSpacing((0.7, 0.7, 1.25))
    image.SetOrigin((-100, 50, 1000))
    for name, value in (tags or {}).items():
        image.SetMetaData(name, value)
    angle = np.radians(12)
    turn = np.array(
        [[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]]
    )
    mirrored = np.diag((-1, -1, 1)), np.diag((1, -1, -1))
    for directions in (np.eye(3), *mirrored, turn, turn[[1, 0, 2]]):
        image.SetDirection(directions.ravel().tolist())
        sitk.WriteImage(image, str(path), compressed)
        yield path


def nifti_header(dtype: str = "<i2", version: int = 1, **changes) -> bytes:
    """A header of a volume of (4, 5, 6) voxels; `changes` are fields by their names above."""
    order, name = (dtype[0], dtype[1:]) if dtype[0] in "<>" else ("<", dtype)
    size, fields = (348, FIELDS_1) if version == 1 else (540, FIELDS_2)
    values = {
        "dim": (3, 6, 5, 4, 1, 1, 1, 1),
        "datatype": ELEMENT[name],
        "bitpix": 8 * int(name[1]),
        "pixdim": (1, 0.7, 0.8, 2.5, 0, 0, 0, 0),
        "vox_offset": size + 4,
        "scaling": (1, 0),
        "units": 2,
        "codes": (1, 0),
        "qform": (0, 0, 1, 10, 20, -30),  # half a turn: rows and columns as in LPS
        "sform": np.zeros(12),
        "magic": b"n+1\0" if version == 1 else b"n+2\0\r\n\x1a\n",
    } | changes
    header = bytearray(size)
    struct.pack_into(order + "i", header, 0, size)
    for key, (at, form) in fields.items():
        struct.pack_into(order + form, header, at, *np.atleast_1d(values[key]).tolist())
    return bytes(header) + bytes(4)


def write_nifti(path: Path, values: np.ndarray | bytes | None = None, **changes) -> Path:
    """Write a NIfTI file; compressed if its name ends in .gz."""
    values = volume() if values is None else values
    if isinstance(values, np.ndarray):
        if "dim" not in changes and values.ndim == 3:
            changes["dim"] = (3, *values.shape[::-1], 1, 1, 1, 1)
        changes.setdefault("dtype", values.dtype.str.replace("|", "<"))
        values = values.tobytes()
    data = nifti_header(**changes) + values
    path.write_bytes(gzip.compress(data, 1) if path.suffix == ".gz" else data)
    return path


def nrrd_header(magic: str = "NRRD0004", **changes) -> bytes:
    """A header; names with "_" for a blank, None takes a field away."""
    fields = NRRD | {name.replace("_", " "): value for name, value in changes.items()}
    lines = "".join(f"{name}: {value}\n" for name, value in fields.items() if value is not None)
    return f"{magic}\n# a comment\n{lines}a note:=x: y\n\n".encode()


def write_nrrd(path: Path, data: bytes | None = None, **changes) -> Path:
    """Write an NRRD file: header, then data as they are."""
    path.write_bytes(nrrd_header(**changes) + (volume().tobytes() if data is None else data))
    return path
