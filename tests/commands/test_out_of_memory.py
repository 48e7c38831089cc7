"""Out of memory in any stage of a run is one line, and the run goes on with the values it names."""

import re
import sys

import pytest

from tests.helpers.forks import lines_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux"),
]
RUN = "--content-loss pixel --precision float32 --batch-size 4 --crop 32"
TRAIN = f"--run train --data {{}} {RUN} --pretrain-steps 6 --gan-steps 3"


def only_line(cwd) -> str:
    """The line on stderr that says why the run ended; there is no traceback."""
    (line,) = lines_of(cwd, "main.py: ")
    assert not lines_of(cwd, "Traceback")
    return line


@pytest.mark.parametrize(
    ("fault", "stage", "kept"),
    [
        ("short_step:4", "pre-training", "step-0000002"),
        ("short_step:8", "the GAN", "step-0000007"),
        ("aborted_step:8", "the GAN", "step-0000007"),
        ("short_validation:8", "validation", "step-0000007"),
    ],
)
def test_training_names_values_and_goes_on_with_the_smaller_batch(
    forks, small_scans, tmp_path, fault, stage, kept
):
    command = TRAIN.format(small_scans)
    assert forks.run(tmp_path, command, faults=fault) == 2
    line = only_line(tmp_path)
    assert f"out of memory in {stage}: " in line
    assert "take --batch-size 2 or --crop 16 (in a new run: --fresh)" in line
    states = sorted((tmp_path / "checkpoint").glob("step-*"))
    assert states[-1].name == kept
    assert forks.run(tmp_path, command.replace("size 4", "size 2")) == 0
    assert (tmp_path / "checkpoint" / "step-0000009").exists()


def test_training_that_would_not_fit_is_refused_at_once_and_works_with_either_value(
    forks, small_scans, tmp_path
):
    command = TRAIN.format(small_scans).replace("size 4 --crop 32", "size 512 --crop 64")
    assert forks.run(tmp_path, command, faults="address_space:4000") == 2
    line = only_line(tmp_path)
    assert "out of memory in the GAN: --batch-size 512 at --crop 64 takes about" in line
    assert not (tmp_path / "checkpoint").exists() or not list(tmp_path.glob("checkpoint/step-*"))
    batch, crop = re.search(r"--batch-size (\d+) or --crop (\d+) ", line).groups()
    assert int(batch) < 512
    assert int(crop) < 64
    smaller = command.replace("size 512", f"size {batch}").replace("steps 6", "steps 1")
    assert forks.run(tmp_path, smaller, faults="address_space:4000") == 0


def test_store_and_test_end_in_one_line(forks, small_scans, tmp_path):
    command = TRAIN.format(small_scans)
    assert forks.run(tmp_path / "a", command, faults="short_store") == 2
    assert "out of memory in the store: it asked for 7.45 GiB" in only_line(tmp_path / "a")
    assert forks.run(tmp_path / "b", command) == 0
    test = f"--run test --data {small_scans}"
    assert forks.run(tmp_path / "b", test, faults="short_test") == 2
    assert "out of memory in --run test: " in only_line(tmp_path / "b")
