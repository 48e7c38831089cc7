"""How long --run test takes over 100 slices of 512 x 512, and how much memory.

python benchmarks/evaluation.py [--slices 100]

It includes everything: the start, all methods (non-local means is tuned too), all metrics, pictures
and the page. The chests are synthetic and the networks have one step; their weights do not change
the time. Goals on two idle cores: 5 minutes and 3 GB. On a busy machine trust the CPU seconds.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks import common
from srgan.phantom import write_scans
from srgan.system.files import write_csv

MAIN = Path(__file__).parent.parent / "main.py"
SLICES_PER_PATIENT = 5
NOT_TESTED = ("train", "train", "validation")


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--slices", type=int, default=100)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, -(-given.slices // SLICES_PER_PATIENT))
        run(folder, "train", "--pretrain-steps", "1", "--gan-steps", "1")
        began = time.perf_counter()
        used = run(folder, "test")
        seconds = time.perf_counter() - began
    memory = used.ru_maxrss / (2**30 if sys.platform == "darwin" else 2**20)
    print(
        f"{seconds:.0f} s, {used.ru_utime + used.ru_stime:.0f} s of CPU on {os.cpu_count()} cores "
        f"(load {os.getloadavg()[0]:.1f}), {memory:.2f} GiB at most"
    )


def prepare(folder: Path, patients: int) -> None:
    """Write scans of `patients` to test and a few to train, and their split."""
    roles = [*NOT_TESTED, *["test"] * patients]
    write_scans.write(folder / "data", 0, len(roles), SLICES_PER_PATIENT)
    rows = ((write_scans.series_uid(0, i), role) for i, role in enumerate(roles))
    write_csv(folder / "split.csv", ("patient_id", "role"), rows)


def run(folder: Path, *arguments: str):
    """Run in a folder, without tables. Returns the resource usage; exits where it fails."""
    command = [sys.executable, str(MAIN), "--data", "data", "--split", "split.csv", "--run"]
    process = subprocess.Popen([*command, *arguments], cwd=folder, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"--run {' '.join(arguments)} ended with {process.returncode}")
    return used


if __name__ == "__main__":
    main()
