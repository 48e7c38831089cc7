"""The slices that benchmarks/peers.py judges every method on: those of one run of a PyTorch peer.

The peer, ../shared/peers/quality_torch.py, makes the low dose of each test slice and keeps it
beside its own output. Two patients more are handed to it as DICOM: the disc whose sharpness is
measured, and a synthetic chest for a picture that may be shown. Their names sort behind those of
all others, so the low doses of the real slices are the same with and without them.
"""

import csv
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from srgan.evaluation import disc_phantom
from srgan.hounsfield import HU_MAX, HU_MIN, network_to_hu
from srgan.phantom import chest
from srgan.system.errors import UserError
from srgan.system.files import write_csv
from srgan.system.processes import cpus
from tests.helpers import made_dicom

PEER = Path(__file__).resolve().parents[2] / "shared" / "peers" / "quality_torch.py"
DISC, CHEST = "~disc", "~chest"
CHEST_SEED, CHEST_PATIENT = 0, 1000  # the program's own data end with patient 39


@dataclass(frozen=True)
class Slices:
    """Test slices and phantoms, and what the peer made of them; n slices."""

    patient: np.ndarray  # (n,) ids
    name: np.ndarray  # (n,) of files
    low_hu: np.ndarray  # (n, h, w) float32
    normal_hu: np.ndarray  # (n, 4h, 4w) float32, clipped to [-1024, 3071]
    output_hu: np.ndarray  # (n, 4h, 4w) float32, of the peer

    def of(self, patient: str) -> np.ndarray:
        """The indices of a patient's slices."""
        return np.flatnonzero(self.patient == patient)


def run(
    folder: Path,
    data: Path,
    split: Path,
    python: str,
    peer: Path,
    minutes: float,
    pixel_mm: float,
    asked: list,
) -> None:
    """Train the peer and keep folder/torch.npz and torch.json. Raises UserError where it fails.

    data: a folder with a folder of .dcm files for each patient, named as in the split. pixel_mm: of
    the disc. asked: more arguments of the peer.
    """
    data, split = _with_phantoms(folder, data, split, pixel_mm)
    part = folder / "part.npz"
    command = [python, peer, "--data", data, "--split", split, "--minutes", minutes]
    command += ["--threads", cpus(), "--save", part, "--json", folder / "torch.json", *asked]
    try:
        ended = subprocess.run([str(word) for word in command], check=False).returncode
    except OSError as error:
        raise UserError(f"--torch {python} cannot be run: {error}") from error
    if ended or not part.exists():
        raise UserError(f"{peer} ended with {ended}: see above")
    part.rename(folder / "torch.npz")


def load(folder: Path) -> Slices:
    """What `run` has kept."""
    with np.load(folder / "torch.npz") as kept:
        low_hu = network_to_hu(kept["lr"]).astype(np.float32)
        normal_hu, output_hu = (
            kept[name].astype(np.float32) for name in ("target_hu", "output_hu")
        )
        return Slices(kept["patient"], kept["slice"], low_hu, normal_hu, output_hu)


def _with_phantoms(folder: Path, data: Path, split: Path, pixel_mm: float) -> tuple[Path, Path]:
    """A folder of links to the patients of the split and of the phantoms, and a split of both."""
    with open(split, newline="") as file:
        rows = [(row["patient_id"], row["role"]) for row in csv.DictReader(file)]
    both = folder / "data"
    both.mkdir(exist_ok=True)
    for patient, _ in rows:
        link, place = both / patient, (data / patient).resolve()
        if place.is_dir() and not link.is_symlink():
            link.symlink_to(place)
    for patient, volume in _phantoms(pixel_mm):
        made_dicom.write_series(both / patient, volume, PatientID=patient)
    rows += [(patient, "test") for patient in (DISC, CHEST)]
    write_csv(folder / "split.csv", ("patient_id", "role"), rows)
    return both, folder / "split.csv"


def _phantoms(pixel_mm: float) -> Iterator[tuple[str, np.ndarray]]:
    """Ten equal slices of the disc, and one of the chest: (slices, 512, 512) int16 HU."""
    disc = np.repeat(disc_phantom.disc(pixel_mm)[None], disc_phantom.SLICES, 0)
    hu, _ = chest.chest(seed=CHEST_SEED, patient=CHEST_PATIENT, slices=6)
    for patient, volume in ((DISC, disc), (CHEST, hu[3:4])):
        yield patient, np.rint(np.clip(volume, HU_MIN, HU_MAX)).astype(np.int16)
