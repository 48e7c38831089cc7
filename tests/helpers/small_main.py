"""main.py with small networks and few events; nothing is imported earlier than it would be.

With UNKNOWN_USER in the environment the user has no passwd entry.
"""

import os
import pwd
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from srgan import cli
from srgan.models import tensorflow_setup

usual = tensorflow_setup.start


def start(*arguments) -> str:
    policy = usual(*arguments)
    from tests.helpers import forked_runs

    forked_runs.make_small()
    return policy


def unknown(number: int):
    raise KeyError(f"getpwuid(): uid not found: {number}")


if __name__ == "__main__":
    if "UNKNOWN_USER" in os.environ:
        pwd.getpwuid = unknown
    tensorflow_setup.start = start
    sys.exit(cli.main())
