"""What a few minutes with a GPU should show, in one command that keeps to its limit.

python benchmarks/gpu.py --out FOLDER [--minutes 4]

First the devices; then 200 steps of both stages in float32, bfloat16 and float16, on synthetic
chests; then one scan of six slices through the network; then the speed table of
benchmarks/speed.py until the time is up. FOLDER/gpu.json and FOLDER/speed.json hold what is done so
far at any moment, so that nothing is lost when the machine is taken away. Without a GPU it runs in
small: 6 steps, and a quick table of the fast form.
"""

import csv
import json
import os
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks import common, machine, store, turns

MAIN, SPEED = turns.ROOT / "main.py", Path(__file__).parent / "speed.py"
DEVICES = """
import tensorflow as tf
for device in tf.config.list_physical_devices():
    details = tf.config.experimental.get_device_details(device)
    print(device.device_type, details.get("device_name", ""), details.get("compute_capability", ""))
"""


class Limit:
    """Runs commands until the time is up, and writes down each at once."""

    def __init__(self, out: Path, minutes: float):
        self.out, self.ends = out, time.monotonic() + 60 * minutes
        self.done = {"machine": machine.text(machine.versions(None)), "parts": []}

    def left_s(self) -> float:
        return self.ends - time.monotonic()

    def run(self, name: str, *command, cwd: Path = turns.ROOT) -> str:
        """Output of python COMMAND, whose end is kept with its seconds and its exit code."""
        began, log = time.monotonic(), self.out / f"{name.replace(' ', '-')}.log"
        code = "no time"
        if self.left_s() > 1:
            with log.open("w") as file:
                try:
                    code = subprocess.run(
                        [sys.executable, *map(str, command)],
                        stdout=file,
                        stderr=subprocess.STDOUT,
                        timeout=self.left_s(),
                        cwd=cwd,
                    ).returncode
                except subprocess.TimeoutExpired:
                    code = "stopped: the time was up"
        output = log.read_text() if log.exists() else ""
        part = {"name": name, "code": code, "seconds": round(time.monotonic() - began, 1)}
        self.keep(part | {"end": output.splitlines()[-3:]})
        return output

    def keep(self, part: dict) -> None:
        self.done["parts"].append(part)
        text = json.dumps({"format": 1, **self.done}, indent=1)
        (self.out / "gpu.json").write_text(text + "\n")
        print(f"{part['name']}: {part['code']}, {part['seconds']} s, {self.left_s():.0f} s left")


def train(limit: Limit, precision: str, steps: tuple[int, int]) -> Path:
    """Train on synthetic chests; the last row of log.csv is kept. Returns the checkpoint folder."""
    folder = limit.out / precision
    folder.mkdir()  # without scans: synthetic chests
    stages = ["--pretrain-steps", steps[0], "--gan-steps", steps[1], "--precision", precision]
    what = ["--run", "train", *stages, "--vgg-weights", "random"]
    limit.run(f"train {precision}", MAIN, *what, cwd=folder)
    log = folder / "train" / "log.csv"
    if log.exists() and (rows := list(csv.DictReader(log.open()))):
        limit.done["parts"][-1]["last_row"] = rows[-1]
    return folder / "checkpoint"


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--out", type=Path, required=True, help="an empty folder, or a new one")
    parser.add_argument("--minutes", type=float, default=4)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    limit = Limit(given.out.resolve(), given.minutes)
    devices = limit.run("devices", "-c", DEVICES).splitlines()
    has_gpu = any(line.startswith("GPU ") for line in devices)
    steps = (120, 80) if has_gpu else (4, 2)
    for precision in ("float32", "bfloat16", "float16"):
        checkpoint = train(limit, precision, steps)
    scan = next(store.write_volumes(limit.out / "scans", 1).glob("*.mhd"))
    enhance = ["--run", "enhance", "--input", scan, "--checkpoint-dir", checkpoint]
    limit.run("enhance", MAIN, *enhance, "--input-kind", "native", "--output", limit.out / "new")
    table = ["--only", "pretrain", "gan", "infer", "--json", limit.out / "speed.json"]
    table += ["--threads", os.cpu_count()]
    precisions = ["--precisions", "bfloat16", "float32", "float16"]
    table += precisions if has_gpu else ["--precisions", "float32", "--forms", "fast", "--quick"]
    print(limit.run("table", SPEED, *table))


if __name__ == "__main__":
    main()
