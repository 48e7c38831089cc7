"""A run that is killed or stopped ends bit for bit like one that was not.

The runs are those of main.py with small networks (tests/helpers/forked_runs.py).
"""

import json
import os
import random
import signal
import threading
import time
from collections import Counter

import numpy as np
import pytest

from tests.helpers.forks import lines_of, manifest_of, result_of, rows_of, stderr_of

RUN = (
    "--run train --deterministic --batch-size 2 --crop 32 --content-loss pixel "
    "--precision float32 --pretrain-steps 30 --gan-steps 20"
)


EXIT_CODES = {signal.SIGKILL: -9, signal.SIGTERM: 143, signal.SIGINT: 130}


@pytest.fixture(scope="module")
def alone(forks, small_scans, tmp_path_factory):
    """A run that is never killed, as `undisturbed` returns it."""
    return undisturbed(forks, tmp_path_factory.mktemp("alone"), f"{RUN} --data {small_scans}")


def undisturbed(forks, cwd, command) -> tuple[dict, dict, str, float]:
    """The result of a run, its writes and steps by kind, its command, and its seconds."""
    began = time.monotonic()
    assert forks.run(cwd, command) == 0, stderr_of(cwd)
    counts = json.loads(stderr_of(cwd).rsplit("counts: ", 1)[1])
    return result_of(cwd), counts, command, time.monotonic() - began


def ends_as(alone, forks, cwd, moments, faults=None) -> list[str]:
    """End a run at each of these moments in turn, then let it finish: the result must be the same.

    moments: the number of a write or [kind, number], for SIGKILL, or (seconds after the start,
    signal). Returns the last line of each run.
    """
    result, _, command, _ = alone
    lines = []
    for moment in moments:
        if isinstance(moment, int | list):
            code, number = forks.run(cwd, command, last=moment, faults=faults), signal.SIGKILL
        else:
            seconds, number = moment
            child = forks.start(cwd, command, faults=faults)
            timer = threading.Timer(seconds, os.kill, (child, number))
            timer.start()
            code = forks.wait()
            timer.cancel()
        assert code in (EXIT_CODES[number], 0), stderr_of(cwd)  # 0: it had finished
        lines.append((stderr_of(cwd).splitlines() or [""])[-1])
        if code == 0:
            break
    assert forks.run(cwd, command, faults=faults) == 0, stderr_of(cwd)
    assert result_of(cwd) == result, stderr_of(cwd)
    assert "Traceback" not in stderr_of(cwd)
    return lines


def test_killed_run_ends_as_an_undisturbed_one(alone, forks, tmp_path):
    (line,) = ends_as(alone, forks, tmp_path / "run", [alone[1]["writes"] * 2 // 3])
    assert line.startswith("killed before")


KINDS = ("store", "step", "checkpoint", "grid")


@pytest.mark.slow
def test_runs_that_are_ended_at_many_moments_end_as_an_undisturbed_one(alone, forks, tmp_path):
    """Five runs, each ended six times; more, until a signal has come during a step.

    Killed at a random write of the store, a random step, a random write of a checkpoint and a
    random one of a grid (twenty moments), and ended by two signals at random times.
    """
    _, counts, _, seconds = alone
    rng, lines = random.Random(1), []
    signals = [signal.SIGTERM, signal.SIGINT, signal.SIGKILL]
    for i in range(15):
        if i >= 5 and any("the same command continues" in line for line in lines):
            break
        kills = [[kind, rng.randint(1, counts[kind] // 4 + 1)] for kind in KINDS]
        timed = [(rng.uniform(0.05, 0.6) * seconds, rng.choice(signals)) for _ in range(2)]
        rest = kills[1:] + timed
        rng.shuffle(rest)
        lines += ends_as(alone, forks, tmp_path / f"run{i}", [kills[0], *rest])
    print(*lines, sep="\n")
    hit = Counter(line.rsplit("(", 1)[1] for line in lines if line.startswith("killed before"))
    assert all(hit[f"{kind})"] >= 4 for kind in KINDS), hit
    assert any("the same command continues" in line for line in lines), lines


@pytest.mark.slow
@pytest.mark.parametrize(
    "more",
    [
        "--generator paper --content-loss vgg22 --vgg-weights random",
        "--noise projection --views 90",
    ],
)
def test_killed_runs_of_other_kinds_end_as_undisturbed_ones(forks, small_scans, tmp_path, more):
    """With batch normalisation and random VGG19 features; with projection noise in the store."""
    command = f"{RUN} --data {small_scans} {more}"
    alone = undisturbed(forks, tmp_path / "alone", command)
    counts, rng = alone[1], random.Random(2)
    kills = [[kind, rng.randint(1, counts[kind] // 3)] for kind in ("store", "step", "checkpoint")]
    kills.append(["step", alone[0]["plan"]["gan_steps"] // 2])
    died = ends_as(alone, forks, tmp_path / "run", kills)
    assert all(line.startswith("killed before") for line in died), died
    assert len(died) == len(kills)


@pytest.mark.slow
def test_steps_with_nan_are_skipped_and_counted_in_log_csv(forks, alone, tmp_path):
    assert forks.run(tmp_path, alone[2], faults="a_few_nan_batches") == 0
    rows = {int(row["step"]): row for row in rows_of(tmp_path)}
    skipped = {step: row["skipped"] for step, row in rows.items() if row["skipped"] != "0"}
    assert skipped == {8: "1", 10: "2", 34: "1"}
    assert rows[10]["l1"] == ""  # nothing to take a mean of
    assert all(np.isfinite(float(row["validation_psnr_db"] or 0)) for row in rows.values())
    assert manifest_of(tmp_path)["health"]["warnings"] == []


@pytest.mark.slow
def test_ten_steps_with_nan_in_a_row_go_back_once_at_half_the_rate(forks, alone, tmp_path):
    assert forks.run(tmp_path, alone[2], faults="nan_at_the_full_rate") == 0
    warned = lines_of(tmp_path, "warning")
    assert "step 20: the generator's output on the validation patches is not finite" in warned[0]
    assert "batch 23 of seed 0" in warned[1]
    assert "back to step 10 with 0.5" in warned[1]
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
def test_run_that_diverges_again_exits_with_3_and_names_the_batch(forks, alone, tmp_path):
    for _ in range(2):  # started again it comes to the same end
        assert forks.run(tmp_path, alone[2], faults="nan_batches_for_good") == 3
        last = lines_of(tmp_path, "main.py: ")[-1]
        assert "diverged" in last
        assert "batch 16 of seed 0" in last
    assert "Traceback" not in stderr_of(tmp_path)
    assert manifest_of(tmp_path)["step"] == 0  # step 10 was in the row


@pytest.mark.slow
def test_constant_discriminator_is_warned_of_once_and_the_warning_is_saved(forks, alone, tmp_path):
    assert forks.run(tmp_path, alone[2], faults="dead_discriminator") == 0
    assert stderr_of(tmp_path).count("discriminator's output is constant") == 1
    kept = {w["kind"]: w["step"] for w in manifest_of(tmp_path)["health"]["warnings"]}
    assert kept["discriminator-dead"] == 47  # after ten rows of the GAN
    warned = [int(r["step"]) for r in rows_of(tmp_path) if "discriminator-dead" in r["warnings"]]
    assert warned == [47, 49, 50]


@pytest.mark.slow
def test_constant_generator_is_warned_of_with_its_metrics(forks, alone, tmp_path):
    assert forks.run(tmp_path, alone[2], faults="constant_generator") == 0
    warned = lines_of(tmp_path, "warning")
    assert "step 10: the generator's output is almost constant" in warned[0]
    assert "0.000 of the normal dose's" in warned[0]
    assert "below its own input at the end of pre-training" in warned[1]
    assert "the input has 2" in warned[1]
    assert "the GAN is below its own input" in warned[2]
    kinds = [w["kind"] for w in manifest_of(tmp_path)["health"]["warnings"]]
    assert kinds == ["constant-output", "srresnet-below-input", "below-input"]


@pytest.mark.slow
def test_pictures_and_log_that_cannot_be_written_are_reported_once(forks, alone, tmp_path):
    command = alone[2]
    assert forks.run(tmp_path, command, faults="unwritable_pictures_and_log") == 0
    assert stderr_of(tmp_path).count("the training goes on") == 2  # grids, and the log
    assert manifest_of(tmp_path)["log"] == alone[0]["log"]


@pytest.mark.slow
def test_killed_or_stopped_run_that_goes_back_ends_as_an_undisturbed_one(alone, forks, tmp_path):
    """Killed after steps with NaN, and after the run had gone back; stopped before it goes back.

    It goes back to the state of an event, not to a state that a signal left.
    """
    _, counts, command, seconds = alone
    faults, once = "nan_at_the_full_rate", tmp_path / "once"
    assert forks.run(once, command, faults=faults) == 0
    result, half = result_of(once), counts["writes"] // 2
    ends_as((result, counts, command, seconds), forks, tmp_path / "killed", [half, half], faults)
    for stops in ((12,), (2, 4, 6, 8, 11, 13, 16)):
        cwd = tmp_path / f"stopped{len(stops)}"
        for step in stops:
            assert forks.run(cwd, command, faults=f"{faults},sigterm_at:{step}") == 143
        assert (cwd / "checkpoint" / f"step-{stops[0]:07}").exists() == (len(stops) == 1)
        assert forks.run(cwd, command, faults=faults) == 0, stderr_of(cwd)
        assert "back to step 10" in stderr_of(cwd)
        assert result_of(cwd) == result


@pytest.mark.slow
@pytest.mark.parametrize("step", [13, 42])
def test_sigterm_finishes_the_step_saves_and_ends(alone, forks, tmp_path, step):
    """In pre-training and in the GAN stage; no further step is made.

    pytest -s shows the seconds it took: five at most on an idle machine.
    """
    assert forks.run(tmp_path, alone[2], faults=f"sigterm_at:{step}") == 143, stderr_of(tmp_path)
    (when,) = lines_of(tmp_path, "signal at ")
    seconds = time.monotonic() - float(when.split()[-1])
    print(f"gone {seconds:.2f} s after the signal")
    assert seconds < 60
    assert f"stopped at step {step} of 50, saved" in stderr_of(tmp_path)
    assert manifest_of(tmp_path)["step"] == step


def wait_for(cwd, text, seconds=300) -> None:
    """Wait until stderr holds this text."""
    for _ in range(10 * seconds):
        if (cwd / "stderr.txt").exists() and text in stderr_of(cwd):
            return
        time.sleep(0.1)
    raise AssertionError(stderr_of(cwd))


def test_sigterm_while_the_plan_is_made_is_not_lost(forks, alone, tmp_path):
    steps = "--pretrain-steps 30 --gan-steps 20"
    assert steps in alone[2]
    child = forks.start(tmp_path, alone[2].replace(steps, "--train-minutes 1"), faults="slow_plan")
    wait_for(tmp_path, "now it is slow")
    os.kill(child, signal.SIGTERM)
    assert forks.wait() == 143, stderr_of(tmp_path)
    assert stderr_of(tmp_path).endswith("main.py: stopped; what was saved before is whole\n")


@pytest.mark.slow
@pytest.mark.parametrize("faults", ["slow_store", "slow_compile", "slow_steps"])
def test_signal_ends_at_once_where_nothing_must_be_saved_and_so_does_a_second_one(
    forks, alone, tmp_path, faults
):
    """Each would take ten minutes more. What was saved before can be used."""
    child = forks.start(tmp_path, alone[2], faults=faults)
    wait_for(tmp_path, "now it is slow")
    os.kill(child, signal.SIGINT)
    if faults == "slow_steps":
        wait_for(tmp_path, "stopping after this step")
        os.kill(child, signal.SIGTERM)
    began = time.monotonic()
    assert forks.wait() == (143 if faults == "slow_steps" else 130)
    assert time.monotonic() - began < 120
    assert stderr_of(tmp_path).endswith("main.py: stopped; what was saved before is whole\n")
    if faults == "slow_steps":
        assert forks.run(tmp_path, alone[2]) == 0
        assert result_of(tmp_path) == alone[0]
