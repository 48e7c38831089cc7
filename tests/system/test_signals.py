"""A signal ends the program, wherever Python is when it comes."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
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


def test_a_signal_in_a_callback_that_drops_exceptions_ends_the_program_without_a_traceback():
    command = [sys.executable, "-c", LOST]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (143, "")
    assert done.stderr.strip() == "main.py: stopped; what was saved before is whole"
