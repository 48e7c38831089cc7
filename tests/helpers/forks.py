"""Runs of main.py with small networks, as forks of one process, and what they leave behind."""

import csv
import hashlib
import json
import os
import subprocess
import sys

from tests.conftest import ROOT


class Forks:
    """Starts runs of main.py as forks of one process that has imported TensorFlow."""

    def __init__(self):
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
        self.server = subprocess.Popen(
            [sys.executable, str(ROOT / "tests" / "helpers" / "forked_runs.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert json.loads(self.server.stdout.readline()) == "ready"

    def start(self, cwd, arguments, last=None, faults=None) -> int:
        """Start a run and return its process id.

        last: it is killed before the write of this number, or [kind, number]: see
        forked_runs.Clock. faults: see forked_runs.run.
        """
        cwd.mkdir(exist_ok=True)
        order = {"cwd": str(cwd), "arguments": arguments, "last": last, "faults": faults}
        print(json.dumps(order), file=self.server.stdin, flush=True)
        return int(self.server.stdout.readline())

    def wait(self) -> int:
        return int(self.server.stdout.readline())

    def run(self, *arguments, **more) -> int:
        self.start(*arguments, **more)
        return self.wait()


def result_of(cwd) -> dict[str, str]:
    """Hashes of the files of a run, and the parts of its last manifest without a random salt."""
    newest = sorted(cwd.glob("checkpoint/step-*"))[-1]
    files = [p for kind in ("sr*-*/*.npz", "step-*/st*") for p in cwd.glob(f"checkpoint/{kind}")]
    files += cwd.glob("train/[!.]*.*")
    left = {str(p.relative_to(cwd)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}
    manifest = json.loads((newest / "manifest.json").read_text())
    return left | {k: manifest[k] for k in ("step", "plan", "best", "health", "log")}


def stderr_of(cwd) -> str:
    return (cwd / "stderr.txt").read_text()


def lines_of(cwd, start: str) -> list[str]:
    """Lines on stderr that begin with this text."""
    return [line for line in stderr_of(cwd).splitlines() if line.startswith(start)]


def manifest_of(cwd) -> dict:
    return json.loads(sorted(cwd.glob("checkpoint/step-*/manifest.json"))[-1].read_text())


def rows_of(cwd) -> list[dict]:
    with open(cwd / "train" / "log.csv", newline="") as file:
        return list(csv.DictReader(file))
