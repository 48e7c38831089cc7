"""How fast are scans catalogued, and chosen slices decoded and stored?

python benchmarks/store.py FOLDER [--copies 40]    (a folder of DICOM slices; copies are links)

Goals on two cores: 300 DICOM headers, 60 DICOM slices, 150 .raw slices a second.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
import SimpleITK as sitk

from srgan.dataset import build_store, catalogue
from srgan.dataset.scan_source import DatasetPaths
from srgan.phantom import chest


def links(folder: Path, target: Path, copies: int) -> Path:
    """The folder's files, linked `copies` times."""
    for copy in range(copies):
        for path in sorted(folder.rglob("*.dcm")):
            link = target / str(copy) / path.relative_to(folder)
            link.parent.mkdir(parents=True, exist_ok=True)
            os.symlink(path.resolve(), link)
    return target


def volumes(target: Path, scans: int) -> Path:
    """MetaImage volumes of six different 512x512 slices each."""
    base = chest.chest(0, 0, 6)[0]
    rng = np.random.default_rng(0)
    for scan in range(scans):
        volume = base + rng.integers(0, 5, base.shape, dtype=np.int16)
        sitk.WriteImage(sitk.GetImageFromArray(volume), str(target / f"1.2.{scan}.mhd"))
    return target


def rate(what: str, count: int, began: float) -> None:
    print(f"{what}: {count / (time.perf_counter() - began):.0f} a second ({count})", flush=True)


def build(data: Path, place: Path) -> int:
    paths = DatasetPaths(data, place)
    return len(build_store.open_or_build(paths).records)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--copies", type=int, default=40)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        linked = links(given.folder, place / "links", given.copies)
        began = time.perf_counter()
        rate("DICOM headers", catalogue.find(linked).found, began)
        began = time.perf_counter()
        rate("DICOM slices to the store", build(given.folder, place / "a"), began)
        (place / "raw").mkdir()
        data = volumes(place / "raw", 80)
        began = time.perf_counter()
        rate(".raw slices to the store", build(data, place / "b"), began)


if __name__ == "__main__":
    main()
