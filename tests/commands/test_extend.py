"""A run that is extended goes on from its state, as a longer plan would have.

The runs are those of main.py with small networks (tests/helpers/forked_runs.py). The rates of two
plans agree at their first step, and everywhere under the fault `constant_rate`.
"""

import shutil

import numpy as np
import pytest

from tests.commands.test_survival import Forks, manifest_of, result_of, rows_of, stderr_of

COMMAND = "--run train --deterministic --crop 32 --content-loss pixel --precision float32"
PLAN = "--batch-size 2 --pretrain-steps"


@pytest.fixture(scope="module")
def forks():
    made = Forks()
    yield made
    made.server.stdin.close()
    made.server.wait(60)


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
    assert extension["changed"]["--rate"] == "1.0 to 0.5"
    assert steps_of(copy) == sorted(set(steps_of(copy)))
    assert steps_of(copy)[-1] == 72
