"""main.py with small networks and few events; nothing is imported earlier than it would be.

With UNKNOWN_USER in the environment the user has no passwd entry.
"""

import os
import pwd
import runpy
import signal
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def unknown(number: int):
    raise KeyError(f"getpwuid(): uid not found: {number}")


def start(*arguments) -> str:
    policy = usual(*arguments)
    from tests.helpers import forked_runs

    forked_runs.make_small()
    return policy


if __name__ == "__main__":
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # as main.py does, at its start
    if "UNKNOWN_USER" in os.environ:
        pwd.getpwuid = unknown
    sys.path.insert(0, str(ROOT))
    from srgan.models import tensorflow_setup

    usual, tensorflow_setup.start = tensorflow_setup.start, start
    runpy.run_path(str(ROOT / "main.py"), run_name="__main__")
