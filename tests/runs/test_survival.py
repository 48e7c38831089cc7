"""A run that is killed, again and again, ends bit for bit where one that is left alone ends."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

import pytest

from tests.conftest import ROOT

RUN = (
    "--run train --deterministic --batch-size 2 --crop 32 --content-loss pixel "
    "--precision float32 --pretrain-steps 30 --gan-steps 20"
)


class Forks:
    """Runs of main.py that cost no import; see forked.py."""

    def __init__(self):
        environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"}
        self.server = subprocess.Popen(
            [sys.executable, str(ROOT / "tests" / "runs" / "forked.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        assert json.loads(self.server.stdout.readline()) == "ready"

    def start(self, cwd, arguments, last=None, spoil=None) -> int:
        """Returns the process; `last`: killed before that write, counted from its start."""
        cwd.mkdir(exist_ok=True)
        order = {"cwd": str(cwd), "arguments": arguments, "last": last, "spoil": spoil}
        print(json.dumps(order), file=self.server.stdin, flush=True)
        return int(self.server.stdout.readline())

    def wait(self) -> int:
        return int(self.server.stdout.readline())

    def run(self, *arguments, **more) -> int:
        self.start(*arguments, **more)
        return self.wait()


@pytest.fixture(scope="module")
def forks():
    made = Forks()
    yield made
    made.server.stdin.close()
    made.server.wait(60)


def what_is_left(cwd) -> dict[str, str]:
    """Hashes of what a run leaves and of what its last state says of it; no clock, no salt."""
    left = {}
    for path in sorted(cwd.glob("train/[!.]*.*")) + sorted(cwd.glob("checkpoint/*-*/*.*")):
        if path.name != "manifest.json":
            name = str(path.relative_to(cwd))
            left[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    newest = sorted(cwd.glob("checkpoint/step-*/manifest.json"))[-1]
    manifest = json.loads(newest.read_text())
    return left | {k: manifest[k] for k in ("step", "plan", "best", "guard", "log")}


def said(cwd) -> str:
    return (cwd / "stderr.txt").read_text()


@pytest.fixture(scope="module")
def alone(forks, small_scans, tmp_path_factory):
    """The run that nothing happens to: what it leaves, its writes, its command, its seconds."""
    cwd = tmp_path_factory.mktemp("alone")
    command, began = f"{RUN} --data {small_scans}", time.monotonic()
    assert forks.run(cwd, command) == 0, said(cwd)
    writes = int(said(cwd).rsplit("writes: ", 1)[1])
    return what_is_left(cwd), writes, command, time.monotonic() - began


def ends_as(alone, forks, cwd, kills) -> list[str]:
    """Kill a run at each of `kills` in turn, then let it end: it must leave what `alone` left.

    kills: the number of a write (int), or seconds after the start (float). Returns what each run
    said last.
    """
    left, _, command, _ = alone
    died = []
    for moment in kills:
        if isinstance(moment, int):
            code = forks.run(cwd, command, last=moment)
        else:
            child = forks.start(cwd, command)
            timer = threading.Timer(moment, os.kill, (child, signal.SIGKILL))
            timer.start()
            code = forks.wait()
            timer.cancel()
        assert code in (-signal.SIGKILL, 0), said(cwd)  # 0: it had come to its end
        died.append(said(cwd).splitlines()[-1])
    assert forks.run(cwd, command) == 0, said(cwd)
    assert what_is_left(cwd) == left, said(cwd)
    assert "Traceback" not in said(cwd)
    return died


def test_a_run_that_is_killed_twice_ends_as_one_that_is_left_alone(alone, forks, tmp_path):
    kills = [alone[1] * 2 // 5, alone[1] // 4]  # in pre-training, then about the GAN's start
    ends_as(alone, forks, tmp_path / "run", kills)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_a_run_that_is_killed_at_ten_moments_ends_as_one_that_is_left_alone(
    alone, forks, tmp_path, seed
):
    """Half of them at a write (of the store, a grid, the log, a checkpoint), half at a time."""
    _, writes, _, seconds = alone
    rng = random.Random(seed)
    kills = [rng.randint(1, writes // 3) for _ in range(5)]
    kills += [rng.uniform(0.05, 0.6) * seconds for _ in range(5)]
    rng.shuffle(kills)
    for line in ends_as(alone, forks, tmp_path / "run", kills):
        print(line)
