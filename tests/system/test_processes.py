"""Results come in the order of the tasks, and nothing is left running."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from srgan.system import processes
from srgan.system.errors import TRY_AGAIN, Skip, UserError
from tests.conftest import ROOT


def slow_first(task):
    time.sleep(0.3 if task == 0 else 0)
    return task, os.getpid()


def refuse(task):
    raise Skip("damaged", str(task)) if task else UserError("no space", TRY_AGAIN)


def die(task):
    if task == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return task


def wait(task):
    time.sleep(0 if task == 0 else 60)
    return task


@pytest.fixture
def two_cpus(monkeypatch):
    monkeypatch.setattr(processes, "cpus", lambda: 2)


def test_results_come_in_the_order_of_the_tasks_from_several_processes(two_cpus):
    results = list(processes.in_order(slow_first, range(12)))
    assert [value for value, _ in results] == list(range(12))
    assert len({pid for _, pid in results} - {os.getpid()}) == 2


@pytest.mark.parametrize(("count", "tasks"), [(1, range(3)), (8, [0]), (8, [])])
def test_one_cpu_or_one_task_starts_no_process(monkeypatch, count, tasks):
    monkeypatch.setattr(processes, "cpus", lambda: count)
    results = list(processes.in_order(slow_first, tasks))
    assert results == [(task, os.getpid()) for task in tasks]


def test_an_exception_of_the_function_is_raised_complete(two_cpus):
    with pytest.raises(UserError, match="no space") as error:
        list(processes.in_order(refuse, range(2)))
    assert error.value.exit_code == TRY_AGAIN


def test_a_lost_process_is_reported_with_exit_code_75(two_cpus):
    with pytest.raises(UserError, match="worker process was lost") as error:
        list(processes.in_order(die, range(8)))
    assert error.value.exit_code == TRY_AGAIN


def test_leaving_early_ends_the_processes_at_once(two_cpus):
    before = set(multiprocessing.active_children())
    results = processes.in_order(wait, range(8))
    assert next(results) == 0
    start = time.monotonic()
    results.close()
    assert time.monotonic() - start < 50  # at once; the tasks take 60 s
    assert set(multiprocessing.active_children()) <= before


def test_processes_end_with_their_parent(tmp_path):
    script = (
        "from srgan.system import processes as workers\n"
        "from tests.system import test_processes as t\n"
        "workers.cpus = lambda: 2\n"
        "for pid in workers.in_order(t.wait_after_pid, range(4)): print(pid, flush=True)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    until = time.monotonic() + 50
    while is_alive(pid) and time.monotonic() < until:
        time.sleep(0.05)
    assert not is_alive(pid)


def wait_after_pid(task):
    time.sleep(0 if task == 0 else 60)
    return os.getpid()


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    status = Path(f"/proc/{pid}/status")
    return not (status.exists() and "State:\tZ" in status.read_text())


def test_a_program_from_stdin_works_in_one_process():
    script = (
        "from srgan.system import processes as workers\n"
        "from tests.system import test_processes as t\n"
        "workers.cpus = lambda: 2\n"
        "print([value for value, _ in workers.in_order(t.slow_first, range(3))])\n"
    )
    done = subprocess.run(
        [sys.executable, "-"], input=script, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.stdout, done.stderr) == ("[0, 1, 2]\n", "")


POOL = """
import os, sys, time
from srgan.system import processes, signals

def end_parent(task):
    if task == 0:
        os.kill(os.getppid(), 2)
    time.sleep(60)

if __name__ == "__main__":
    processes.cpus = lambda: 2
    with signals.caught():
        list(processes.in_order(end_parent, range(4)))
"""


def test_a_signal_ends_the_processes_and_only_one_line_says_so(tmp_path):
    (tmp_path / "pool.py").write_text(POOL)
    command = [sys.executable, str(tmp_path / "pool.py")]
    variables = {**os.environ, "PYTHONPATH": str(ROOT)}
    began = time.monotonic()
    done = subprocess.run(command, env=variables, capture_output=True, text=True)
    assert done.returncode == 130
    assert done.stderr.strip() == "main.py: stopped; what was saved before is whole"
    assert time.monotonic() - began < 50
