"""Memory and start of a training on 100 and on all of LUNA16's 5,335 slices.

python benchmarks/many_slices.py [--slices 100,5335] [--noise image] [--minutes 1] [--folder DIR]

Goals: memory within 10 % of each other and below 3 GB; from the command to the first step 25 s.
Makes MetaImage volumes of equal chests that differ by a few HU, and runs the program on them: it
builds the store, then trains in a process of its own. Memory is the most that was resident (VmHWM)
in one process; "anonymous" and "of files" are the most that was seen of its parts. Only the first
is the program's own: pages of mapped files lie in the system's cache, which gives them back where
memory is short. With --folder scans and stores are kept for the next call. 5,335 slices take 6 GB
of disk, with projection noise 12 GB and half an hour more.
"""

import re
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks import common
from benchmarks.store import SLICES_IN_A_SCAN, write_volumes

MAIN = Path(__file__).parent.parent / "main.py"


def watch(command: list[str], cwd: Path, first_step: Path | None = None) -> dict:
    """Run main.py; returns its output, seconds, and memory in MB, of every process the most.

    first_step: a file that is there when the first step begins.
    """
    began, seen, start_s = time.monotonic(), {}, None
    with subprocess.Popen(
        [sys.executable, str(MAIN), *command],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        while process.poll() is None:
            for pid in (process.pid, *_children(process.pid)):
                for name, mb in _memory_mb(pid).items():
                    seen[name] = max(seen.get(name, 0.0), mb)
            if first_step is not None and start_s is None and first_step.exists():
                start_s = time.monotonic() - began
            time.sleep(0.05)
        output = process.stdout.read()
    if process.returncode:
        sys.exit(output)
    return {"output": output, "s": time.monotonic() - began, "start_s": start_s, **seen}


def _children(pid: int) -> list[int]:
    try:
        return [int(c) for c in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _memory_mb(pid: int) -> dict[str, float]:
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return {}
    found = re.findall(r"^(VmHWM|RssAnon|RssFile):\s*(\d+) kB", text, re.MULTILINE)
    return {name: int(kb) / 1024 for name, kb in found}


def measured(folder: Path, slices: int, noise: str, minutes: float) -> dict:
    """folder: for the scans and the store of so many slices."""
    data = folder / "scans"
    if not data.exists():
        write_volumes(data, -(-slices // SLICES_IN_A_SCAN))
    common_part = f"--run train --data {data} --noise {noise}".split()
    built = watch([*common_part, *["--pretrain-steps", "0", "--gan-steps", "0"]], folder)
    shutil.rmtree(folder / "checkpoint", ignore_errors=True)
    train = [*common_part, "--train-minutes", f"{minutes:g}", "--vgg-weights", "random"]
    trained = watch([*train, "--fresh"], folder, folder / "checkpoint/step-0000000/manifest.json")
    return {
        "slices": int(re.search(r"and (\d+) slices? train", built["output"])[1]),
        "build_s": built["s"],
        "build_mb": built["VmHWM"],
        "start_s": trained["start_s"],
        "memory_mb": trained["VmHWM"],
        "anonymous_mb": trained["RssAnon"],
        "files_mb": trained["RssFile"],
        "waited": re.search(r"waited for data ([\d.]+%)", trained["output"])[1],
    }


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--slices", default="100,5335")
    parser.add_argument("--noise", default="image")
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    place = nullcontext(given.folder) if given.folder else tempfile.TemporaryDirectory()
    with place as root:
        for slices in map(int, given.slices.split(",")):
            folder = Path(root) / str(slices)
            folder.mkdir(parents=True, exist_ok=True)
            found = measured(folder.resolve(), slices, given.noise, given.minutes)
            print(
                f"{slices} slices ({found['slices']} train): store "
                f"{found['build_s']:.0f} s, {found['build_mb']:.0f} MB; first step after "
                f"{found['start_s']:.1f} s; training {found['memory_mb']:.0f} MB (anonymous "
                f"{found['anonymous_mb']:.0f}, of files {found['files_mb']:.0f}), waited for data "
                f"{found['waited']} of the time",
                flush=True,
            )


if __name__ == "__main__":
    main()
