"""How long --run test takes over 100 slices of 512 x 512, and how much memory.

python benchmarks/evaluation.py [--slices 100]

It includes everything: the start, all methods (non-local means is tuned too), all metrics, pictures
and the page. The chests are synthetic and the networks have one step; their weights do not change
the time. Goals on two idle cores: 5 minutes and 3 GB. On a busy machine trust the CPU seconds.
"""

import csv
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks import common
from srgan.phantom import write_scans

MAIN = Path(__file__).parent.parent / "main.py"
SLICES_PER_PATIENT = 5
NOT_TESTED = ("train", "train", "validation")


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--slices", type=int, default=100)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        command = prepare(Path(folder), -(-given.slices // SLICES_PER_PATIENT))
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
    """Write scans of `patients` to test and a few to train. Returns the command without its run."""
    roles = [*NOT_TESTED, *["test"] * patients]
    write_scans.write(folder / "data", 0, len(roles), SLICES_PER_PATIENT)
    with open(folder / "split.csv", "w", newline="", encoding="utf-8") as file:
        rows = ((write_scans.series_uid(0, i), role) for i, role in enumerate(roles))
        csv.writer(file).writerows([("patient_id", "role"), *rows])
    paths = {"data": "data", "split": "split.csv"}
    paths |= {f"{name}-dir": name for name in ("store", "checkpoint")}
    flags = [part for flag, name in paths.items() for part in (f"--{flag}", str(folder / name))]
    return [sys.executable, str(MAIN), *flags]


def run(command: list[str]):
    """Run without showing its tables. Returns its resource usage; exits where it fails."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}")
    return used


if __name__ == "__main__":
    main()
