"""How fast scans are catalogued, and selected slices decoded and stored.

python benchmarks/store.py FOLDER [--copies 40]    (a folder of DICOM slices; copies are links)

Goals on two cores: 300 DICOM headers, 60 DICOM slices, 150 .raw slices a second.
"""

import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
import SimpleITK as sitk

from benchmarks import common
from srgan.dataset import build_store, catalogue
from srgan.dataset.scan_source import DatasetPaths
from srgan.phantom import chest

SLICES_IN_A_SCAN = 6


def link_copies(folder: Path, target: Path, copies: int) -> Path:
    """The folder's files, linked `copies` times."""
    for copy in range(copies):
        for path in sorted(folder.rglob("*.dcm")):
            link = target / str(copy) / path.relative_to(folder)
            link.parent.mkdir(parents=True, exist_ok=True)
            os.symlink(path.resolve(), link)
    return target


def write_volumes(target: Path, scans: int) -> Path:
    """MetaImage volumes of six different 512x512 slices each."""
    target.mkdir()
    base, rng = chest.chest(0, 0, SLICES_IN_A_SCAN)[0], np.random.default_rng(0)
    for scan in range(scans):
        volume = base + rng.integers(0, 5, base.shape, dtype=np.int16)
        sitk.WriteImage(sitk.GetImageFromArray(volume), str(target / f"1.2.{scan}.mhd"))
    return target


def build(data: Path, store: Path) -> int:
    return len(build_store.open_or_build(DatasetPaths(data, store)).records)


def show_rate(what: str, work) -> None:
    """work: returns how many it has done."""
    began = time.perf_counter()
    count = work()
    print(f"{what}: {count / (time.perf_counter() - began):.0f} a second ({count})", flush=True)


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--copies", type=int, default=40)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        linked = link_copies(given.folder, folder / "links", given.copies)
        show_rate("DICOM headers", lambda: catalogue.find(linked).found)
        show_rate("DICOM slices to the store", lambda: build(given.folder, folder / "a"))
        volumes = write_volumes(folder / "raw", 80)
        show_rate(".raw slices to the store", lambda: build(volumes, folder / "b"))


if __name__ == "__main__":
    main()
