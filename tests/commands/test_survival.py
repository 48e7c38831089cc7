"""A run that is killed, again and again, ends bit for bit where one that is left alone ends."""

import csv
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter

import numpy as np
import pytest

from tests.conftest import ROOT

RUN = (
    "--run train --deterministic --batch-size 2 --crop 32 --content-loss pixel "
    "--precision float32 --pretrain-steps 30 --gan-steps 20"
)


ENDS = {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}  # exit codes


class Forks:
    """Runs of main.py that cost no import; see forked_runs.py."""

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
        """Returns the process; `last`: killed before that write, counted from its start, or (kind,
        number): see forked_runs.Clock.
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


@pytest.fixture(scope="module")
def forks():
    made = Forks()
    yield made
    made.server.stdin.close()
    made.server.wait(60)


def what_is_left(cwd) -> dict[str, str]:
    """Hashes of what a run leaves and of what its last state says of it; no clock, no salt."""
    newest = sorted(cwd.glob("checkpoint/step-*"))[-1]
    files = [p for kind in ("sr*-*/*.npz", "step-*/st*") for p in cwd.glob(f"checkpoint/{kind}")]
    files += cwd.glob("train/[!.]*.*")
    left = {str(p.relative_to(cwd)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}
    manifest = json.loads((newest / "manifest.json").read_text())
    return left | {k: manifest[k] for k in ("step", "plan", "best", "health", "log")}


def said(cwd) -> str:
    return (cwd / "stderr.txt").read_text()


@pytest.fixture(scope="module")
def alone(forks, small_scans, tmp_path_factory):
    """The run that nothing happens to."""
    return left_alone(forks, tmp_path_factory.mktemp("alone"), f"{RUN} --data {small_scans}")


def left_alone(forks, cwd, command) -> tuple[dict, dict, str, float]:
    """What a run leaves, its writes and steps by kind, its command, its seconds."""
    began = time.monotonic()
    assert forks.run(cwd, command) == 0, said(cwd)
    counts = json.loads(said(cwd).rsplit("counts: ", 1)[1])
    return what_is_left(cwd), counts, command, time.monotonic() - began


def ends_as(alone, forks, cwd, kills, faults=None) -> list[str]:
    """Kill a run at each of `kills` in turn, then let it end: it must leave what `alone` left.

    kills: the number of a write, [kind, number], or (seconds after the start, the signal). Returns
    what each run said last.
    """
    left, _, command, _ = alone
    died = []
    for moment in kills:
        if isinstance(moment, int | list):
            code, number = forks.run(cwd, command, last=moment, faults=faults), signal.SIGKILL
        else:
            seconds, number = moment
            child = forks.start(cwd, command, faults=faults)
            timer = threading.Timer(seconds, os.kill, (child, number))
            timer.start()
            code = forks.wait()
            timer.cancel()
        assert code in (ENDS[number], 0), said(cwd)  # 0: it had come to its end
        died.append((said(cwd).splitlines() or [""])[-1])
        if code == 0:
            break
    assert forks.run(cwd, command, faults=faults) == 0, said(cwd)
    assert what_is_left(cwd) == left, said(cwd)
    assert "Traceback" not in said(cwd)
    return died


def test_a_run_that_is_killed_ends_as_one_that_is_left_alone(alone, forks, tmp_path):
    died = ends_as(alone, forks, tmp_path / "run", [alone[1]["writes"] * 2 // 3])
    assert died[0].startswith("killed before"), died


KINDS = ("store", "step", "checkpoint", "grid")


@pytest.mark.slow
def test_runs_that_are_killed_at_twenty_moments_end_as_one_that_is_left_alone(
    alone, forks, tmp_path
):
    """Four of each kind, one of each in a run: at a random write of the store, a random step, a
    random write of a checkpoint, a random one of a grid; and more at a random time.
    """
    _, counts, _, seconds = alone
    rng, died = random.Random(1), []
    for i in range(5):
        kills = [[kind, rng.randint(1, counts[kind] // 4 + 1)] for kind in KINDS]
        rest = [*kills[1:], (rng.uniform(0.05, 0.6) * seconds, signal.SIGKILL)]
        rng.shuffle(rest)
        died += ends_as(alone, forks, tmp_path / f"run{i}", [kills[0], *rest])
    print(*died, sep="\n")
    hit = Counter(line.rsplit("(", 1)[1] for line in died if line.startswith("killed before"))
    assert all(hit[f"{kind})"] >= 4 for kind in KINDS), hit


@pytest.mark.slow
@pytest.mark.parametrize(
    "more",
    [
        "--generator paper --content-loss vgg22 --vgg-weights random",
        "--noise projection --views 90",
    ],
)
def test_other_forms_that_are_killed_end_as_if_left_alone(forks, small_scans, tmp_path, more):
    """Batch normalisation and random features; noise that is kept in the store."""
    command = f"{RUN} --data {small_scans} {more}"
    alone = left_alone(forks, tmp_path / "alone", command)
    counts, rng = alone[1], random.Random(2)
    kills = [[kind, rng.randint(1, counts[kind] // 3)] for kind in ("store", "step", "checkpoint")]
    kills.append(["step", alone[0]["plan"]["gan_steps"] // 2])
    died = ends_as(alone, forks, tmp_path / "run", kills)
    assert all(line.startswith("killed before") for line in died), died
    assert len(died) == len(kills)


def manifest_of(cwd) -> dict:
    return json.loads(sorted(cwd.glob("checkpoint/step-*/manifest.json"))[-1].read_text())


def rows_of(cwd) -> list[dict]:
    with open(cwd / "train" / "log.csv", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.slow
def test_steps_with_nan_are_not_applied_and_counted_and_the_run_goes_on(forks, alone, tmp_path):
    assert forks.run(tmp_path, alone[2], faults="a_few_nan_batches") == 0, said(tmp_path)
    rows = {int(row["step"]): row for row in rows_of(tmp_path)}
    skipped = {step: row["skipped"] for step, row in rows.items() if row["skipped"] != "0"}
    assert skipped == {8: "1", 10: "2", 34: "1"}
    assert rows[10]["l1"] == ""  # nothing to take a mean of
    assert all(np.isfinite(float(row["validation_psnr_db"] or 0)) for row in rows.values())
    assert manifest_of(tmp_path)["health"]["warnings"] == []


@pytest.mark.slow
def test_ten_steps_with_nan_in_a_row_go_back_once_with_half_the_rate(forks, alone, tmp_path):
    assert forks.run(tmp_path, alone[2], faults="nan_at_the_full_rate") == 0, said(tmp_path)
    told = [line for line in said(tmp_path).splitlines() if line.startswith("warning")]
    assert "step 20: the generator's output on the validation patches is not finite" in told[0]
    assert "batch 23 of seed 0" in told[1]
    assert "back to step 10 with 0.5" in told[1]
    kinds = [w["kind"] for w in manifest_of(tmp_path)["health"]["warnings"]]
    assert kinds == ["not-finite", "went-back"]
    rows, usual = rows_of(tmp_path), alone[0]["log"]["rows"]
    assert [row["step"] for row in rows] == [row["step"] for row in usual]
    for row, other in zip(rows, usual, strict=True):
        factor = 0.5 if int(row["step"]) > 10 else 1.0
        expected = factor * float(other["learning_rate"])
        assert float(row["learning_rate"]) == pytest.approx(expected, rel=1e-5)
    best = manifest_of(tmp_path)["best"]
    assert all(np.isfinite(best[name]["score"]) for name in ("srresnet", "srgan"))


@pytest.mark.slow
def test_a_run_that_diverges_again_stops_with_code_3_and_names_the_batch(forks, alone, tmp_path):
    for _ in range(2):  # started again it comes to the same end
        assert forks.run(tmp_path, alone[2], faults="nan_batches_for_good") == 3, said(tmp_path)
        last = [line for line in said(tmp_path).splitlines() if line.startswith("main.py: ")][-1]
        assert "diverged" in last
        assert "batch 16 of seed 0" in last
    assert "Traceback" not in said(tmp_path)
    assert manifest_of(tmp_path)["step"] == 0  # step 10 was in the row


@pytest.mark.slow
def test_a_dead_discriminator_is_warned_of_once_and_kept(forks, alone, tmp_path):
    assert forks.run(tmp_path, alone[2], faults="dead_discriminator") == 0, said(tmp_path)
    assert said(tmp_path).count("discriminator's output is constant") == 1
    kept = {w["kind"]: w["step"] for w in manifest_of(tmp_path)["health"]["warnings"]}
    assert kept["discriminator-dead"] == 47  # after ten rows of the GAN
    warned = [int(r["step"]) for r in rows_of(tmp_path) if "discriminator-dead" in r["warnings"]]
    assert warned == [47, 49, 50]


@pytest.mark.slow
def test_a_constant_generator_is_warned_of_with_its_figures(forks, alone, tmp_path):
    assert forks.run(tmp_path, alone[2], faults="constant_generator") == 0, said(tmp_path)
    told = [line for line in said(tmp_path).splitlines() if line.startswith("warning")]
    assert "step 10: the generator's output is almost constant" in told[0]
    assert "0.000 of the normal dose's" in told[0]
    assert "below its own input" in told[1]
    assert "dB, bicubic 2" in told[1]
    kinds = [w["kind"] for w in manifest_of(tmp_path)["health"]["warnings"]]
    assert kinds == ["constant-output", "below-input"]


@pytest.mark.slow
def test_pictures_and_a_log_that_cannot_be_written_are_said_once(forks, alone, tmp_path):
    command = alone[2]
    assert forks.run(tmp_path, command, faults="unwritable_pictures_and_log") == 0, said(tmp_path)
    assert said(tmp_path).count("the training goes on") == 2  # grids, and the log
    assert manifest_of(tmp_path)["log"] == alone[0]["log"]


@pytest.mark.slow
def test_signals_at_any_moment_save_and_the_run_ends_as_one_that_is_left_alone(
    alone, forks, tmp_path
):
    rng = random.Random(3)
    moments = [rng.uniform(0.05, 0.9) * alone[3] for _ in range(6)]
    kills = list(zip(moments, 3 * [signal.SIGTERM, signal.SIGINT], strict=True))
    for line in ends_as(alone, forks, tmp_path / "run", kills):
        assert "same command continues" in line or line.startswith(("main.py: stopped", "counts"))


@pytest.mark.slow
def test_counts_of_the_guards_survive_a_kill(alone, forks, tmp_path):
    """Killed after steps that were not applied, and after the run had gone back."""
    command, writes, faults = alone[2], alone[1]["writes"], "nan_at_the_full_rate"
    assert forks.run(tmp_path / "one", command, faults=faults) == 0
    left = what_is_left(tmp_path / "one"), alone[1], command, alone[3]
    ends_as(left, forks, tmp_path / "other", [writes // 2, writes // 2], faults)


@pytest.mark.slow
@pytest.mark.parametrize("step", [13, 42])
def test_a_term_signal_finishes_the_step_saves_and_ends(alone, forks, tmp_path, step):
    """In pre-training, and in the GAN stage. Bar: within the step and five seconds, which -s shows;
    what is asserted is that no further step is made, and that it does not hang.
    """
    assert forks.run(tmp_path, alone[2], faults=f"term_in:{step}") == 143, said(tmp_path)
    (when,) = [line for line in said(tmp_path).splitlines() if line.startswith("signal at ")]
    seconds = time.monotonic() - float(when.split()[-1])
    print(f"gone {seconds:.2f} s after the signal")
    assert seconds < 60
    assert f"stopped at step {step} of 50, saved" in said(tmp_path)
    assert manifest_of(tmp_path)["step"] == step


@pytest.mark.slow
@pytest.mark.parametrize("stops", [(12,), (2, 4, 6, 8, 11, 13, 16)])
def test_signals_before_a_run_goes_back_change_nothing(alone, forks, tmp_path, stops):
    """It goes back to an event's state, not to those that the signals left at steps of theirs."""
    command, faults = alone[2], "nan_at_the_full_rate"
    assert forks.run(tmp_path / "one", command, faults=faults) == 0
    cwd = tmp_path / "other"
    for step in stops:
        assert forks.run(cwd, command, faults=f"{faults},term_in:{step}") == 143, said(cwd)
    assert (cwd / "checkpoint" / f"step-{stops[0]:07}").exists() == (len(stops) == 1)
    assert forks.run(cwd, command, faults=faults) == 0, said(cwd)
    assert "back to step 10" in said(cwd)
    assert what_is_left(cwd) == what_is_left(tmp_path / "one")


def told_within(cwd, text, seconds=300) -> None:
    """Wait for a line on stderr."""
    for _ in range(10 * seconds):
        if (cwd / "stderr.txt").exists() and text in said(cwd):
            return
        time.sleep(0.1)
    raise AssertionError(said(cwd))


def test_a_signal_while_the_plan_is_made_is_not_lost(forks, alone, tmp_path):
    steps = "--pretrain-steps 30 --gan-steps 20"
    assert steps in alone[2]
    child = forks.start(tmp_path, alone[2].replace(steps, "--train-minutes 1"), faults="slow_plan")
    told_within(tmp_path, "now it is slow")
    os.kill(child, signal.SIGTERM)
    assert forks.wait() == 143, said(tmp_path)
    assert said(tmp_path).splitlines()[-1] == "main.py: stopped; what was saved before is whole"


@pytest.mark.slow
@pytest.mark.parametrize("faults", ["slow_store", "slow_compile", "slow_steps"])
def test_a_signal_where_nothing_is_to_be_saved_or_a_second_one_stops_at_once(
    forks, alone, tmp_path, faults
):
    """Each takes ten minutes longer, and is not waited for; what was saved before can be used."""
    child = forks.start(tmp_path, alone[2], faults=faults)
    told_within(tmp_path, "now it is slow")
    os.kill(child, signal.SIGINT)
    if faults == "slow_steps":
        told_within(tmp_path, "stopping after this step")
        os.kill(child, signal.SIGTERM)
    began = time.monotonic()
    assert forks.wait() == (143 if faults == "slow_steps" else 130)
    assert time.monotonic() - began < 120
    assert said(tmp_path).splitlines()[-1] == "main.py: stopped; what was saved before is whole"
    if faults == "slow_steps":
        assert forks.run(tmp_path, alone[2]) == 0
        assert what_is_left(tmp_path) == alone[0]
