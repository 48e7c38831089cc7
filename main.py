"""SRGAN for low-dose chest CT. `python main.py --help` lists the commands."""

import sys

from srgan.cli import main

if __name__ == "__main__":
    sys.exit(main())
