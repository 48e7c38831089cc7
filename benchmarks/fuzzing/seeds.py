"""Good files that benchmarks/fuzz.py mutates: made here, and of ../shared where that is."""

import gzip
import os
import re
import zlib
from pathlib import Path

import numpy as np
import pydicom

from benchmarks.fuzzing.mutations import OUTSIDE
from srgan import settings
from srgan.settings import Settings, degradation_of
from srgan.training import checkpoint_models, sealed
from srgan.training.health import Health, Warned
from srgan.training.log_csv import Log
from srgan.training.manifest import SeenData
from srgan.training.plan import Plan
from tests.helpers import made_dicom, made_metaimage, made_volumes
from tests.helpers.made_manifest import manifest

SHARED = Path(__file__).resolve().parents[3] / "shared"
# A header in the forms that people and other programs write, read all the same.
ODD = str.maketrans({"=": ":", ".": ","})
ODD_LINES = """MET_LONG_LONG
# made by hand
0008|0060 = CT
0010|0020 = P = 1: 2
HeaderSize = -1
ElementSize = 1 1
1
Position = 1
2 # mm
3"""


def headers(place: Path) -> list[Path]:
    """MetaImage headers, each beside its data in a folder of its own, with links and a pipe."""
    volume, made = made_metaimage.volume(), []

    def make(data: bytes, **changes) -> Path:
        folder = place / f"metaimage-{len(made)}"
        folder.mkdir()
        made.append(made_metaimage.write(folder, data, **changes))
        return made[-1]

    make(volume.tobytes())
    make(b"x" * 7 + volume.byteswap().tobytes(), BinaryDataByteOrderMSB="True", HeaderSize="7")
    make(zlib.compress(volume.tobytes()), CompressedData="True")
    make(volume.astype("<f4").tobytes(), ElementType="MET_FLOAT")
    make(volume.astype("<f8").tobytes(), ElementType="MET_DOUBLE", Comment="x" * 300)
    deep = np.linspace(-1000, 1000, 4096 * 256).astype("<f4")
    make(deep.tobytes(), DimSize="16 16 4096", ElementType="MET_FLOAT")
    local = make(b"", CompressedData="True", data_file="LOCAL")
    local.write_bytes(local.read_bytes() + zlib.compress(volume.tobytes()))
    make(gzip.compress(volume.tobytes()), CompressedData="True", CompressedDataSize="0")
    odd = make(b"x" * 7 + volume.astype("<i8").tobytes())
    text = odd.read_text().translate(ODD).replace("MET_SHORT", ODD_LINES)
    odd.write_text(text.replace(" scan,raw", " ./scan.raw"))
    for path in SHARED.glob("hard/mhd-luna-header-without-raw/*.mhd"):
        text = path.read_bytes()
        size = text.split(b"DimSize =")[1].split(b"\n")[0].split()
        real = make(b"")
        real.write_bytes(re.sub(rb"(?<=ElementDataFile = ).*", b"scan.raw", text))
        os.truncate(real.with_suffix(".raw"), 2 * int(np.prod([int(n) for n in size])))
    (place / OUTSIDE).write_bytes(volume.tobytes())
    for path in made:
        (path.parent / "inside.raw").symlink_to(path.with_suffix(".raw"))
        (path.parent / "link.raw").symlink_to(place / OUTSIDE)
        (path.parent / "loop.raw").symlink_to("loop.raw")
        (path.parent / "folder.raw").mkdir()
        os.mkfifo(path.parent / "pipe.raw")
    return made


def heavy(place: Path) -> Path:
    """The header of a volume that is small in the file only: 64 MiB inflated."""
    folder = place / "metaimage-heavy"
    folder.mkdir()
    values = np.zeros((1, 4096, 2048))
    values[:, 0] = -1000
    changes = {"DimSize": "2048 4096 1", "ElementType": "MET_DOUBLE", "CompressedData": "True"}
    return made_metaimage.write(folder, zlib.compress(values.tobytes()), **changes)


def nifti_and_nrrd(place: Path) -> list[tuple[str, bytes]]:
    """Names and bytes of volumes, one with a data file and links, one of 16 MiB."""
    folder, hu = place / "nifti_and_nrrd", made_metaimage.volume()
    folder.mkdir()
    (folder / "scan.raw").write_bytes(hu.tobytes())
    (folder / "link.raw").symlink_to(place / OUTSIDE)
    path = folder / "x.nii"
    made = [made_volumes.write_nifti(path, hu.astype(t)).read_bytes() for t in ("<i2", ">f4", "f8")]
    made.append(made_volumes.write_nifti(path, hu, version=2).read_bytes())
    large = np.zeros((4, 1024, 1024), np.float32)
    named = [("x.nii", data) for data in made]
    named += [("x.nii.gz", gzip.compress(data)) for data in made]
    named.append(("x.nii.gz", made_volumes.write_nifti(folder / "x.nii.gz", large).read_bytes()))
    for encoding, data in (("raw", hu.tobytes()), ("gzip", gzip.compress(hu.tobytes()))):
        named.append(("x.nrrd", made_volumes.nrrd_header(encoding=encoding) + data))
    named += [("x.nhdr", made_volumes.nrrd_header(data_file="./scan.raw"))] * 4
    named += 2 * named[-6:-4]
    for path in folder.glob("x.*"):
        path.unlink()
    return named


def slices(place: Path) -> list[bytes]:
    """DICOM files: small ones in seven encodings, two large ones, and real ones, about as often."""
    path = place / "seed.dcm"
    made = [made_dicom.write(path).read_bytes()]
    for name in ("ImplicitVRLittleEndian", "ExplicitVRBigEndian", "DeflatedExplicitVRLittleEndian"):
        dataset = made_dicom.ct_slice()
        dataset.file_meta.TransferSyntaxUID = getattr(pydicom.uid, name)
        if "Big" in name:
            dataset.PixelData = made_dicom.stored_values().byteswap().tobytes()
        order = {"implicit_vr": "Implicit" in name, "little_endian": "Big" not in name}
        pydicom.dcmwrite(path, dataset, enforce_file_format=True, **order)
        made.append(path.read_bytes())
    large = np.repeat(made_dicom.stored_values(2, 2048), 1024, 0)
    for syntax in (pydicom.uid.JPEG2000Lossless, pydicom.uid.JPEGLosslessSV1):
        made.append(made_dicom.write_compressed(place, syntax, values=large)[0].read_bytes())
    for syntax in made_dicom.COMPRESSED:
        made.append(made_dicom.write_compressed(place, syntax)[0].read_bytes())
    real = [p for p in sorted(SHARED.glob("hard/*/*")) if is_slice(p)]
    real += [min(folder.iterdir()) for folder in sorted(SHARED.glob("ct/*/"))]
    real += 8 * sorted(SHARED.glob("hard/enc-*/*"))
    return made * (1 + len(real) // len(made)) + [p.read_bytes() for p in real]


def is_slice(path: Path) -> bool:
    no = (".raw", ".zraw", ".mhd", ".mha")
    return path.suffix not in no and 0 < path.stat().st_size < 1 << 20


def checkpoint(place: Path) -> Path:
    """A checkpoint folder with a state and a model, of bytes that are no weights."""
    folder = place / "checkpoint"
    folder.mkdir()
    seen = frozenset(checkpoint_models.hashed("00ff", f"patient:{i}") for i in range(5))
    about = manifest(
        settings=settings.record(Settings()),
        degradation=degradation_of(Settings()).as_json(),
        data=SeenData("00ff", seen, 5, {"train": 3}, False),
        plan=Plan(10, 5),
        health=Health(warnings=[Warned(1, "dead", "x")]),
        log=Log([{"step": "1", "l1": "0.1"}], {"l1": 0.2}, 1, 0),
    ).as_dict()
    for name, file in (
        ("step-0000003", "state.index"),
        ("srresnet-0000003", checkpoint_models.WEIGHTS),
    ):
        sealed.write(folder / name, lambda part, file=file: (part / file).write_bytes(b"1"), about)
    return folder
