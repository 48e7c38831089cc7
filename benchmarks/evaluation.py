"""How long does --run test take over 100 slices of 512 x 512, and how much memory?

python benchmarks/evaluation.py [--slices 100]

Everything included: start, every row (non-local means is tuned too), every figure, pictures and
page. Synthetic chests, and networks of one step: their weights cost no time. Goals on two idle
cores: 5 minutes and 3 GB. On a busy machine the CPU seconds say more.
"""

import argparse
import csv
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from srgan.phantom import write_scans

MAIN = Path(__file__).parent.parent / "main.py"
OF_A_PATIENT = 5  # slices
SEEN = ("train", "train", "validation")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=int, default=100)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        command = prepare(Path(folder), -(-given.slices // OF_A_PATIENT))
        steps = ("--pretrain-steps", "1", "--gan-steps", "1", "--train-dir", f"{folder}/train")
        run([*command, "--run", "train", *steps])
        began = time.perf_counter()
        used = run([*command, "--run", "test", "--report-dir", f"{folder}/report"])
        seconds = time.perf_counter() - began
    memory = used.ru_maxrss / (2**30 if sys.platform == "darwin" else 2**20)
    print(
        f"{seconds:.0f} s, {used.ru_utime + used.ru_stime:.0f} s of CPU on {os.cpu_count()} cores "
        f"(load {os.getloadavg()[0]:.1f}), {memory:.2f} GiB at most"
    )


def prepare(folder: Path, patients: int) -> list[str]:
    """Scans of so many patients to test and a few to train; the program with its settings."""
    roles = [*SEEN, *["test"] * patients]
    write_scans.write(folder / "data", 0, len(roles), OF_A_PATIENT)
    with open(folder / "split.csv", "w", newline="", encoding="utf-8") as file:
        rows = ((write_scans.series_uid(0, i), role) for i, role in enumerate(roles))
        csv.writer(file).writerows([("patient_id", "role"), *rows])
    given = {"data": "data", "split": "split.csv"}
    given |= {f"{name}-dir": name for name in ("store", "checkpoint")}
    paths = [part for name, to in given.items() for part in (f"--{name}", str(folder / to))]
    return [sys.executable, str(MAIN), *paths]


def run(command: list[str]):
    """Its resource usage; the tables that it prints are left out. Ends where it fails."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}")
    return used


if __name__ == "__main__":
    main()
