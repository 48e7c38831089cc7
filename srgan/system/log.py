"""Messages of the program: plain lines on stderr. Results go to stdout, by print.

Each module has its own `logging.getLogger(__name__)`. Whoever imports srgan as a library sees
nothing, unless they set logging up.
"""

import logging
import sys
import threading
from contextlib import suppress

from tqdm import tqdm

from srgan.system.errors import visible


class _Lines(logging.Handler):
    """One line a message, whatever names are in it; a progress bar on the terminal stays whole."""

    def emit(self, record: logging.LogRecord) -> None:
        prefix = "warning: " if record.levelno >= logging.WARNING else ""
        if sys.stderr is not None:
            with suppress(OSError, ValueError):  # a full disk or a closed stderr ends no training
                tqdm.write(prefix + visible(record.getMessage()), file=sys.stderr)


_LINES = _Lines()


def set_up() -> None:
    """Show messages and progress on stderr, from here on."""
    tqdm.set_lock(threading.RLock())  # the default asks the system for a semaphore
    tqdm.monitor_interval = 0  # no thread
    logger = logging.getLogger("srgan")
    logger.setLevel(logging.INFO)
    logger.addHandler(_LINES)
    logger.propagate = False  # TensorFlow gives the root logger a handler of its own


def on_terminal() -> bool:
    """Are messages shown on a terminal, which can hold a progress bar?"""
    try:
        return _LINES in logging.getLogger("srgan").handlers and sys.stderr.isatty()
    except (AttributeError, ValueError):  # no stderr, or a closed one
        return False
