"""Two workers train together as a user starts them: with TF_CONFIG, small networks, and faults."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest

from tests.conftest import ROOT, small_chest, write_scan
from tests.helpers.forks import manifest_of, result_of
from tests.helpers.two_machines import ADDRESSES, two_machines
from tests.helpers.worker_ports import free_ports, tf_config

RUN = (
    "--run train --deterministic --batch-size 2 --crop 32 --content-loss pixel "
    "--precision float32 --pretrain-steps 60 --gan-steps 150"
)
MAIN = ROOT / "tests" / "helpers" / "small_main.py"
pytestmark = pytest.mark.slow


@pytest.fixture
def start(small_scans):
    """start(folder, options of each worker) starts both, in `0` and `1` of the folder."""
    started = []

    def start(folder, more=("", ""), machines=()):
        hosts = ADDRESSES if machines else ["127.0.0.1"] * 2
        ports = [12345] * 2 if machines else free_ports(2)
        workers = [f"{host}:{port}" for host, port in zip(hosts, ports, strict=True)]
        processes = []
        for index in range(2):
            cwd = folder / str(index)
            cwd.mkdir(parents=True, exist_ok=True)
            place = ["ip", "netns", "exec", machines[index]] if machines else []
            command = [*place, sys.executable, MAIN, *RUN.split()]
            command += f"--data {small_scans} {more[index]}".split()
            processes.append(
                subprocess.Popen(
                    command,
                    cwd=cwd,
                    env=os.environ | {"TF_CONFIG": tf_config(workers, index)},
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
        started.extend(processes)
        return processes

    yield start
    for process in started:
        process.kill()
        process.communicate()


def ends(process):
    """(exit code, lines on stderr)."""
    _, err = process.communicate(timeout=150)
    return process.returncode, err.splitlines()


def trained(processes, folder):
    """The result of the chief, where both have ended well."""
    for process in processes:
        code, lines = ends(process)
        assert code == 0, lines
    assert not list(folder.glob("1/checkpoint/step-*"))  # the chief alone writes
    return result_of(folder / "0")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """undisturbed(start): the result of two workers on loopback that nothing disturbed."""
    made = []

    def undisturbed(start):
        if not made:
            folder = tmp_path_factory.mktemp("undisturbed")
            made.append(trained(start(folder), folder))
        return made[0]

    return undisturbed


def wait_for_step(folder, step):
    until = time.monotonic() + 100
    while not list(folder.glob(f"0/checkpoint/step-*{step}/manifest.json")):
        assert time.monotonic() < until
        time.sleep(0.02)


def lost(process, index):
    """The worker beside number `index` ends in time, with one line that names it, and code 75."""
    began = time.monotonic()
    code, lines = ends(process)
    assert time.monotonic() - began < 30
    assert code == 75
    assert re.search(rf"^main.py: worker {index} \([\d.]+:\d+\) (ended|gave no)", lines[-1])
    assert not [line for line in lines if re.match(r"[EWIF]\d{4} |Traceback", line)]


def test_workers_of_which_one_is_killed_and_one_terminated_resume_to_the_same_end(
    start, undisturbed, tmp_path
):
    chief, other = start(tmp_path)
    wait_for_step(tmp_path, 20)
    chief.kill()
    lost(other, 0)
    chief, other = start(tmp_path)
    wait_for_step(tmp_path, 110)
    other.terminate()
    assert [ends(process)[0] for process in (chief, other)] == [75, 143]
    assert 110 <= manifest_of(tmp_path / "0")["step"] < 210
    assert trained(start(tmp_path), tmp_path) == undisturbed(start)


def test_workers_on_two_machines_of_which_one_freezes_end_as_on_one_machine(
    start, undisturbed, tmp_path
):
    with two_machines() as machines:
        chief, other = start(tmp_path, machines=machines)
        wait_for_step(tmp_path, 20)
        other.send_signal(signal.SIGSTOP)
        lost(chief, 1)
        other.send_signal(signal.SIGCONT)
        code, lines = ends(other)
        assert code == 75
        assert "this process was frozen" in lines[-1]
        result = trained(start(tmp_path, machines=machines), tmp_path)
    assert result == undisturbed(start)


def test_another_seed_and_other_scans_are_one_line_on_each_worker(start, tmp_path):
    write_scan(tmp_path / "other", "1.1", small_chest(1))
    processes = start(tmp_path, more=("", f"--seed 5 --data {tmp_path / 'other'}"))
    for process in processes:
        code, lines = ends(process)
        assert code == 2
        assert "the workers differ: " in lines[-1]
        assert "seed is 0 on worker 0 (127.0.0.1:" in lines[-1]
    assert not list(tmp_path.glob("*/checkpoint/step-*"))
