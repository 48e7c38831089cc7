"""What several rooms' tests need: tiny slices on disk as LUNA16 files, and the program itself."""

import logging
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from srgan.system import log

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")
ROOT = Path(__file__).parent.parent
for number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(number) == signal.SIG_IGN:  # by nohup or a script: not what tests start
        signal.signal(number, lambda *_: None)


log.set_up()  # messages on stderr


def small_chest(seed: int, slices: int = 3, size: int = 96) -> np.ndarray:
    """(slices, size, size) int16 HU: a body, two lungs, vessels, noise."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:size, :size] / size - 0.5
    hu = np.full((slices, size, size), -1000.0)
    hu[:, (rows / 0.38) ** 2 + (columns / 0.45) ** 2 < 1] = 40 + 10 * rng.normal()
    for side in (-0.2, 0.2):
        hu[:, (rows / 0.25) ** 2 + ((columns - side) / 0.14) ** 2 < 1] = -860
    for image in hu:
        for _ in range(20):
            r, c = rng.integers(size // 5, size * 4 // 5, 2)
            image[r : r + 2, c : c + 2] += 500
    return np.rint(hu + rng.normal(0, 12, hu.shape)).astype(np.int16)


def write_scan(folder: Path, uid: str, volume: np.ndarray) -> None:
    import SimpleITK as sitk

    folder.mkdir(parents=True, exist_ok=True)
    image = sitk.GetImageFromArray(volume)
    image.SetSpacing((0.7, 0.7, 2.5))
    sitk.WriteImage(image, str(folder / f"{uid}.mhd"))


@pytest.fixture
def said():
    """The program's messages, as they come."""
    lines, handler = [], logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    logging.getLogger("srgan").addHandler(handler)
    yield lines
    logging.getLogger("srgan").removeHandler(handler)


@pytest.fixture(scope="session")
def small_scans(tmp_path_factory) -> Path:
    """Six patients of three 96x96 slices each, as LUNA16 files."""
    folder = tmp_path_factory.mktemp("scans")
    for i in range(6):
        write_scan(folder / f"subset{i % 2}", f"1.2.3.{i}", small_chest(i))
    return folder


@pytest.fixture(scope="session")
def run_main():
    """Run main.py in a folder: run_main(cwd, "--run train ...") gives the finished process."""

    def run(cwd: Path, arguments: str, timeout: float = 240):
        command = [sys.executable, str(ROOT / "main.py"), *arguments.split()]
        return subprocess.run(
            command, cwd=cwd, capture_output=True, text=True, timeout=timeout, check=False
        )

    return run


@pytest.fixture(scope="session")
def made_shipped_weights(tmp_path_factory):
    from tests.helpers import made_shipped  # TensorFlow

    folder = tmp_path_factory.mktemp("shipped")
    made_shipped.write(folder)
    return folder


@pytest.fixture
def shipped(made_shipped_weights, tmp_path, monkeypatch):
    """The folder of the shipped weights: untrained networks, for one test alone."""
    from srgan.training import shipped_weights

    folder = shutil.copytree(made_shipped_weights, tmp_path / "weights")
    monkeypatch.setattr(shipped_weights, "FOLDER", folder)
    return folder
