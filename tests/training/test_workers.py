"""The channel between workers: processes on loopback that meet, agree, stop and end together."""

import re
import signal
import socket
import subprocess
import sys
import time

import pytest

from tests.conftest import ROOT
from tests.helpers.two_machines import ADDRESSES, cut_cable, two_machines
from tests.helpers.worker_ports import free_ports

SCRIPT = ROOT / "tests" / "helpers" / "worker_process.py"


@pytest.fixture
def start():
    """start(role, n=2): the processes of n workers; on machines: in these network namespaces."""
    started = []

    def start(role, n=2, indices=None, ports=None, machines=()):
        hosts = ADDRESSES if machines else ["127.0.0.1"] * n
        ports = ports or ([12345] * n if machines else free_ports(n))
        addresses = ",".join(f"{h}:{p}" for h, p in zip(hosts, ports, strict=True))
        for index in indices or range(n):
            place = ["ip", "netns", "exec", machines[index]] if machines else []
            command = [*place, sys.executable, SCRIPT, str(index), addresses, role]
            started.append(
                subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            )
        return started

    yield start
    for process in started:
        process.kill()
        process.communicate()


def ends(process):
    """(exit code, lines on stdout, lines on stderr behind the one that says who it is)."""
    out, err = process.communicate(timeout=40)
    return process.returncode, out.split("\n")[:-1], err.split("\n")[1:-1]


def met(processes):
    for process in processes:
        assert process.stdout.readline() == "met\n"


def test_all_get_what_the_chief_has_and_leave_together(start):
    for process in start("share", 3):
        assert ends(process) == (0, ["met", "20000000"], [])


def test_what_differs_is_said_on_every_worker_with_code_2(start):
    for process in start("differ", 3):
        code, _, (line,) = ends(process)
        assert code == 2
        assert re.search(r"the workers differ: scans is s0 on worker 0 \(127.* s2 on work", line)
        assert re.search(r"seed is 1 on worker 0 \(.*\), worker 2 \(.*\) and 2 on worker 1", line)
        assert "steps" not in line


def test_an_error_of_one_worker_ends_the_others_with_its_line_and_code(start):
    first, second = start("fail")
    code, _, (line,) = ends(first)
    assert code == 75
    assert re.search(r"worker 1 \(127.0.0.1:\d+\) ended: .*No space left on device", line)
    assert ends(second)[0] != 0


@pytest.mark.parametrize("index", [0, 1])
def test_a_signal_on_one_worker_stops_all_after_the_same_step(start, index):
    processes = start("step", 3)
    met(processes)
    time.sleep(0.2)
    processes[index].send_signal(signal.SIGTERM)
    codes, steps = [], set()
    for process in processes:
        code, out, _ = ends(process)
        codes.append(code)
        steps.add(out[-1])
    assert codes == [143 if i == index else 75 for i in range(3)]
    assert len(steps) == 1
    assert re.fullmatch(r"stopped at [1-9]\d*", steps.pop())


@pytest.mark.parametrize("index", [0, 2])
def test_a_worker_that_is_killed_ends_the_others_with_its_name(start, index):
    processes = start("wait", 3)
    met(processes)
    processes[index].kill()
    began = time.monotonic()
    for process in processes[:index] + processes[index + 1 :]:
        code, _, (line,) = ends(process)
        assert code == 75
        assert f": worker {index} (127.0.0.1:" in line
        assert "ended without a word; the same command on every worker continues" in line
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("index", [0, 1])
def test_a_worker_that_freezes_ends_the_other_and_itself_when_it_wakes(start, index):
    processes = start("wait")
    met(processes)
    processes[index].send_signal(signal.SIGSTOP)
    code, _, (line,) = ends(processes[1 - index])
    assert code == 75
    assert f": worker {index} (127.0.0.1:" in line
    assert "gave no sign of life for 2 s" in line
    time.sleep(1)
    processes[index].send_signal(signal.SIGCONT)
    code, _, (line,) = ends(processes[index])
    assert code == 75
    assert "this process was frozen for " in line


def test_workers_on_two_machines_end_when_the_cable_between_them_is_cut(start):
    with two_machines() as machines:
        processes = start("wait", machines=machines)
        met(processes)
        cut_cable(machines)
        for index, process in enumerate(processes):
            code, _, (line,) = ends(process)
            assert code == 75
            assert f": worker {1 - index} ({ADDRESSES[1 - index]}:12345) gave no sign of" in line


def test_strangers_at_the_port_are_left_and_the_workers_meet(start):
    ports = free_ports(2)
    start("share", indices=[0], ports=ports)
    strangers = []
    for rubbish in (
        b"",
        b"GET / HTTP/1.1\r\n\r\n",
        b"h" + b"\xff" * 8,
        _hello(b"[]"),
        _hello(b"[" * 4000),
    ):
        strangers.append(_connected(ports[1] + 1))
        strangers[-1].sendall(rubbish)
    strangers[0].close()
    for process in start("share", indices=[1], ports=ports):
        assert ends(process) == (0, ["met", "20000000"], [])
    for stranger in strangers:
        stranger.close()


def _hello(content):
    return b"h" + len(content).to_bytes(8, "big") + content


def _connected(port):
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=5)
        except OSError:
            time.sleep(0.05)
