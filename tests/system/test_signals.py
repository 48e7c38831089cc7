"""A signal ends the program, wherever Python is when it comes, or lets it finish its step."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
SEND = "import os, signal, time; from srgan.system import signals\n"
LOST = """
import os, signal, weakref
from srgan.system import signals

class Held:
    pass

def gone(_):
    os.kill(os.getpid(), signal.SIGTERM)
    for _ in range(1000):
        pass

with signals.caught():
    held = Held()
    reference = weakref.ref(held, gone)
    del held  # what its callback raises, Python prints and drops
    print("went on")
"""
STEP = """
with signals.caught() as stop:
    stop.finishes_step = True
    os.kill(os.getpid(), signal.{0})
    print("finished", stop.exit_code)
"""
IGNORED = """
signal.signal(signal.{0}, signal.SIG_IGN)
with signals.caught() as stop:
    with signals.postponed():
        os.kill(os.getpid(), signal.{0})
    os.kill(os.getpid(), signal.{0})
    print("went on", stop.number)
"""
HALF = """
from pathlib import Path
from srgan.system import files, folders
with signals.caught(), folders.new(Path("folder")) as part:
    (part / "file").write_text("half")
    files.write_whole(Path("file"), lambda part: (part.write_text("half"), {0}))
"""
CODES = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129}


def run(code: str, cwd: Path = ROOT) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", SEND + code]
    variables = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=cwd, env=variables, capture_output=True, text=True)


def test_a_signal_in_a_callback_that_drops_exceptions_ends_the_program_without_a_traceback():
    done = run(LOST)
    assert (done.returncode, done.stdout) == (143, "")
    assert done.stderr.strip() == "main.py: stopped; what was saved before is whole"


@pytest.mark.parametrize("name", CODES)
def test_the_first_signal_lets_the_program_finish_its_step(name):
    done = run(STEP.format(name))
    assert done.stdout == f"finished {CODES[name]}\n"
    assert done.stderr.strip() == "stopping after this step; once more to stop at once"


@pytest.mark.parametrize("name", ["SIGINT", "SIGHUP"])
def test_a_signal_that_was_ignored_stays_ignored(name):
    done = run(IGNORED.format(name))
    assert (done.stdout, done.stderr) == ("went on 0\n", "")


@pytest.mark.parametrize("name", CODES)
def test_a_signal_removes_what_is_half_written(name, tmp_path):
    done = run(HALF.format(f"os.kill(os.getpid(), signal.{name})"), tmp_path)
    assert done.returncode == CODES[name], done.stderr
    assert not list(tmp_path.iterdir())


def test_an_exception_removes_what_is_half_written(tmp_path):
    done = run(HALF.format("1 / 0"), tmp_path)
    assert done.stderr.strip().endswith("ZeroDivisionError: division by zero")
    assert not list(tmp_path.iterdir())


def test_a_step_is_finished_after_the_terminal_is_closed(tmp_path):
    """What is written to it then raises no error."""
    pid, terminal = pty.fork()
    if pid == 0:
        code = (
            "with signals.caught() as stop:\n"
            "    stop.finishes_step = True\n"
            "    print('begun', flush=True)\n"
            "    while not stop.number: time.sleep(0.01)\n"
            "    print('finished', flush=True)\n"
            "os._exit(stop.exit_code)"
        )
        os.environ["PYTHONPATH"] = str(ROOT)
        os.execv(sys.executable, [sys.executable, "-c", SEND + code])
    assert os.read(terminal, 100).strip() == b"begun"
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 129


WHILE_SILENT = """
from srgan.models import tensorflow_setup
with signals.caught(), tensorflow_setup._without_chatter():
    print("chatter", file=__import__("sys").stderr, flush=True)
    os.kill(os.getpid(), signal.{0})
"""


@pytest.mark.parametrize("name", CODES)
def test_what_a_signal_says_is_seen_while_tensorflow_is_silenced(name):
    done = run(WHILE_SILENT.format(name))
    assert done.returncode == CODES[name]
    assert "chatter" not in done.stderr
    assert done.stderr.endswith("stopped; what was saved before is whole\n")
