"""A run that is extended goes on from its state, as a longer plan would have.

The runs are those of main.py with small networks (tests/helpers/forked_runs.py). The rates of two
plans agree at their first step, and everywhere under the fault `constant_rate`.
"""

import json
import shutil

import numpy as np
import pytest

from tests.helpers.forks import manifest_of, result_of, rows_of, stderr_of

COMMAND = "--run train --deterministic --crop 32 --content-loss pixel --precision float32"
PLAN = "--batch-size 2 --pretrain-steps"


@pytest.fixture(scope="module")
def train(forks, small_scans):
    """train(cwd, more) runs `main.py --run train` with these flags; returns its exit code."""

    def run(cwd, more, **faults):
        (cwd / "stderr.txt").unlink(missing_ok=True)
        return forks.run(cwd, f"{COMMAND} --data {small_scans} {more}", **faults)

    return run


def arrays_of(cwd, step) -> dict:
    """Every variable of a state: networks, averages, optimizers."""
    import tensorflow as tf

    reader = tf.train.load_checkpoint(str(cwd / "checkpoint" / f"step-{step:07}" / "state"))
    names = [n for n in reader.get_variable_to_shape_map() if "OBJECT_GRAPH" not in n]
    return {name: reader.get_tensor(name) for name in names}


def assert_same_state(one, other, step):
    a, b = arrays_of(one, step), arrays_of(other, step)
    assert a.keys() == b.keys()
    assert len(a) > 20
    for name in a:
        assert np.array_equal(a[name], b[name]), name


def steps_of(cwd) -> list[int]:
    return [int(row["step"]) for row in rows_of(cwd)]


@pytest.fixture(scope="module")
def sixty(train, tmp_path_factory):
    """A finished run of 60 steps at a constant rate."""
    cwd = tmp_path_factory.mktemp("sixty")
    assert train(cwd, f"{PLAN} 60 --gan-steps 0", faults="constant_rate") == 0
    return cwd


@pytest.fixture
def copy(sixty, tmp_path):
    return shutil.copytree(sixty, tmp_path / "run")


def test_60_steps_extended_to_120_end_as_120_where_the_rates_agree(train, copy, tmp_path):
    more = f"{PLAN} 120 --gan-steps 0"
    assert train(tmp_path / "whole", more, faults="constant_rate") == 0
    before = rows_of(copy)
    assert train(copy, more, faults="constant_rate") == 0, stderr_of(copy)
    assert "at step 60: 60 to 120 steps (120 of SRResNet, 0 of SRGAN)" in stderr_of(copy)
    assert_same_state(copy, tmp_path / "whole", 120)
    assert rows_of(copy)[: len(before)] == before
    assert steps_of(copy) == sorted(set(steps_of(copy)))
    whole = {row["step"]: row for row in rows_of(tmp_path / "whole")}
    ahead = [row for row in rows_of(copy) if int(row["step"]) > 70]
    assert ahead == [whole[row["step"]] for row in ahead]
    (extension,) = manifest_of(copy)["extended"]
    assert (extension["step"], extension["steps"], extension["pretrain_steps"]) == (60, 60, 120)
    assert extension["changed"] == {"--pretrain-steps": "60 to 120"}


@pytest.mark.slow
def test_a_run_stopped_at_its_first_step_and_extended_is_the_longer_run(train, tmp_path):
    """There the rates of both plans are the same: cosine(0), and the warm-up."""
    long = f"{PLAN} 16 --gan-steps 8"
    assert train(tmp_path / "whole", long) == 0
    cwd = tmp_path / "run"
    assert train(cwd, f"{PLAN} 8 --gan-steps 4", faults="sigterm_at:1") == 143
    assert train(cwd, long) == 0, stderr_of(cwd)
    assert_same_state(cwd, tmp_path / "whole", 24)
    one, other = result_of(cwd), result_of(tmp_path / "whole")
    assert one["best"] == other["best"]
    assert one["log"] == other["log"]


@pytest.mark.slow
def test_a_killed_extension_resumes_exactly_without_its_flags(train, copy, tmp_path):
    more = "--pretrain-steps 66 --gan-steps 6 --batch-size 3 --rate 0.5"
    whole = shutil.copytree(copy, tmp_path / "whole")
    assert train(whole, more) == 0, stderr_of(whole)
    assert train(copy, more, last=["step", 1]) == -9
    for last in (["checkpoint", 9], ["step", 2]):
        assert train(copy, "", last=last) == -9, stderr_of(copy)
    assert train(copy, "") == 0, stderr_of(copy)
    assert result_of(copy) == result_of(whole)
    (extension,) = manifest_of(copy)["extended"]
    assert extension["changed"]["--batch-size"] == "2 to 3"
    assert extension["changed"]["--rate"] == "1 to 0.5"
    assert steps_of(copy) == sorted(set(steps_of(copy)))
    assert steps_of(copy)[-1] == 72


def test_fewer_steps_and_what_may_not_change_are_refused_and_say_why(train, copy):
    for more, said in (
        ("--pretrain-steps 59 --gan-steps 0", "--pretrain-steps 60, not 59: leave the flag out"),
        ("--pretrain-steps 59 --gan-steps 9", "a plan grows: more minutes or steps extend it"),
        ("--train-minutes 6", "planned in steps: more --pretrain-steps and --gan-steps"),
        ("--batch-size 4", "--batch-size 2, not 4: leave the flag out"),
        ("--scale 2", "the weights have one scale; --init starts a new run from its model"),
        ("--rate 2", "it is finished: with more --train-minutes or steps this may change"),
        ("--content-loss vgg22", "a GAN has one loss"),
        ("--crop 64", "the discriminator judges patches of one size; --init"),
        ("--noise-sigma 0.1", "a run learns from one low dose and is validated at it; --init"),
        ("--seed 3", "batches and validation follow from the seed; --init"),
    ):
        assert train(copy, more) == 2, more
        (line,) = stderr_of(copy).splitlines()
        assert said in line
        assert "--fresh" in line
    assert train(copy, f"{PLAN} 60 --gan-steps 0") == 0
    assert "a larger --gan-steps or --pretrain-steps goes on with it" in stderr_of(copy)


@pytest.mark.slow
def test_a_gan_is_added_to_a_run_without_one_and_then_extended(train, copy):
    """Its VGG19 weights are those that the extension names: the run had none before."""
    loss = "--content-loss vgg22 --vgg-weights random"
    assert train(copy, f"{PLAN} 60 --gan-steps 2 {loss}") == 0, stderr_of(copy)
    assert manifest_of(copy)["vgg_weights"] == "random"
    assert train(copy, f"{PLAN} 70 --gan-steps 2 {loss}") == 2
    assert "has 60 steps of pre-training, and its GAN has begun" in stderr_of(copy)
    assert train(copy, f"{PLAN} 70 --gan-steps 4 --gan-share 0.5 {loss}") == 0, stderr_of(copy)
    assert "pre-training is over and keeps its 60 steps" in stderr_of(copy)
    assert manifest_of(copy)["step"] == 64
    assert train(copy, f"{PLAN} 70 --gan-steps 4 {loss}") == 0
    assert "is finished (64 steps)" in stderr_of(copy)
    assert len(manifest_of(copy)["extended"]) == 2
    cards = [p.read_text() for p in copy.glob("checkpoint/srgan-*/README.md")]
    assert any("at step 60: 60 to 62 steps" in card for card in cards)


@pytest.mark.slow
def test_more_minutes_extend_a_run_and_an_equal_or_no_number_does_not(train, tmp_path):
    first = "--gan-share 0 --train-minutes 0.1 --batch-size 2"
    assert train(tmp_path, first) == 0, stderr_of(tmp_path)
    steps = manifest_of(tmp_path)["step"]
    for more in ("", first, "--train-minutes 0.1"):
        assert train(tmp_path, more) == 0
        assert f"is finished ({steps} steps)" in stderr_of(tmp_path)
        assert "--train-minutes above 0.1 goes on with it" in stderr_of(tmp_path)
    assert train(tmp_path, "--train-minutes 0.2") == 0, stderr_of(tmp_path)
    found = manifest_of(tmp_path)
    assert found["step"] > steps
    (extension,) = found["extended"]
    assert extension["changed"] == {"--train-minutes": "0.1 to 0.2"}
    assert steps_of(tmp_path) == sorted(set(steps_of(tmp_path)))
    assert train(tmp_path, first) == 2
    assert "--train-minutes 0.2, not 0.1: leave the flag out" in stderr_of(tmp_path)


@pytest.mark.slow
def test_minutes_extend_a_run_that_was_planned_in_steps(train, copy):
    """They are those of the whole run on this machine; 60 tiny steps take a few seconds of it."""
    stopped = "sigterm_at:63"
    assert train(copy, "--train-minutes 21 --gan-share 0", faults=stopped) == 143, stderr_of(copy)
    found = manifest_of(copy)
    assert found["plan"]["pretrain_steps"] > 1000
    (extension,) = found["extended"]
    assert extension["changed"]["--pretrain-steps"] == "60 to minutes"
    assert extension["changed"]["--train-minutes"] == "20 to 21"
    assert train(copy, "--train-minutes 21", last=["step", 2]) == -9
    assert f"continuing at step 63 of {found['plan']['pretrain_steps']}" in stderr_of(copy)


@pytest.mark.slow
def test_too_few_minutes_say_what_is_needed_before_the_training_and_leave_the_gan_out(
    train, tmp_path
):
    assert train(tmp_path, "--train-minutes 0.02 --batch-size 2") == 0, stderr_of(tmp_path)
    said = stderr_of(tmp_path)
    assert "0.02 minutes are short: pre-training has" in said
    assert "the GAN would get fewer than 50 steps: all of it is for pre-training" in said
    assert "gives each stage 50 or more here" in said
    assert said.index("are short") < said.index("validation")
    found = manifest_of(tmp_path)
    assert found["plan"]["gan_steps"] == 0
    assert next(w["kind"] for w in found["health"]["warnings"]) == "short-budget"


@pytest.mark.slow
def test_a_smaller_batch_goes_on_with_an_unfinished_run(train, tmp_path):
    """As out of memory asks for."""
    more = "--pretrain-steps 6 --gan-steps 4"
    assert train(tmp_path, f"--batch-size 4 {more}", faults="sigterm_at:8") == 143
    assert train(tmp_path, f"--batch-size 2 {more}", last=["step", 2]) == -9
    assert train(tmp_path, f"--batch-size 2 {more}") == 0, stderr_of(tmp_path)
    found = manifest_of(tmp_path)
    assert (found["step"], found["settings"]["batch_size"]) == (10, 2)
    (extension,) = found["extended"]
    assert (extension["step"], extension["changed"]) == (8, {"--batch-size": "4 to 2"})


@pytest.mark.slow
def test_a_run_stopped_before_it_kept_a_model_is_tested_as_unfinished(
    train, forks, small_scans, tmp_path
):
    more = "--batch-size 2 --pretrain-steps 30 --gan-steps 10"
    assert train(tmp_path, more, faults="sigterm_at:2") == 143
    assert not list(tmp_path.glob("checkpoint/sr*"))
    assert forks.run(tmp_path, f"--run test --data {small_scans} --details") == 0
    text = "the training is unfinished, 2 of 40 steps, and kept no model yet"
    assert text in stderr_of(tmp_path)
    page = (tmp_path / "report" / "index.html").read_text()
    assert text in page
    assert "UNFINISHED training: the state of step 2" in page
    summary = json.loads((tmp_path / "report" / "summary.json").read_text())
    assert summary["checkpoint"]["unfinished"] is True
    assert "srresnet" in summary["methods"]
