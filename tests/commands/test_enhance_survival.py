"""Enhance and simulate killed or stopped at any moment: nothing or the whole is in place.

The next run removes what a killed one left. The runs are those of main.py with small networks
(tests/helpers/forked_runs.py).
"""

import json
import os
import signal
import threading
import time

import numpy as np
import pytest
import SimpleITK as sitk

from tests.conftest import small_chest
from tests.helpers.forks import stderr_of
from tests.helpers.whole_scan_runs import content, save_network, write_series

CASES = (("enhance", "series"), ("enhance", "v.nii.gz"), ("simulate", "series"))
KILLS = 10


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a scan as a series and as .nii.gz, and a network."""
    folder, volume = tmp_path_factory.mktemp("survival"), small_chest(0, slices=8)
    write_series(folder / "series", volume)
    image = sitk.GetImageFromArray(volume)
    image.SetSpacing((0.7, 0.7, 2.5))
    sitk.WriteImage(image, str(folder / "v.nii.gz"))
    save_network(folder / "checkpoint", 1)
    return folder


def command(verb: str, source: str, place) -> str:
    own = f"--checkpoint-dir {place}/checkpoint" if verb == "enhance" else "--dose 0.5"
    return f"--run {verb} --input {place}/{source} --output out/made {own}"


def left_in(cwd) -> tuple[list[str], list[str]]:
    """The files of the output, and what else lies beside it."""
    out = cwd / "out"
    beside = [name for name in os.listdir(out) if name != "made"] if out.exists() else []
    made = sorted(os.listdir(out / "made")) if (out / "made").exists() else []
    return made, beside


@pytest.mark.slow
@pytest.mark.parametrize(("verb", "source"), CASES)
def test_a_killed_run_leaves_nothing_or_the_whole_and_the_next_one_cleans_up(
    forks, place, tmp_path, verb, source
):
    """Kill -9 before ten of its writes, evenly spaced, the last one among them."""
    before, given = content(place), command(verb, source, place)
    assert forks.run(tmp_path / "usual", given) == 0, stderr_of(tmp_path / "usual")
    n_writes = json.loads(stderr_of(tmp_path / "usual").rsplit("counts: ", 1)[1])["writes"]
    whole, _ = left_in(tmp_path / "usual")
    cwd, seen = tmp_path / "killed", []
    for last in np.linspace(1, n_writes, KILLS).round().astype(int):
        assert forks.run(cwd, given, last=int(last)) == -signal.SIGKILL
        made, beside = left_in(cwd)
        assert made in ([], whole)
        assert len(beside) <= 1  # those of the runs before are gone
        seen.append(bool(beside))
        for name in beside:  # without a lock, it is left alone for a minute
            os.utime(cwd / "out" / name, (0, 0))
        if made:
            (cwd / "out" / "made").rename(tmp_path / f"made{last}")
    assert any(seen)
    assert forks.run(cwd, given) == 0, stderr_of(cwd)
    assert left_in(cwd) == (whole, [])
    assert content(place) == before


@pytest.mark.slow
@pytest.mark.parametrize(("verb", "source"), CASES)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_stopped_run_leaves_nothing(forks, place, tmp_path, verb, source, number, code):
    child = forks.start(tmp_path / "run", command(verb, source, place))
    seen = threading.Thread(target=_signal_once_begun, args=(tmp_path / "run", child, number))
    seen.start()
    assert forks.wait() == code
    seen.join()
    said = stderr_of(tmp_path / "run")
    assert "Traceback" not in said
    assert said.rstrip().endswith("stopped; what was saved before is whole")
    assert not (tmp_path / "run" / "out").exists()  # it was made by this run


def _signal_once_begun(cwd, child: int, number: int) -> None:
    while not (cwd / "out").exists() or not os.listdir(cwd / "out"):
        time.sleep(0.001)
    os.kill(child, number)
