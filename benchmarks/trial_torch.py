"""The PyTorch yardstick of experiments: ../shared/peers/quality_torch.py on validation patients."""

import csv
import json
import subprocess
from pathlib import Path

from benchmarks.torch_peer import PEER
from srgan.models import tensorflow_setup
from srgan.system.errors import UserError
from srgan.system.files import write_csv

# Its clock is that of the wall. Here it goes by CPU time, as ours does; it has one thread.
BY_CPU_TIME = (
    "import runpy, sys, time; time.perf_counter = time.process_time; "
    "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
)


def train(python: str, folder: Path, split: Path, output: Path, core_s: float, seed: int) -> dict:
    """What it says of itself, as its --json has it. Raises UserError.

    python: of an environment with PyTorch. output: a folder for its files. It makes its low doses
    itself: the noise is as strong as ours, but other noise.
    """
    roles, scores = output / "torch-split.csv", output / "torch.json"
    _write_roles(split, roles)
    policy = tensorflow_setup.start("auto")
    asked = ["--data", folder, "--split", roles, "--minutes", core_s / 60, "--threads", 1]
    asked += ["--precision", "bfloat16" if "bfloat16" in policy else "float32"]
    asked += ["--seed", seed, "--json", scores]
    command = [str(word) for word in (python, "-c", BY_CPU_TIME, PEER, *asked)]
    try:
        ended = subprocess.run(command, check=False).returncode
    except OSError as error:
        raise UserError(f"--torch {python} cannot be run: {error}") from error
    if ended:
        raise UserError(f"{PEER} ended with {ended}: see above")
    return json.loads(scores.read_text())


def figures(found: dict, method: str) -> dict[str, float]:
    """Its scores by path of our metrics. method: network or bicubic."""
    scores, means = {"psnr_db": "psnr", "ssim": "ssim"}, found["overall"][method]
    return {f"{ours}.{w}": of[theirs] for ours, theirs in scores.items() for w, of in means.items()}


def _write_roles(split: Path, path: Path) -> None:
    """The split with the validation patients as test, and the test patients left out."""
    as_role = {"train": "train", "validation": "test"}
    with open(split, newline="") as file:
        rows = [(row["patient_id"], as_role.get(row["role"])) for row in csv.DictReader(file)]
    write_csv(path, ("patient_id", "role"), [row for row in rows if row[1]])
