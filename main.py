"""SRGAN for low-dose chest CT. `python main.py --help` lists the commands."""

import os
import signal
import sys

if __name__ == "__main__":
    if sys.version_info < (3, 11):  # noqa: UP036, it could not read the rest
        found = ".".join(map(str, sys.version_info[:2]))
        sys.stderr.write("main.py: Python 3.11 or newer is needed, this is " + found + "\n")
        sys.exit(2)
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback of an import that Ctrl-C ends
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # also with PYTHONSAFEPATH

from srgan.cli import main

if __name__ == "__main__":
    sys.exit(main())
