"""Messages of the program: plain lines on stderr. Results go to stdout, by print.

Each module has its own `logging.getLogger(__name__)`. Whoever imports srgan as a library sees
nothing, unless they set logging up.
"""

import logging
import os
import shutil
import sys
from contextlib import suppress

from srgan.system.errors import visible

NARROWEST = 10  # columns that a terminal is taken to have at least
ERASE = "\x1b[K"  # from the cursor to the end of the row


class _Lines(logging.Handler):
    """One line a message, whatever names are in it; on a terminal, progress is the row below.

    That row is drawn over itself. It is padded up to the last column but one: so it hides what was
    there, and never goes on in the next row. The rest of the row is erased: a window that was made
    narrower may have left a character in it. The newest warning is written again where other
    messages have moved it off the screen.
    """

    def __init__(self):
        super().__init__()
        self.progress = ""
        self.warning, self.rows_since = "", 0

    def emit(self, record: logging.LogRecord) -> None:
        is_warning = record.levelno >= logging.WARNING
        message = ("warning: " if is_warning else "") + visible(record.getMessage())
        below, self.progress = self.progress, ""
        if below:
            self._draw()  # hides it
        self._write(f"{message}\n")
        if is_warning:
            self.warning, self.rows_since = message, 0
        elif below and self.warning:
            self._keep_warning(message)
        self.progress = below
        if below:
            self._draw()

    def _keep_warning(self, message: str) -> None:
        width, height = size()
        needed, written = (-(-len(text) // width) for text in (self.warning, message))
        self.rows_since += written
        if needed + self.rows_since >= height > needed + 1:  # the last row is for progress
            self._write(f"{self.warning}\n")
            self.rows_since = 0

    def show(self, progress: str) -> None:
        """Draw the row of progress; an empty one is hidden."""
        with self.lock:
            self.progress = progress
            self._draw()

    def _draw(self) -> None:
        room = size().columns - 1
        plain = os.name == "nt" or os.environ.get("TERM") == "dumb"  # would show the sequence
        row = f"\r{self.progress[:room]:{room}}" + ("" if plain else ERASE)
        self._write(row if self.progress else f"{row}\r")

    def _write(self, text: str) -> None:
        if sys.stderr is not None:
            with suppress(OSError, ValueError):  # a full disk or a closed stderr ends no training
                sys.stderr.write(text)
                sys.stderr.flush()


_LINES = _Lines()


def set_up() -> None:
    """Show messages and progress on stderr, from here on."""
    logger = logging.getLogger("srgan")
    logger.setLevel(logging.INFO)
    logger.addHandler(_LINES)
    logger.propagate = False  # TensorFlow gives the root logger a handler of its own


def on_terminal() -> bool:
    """Are messages shown on a terminal, which can hold a row of progress?"""
    try:
        return _LINES in logging.getLogger("srgan").handlers and sys.stderr.isatty()
    except (AttributeError, ValueError):  # no stderr, or a closed one
        return False


def size() -> os.terminal_size:
    """Columns and rows that the terminal has now: its window may be resized at any time."""
    try:
        found = os.get_terminal_size(sys.stderr.fileno())
    except (AttributeError, OSError, ValueError):  # not a file of the system
        found = (0, 0)
    assumed = shutil.get_terminal_size()
    return os.terminal_size((max(found[0] or assumed[0], NARROWEST), found[1] or assumed[1]))


def show_progress(row: str) -> None:
    """Draw `row`, cut to the terminal's width, below all messages; with "" there is none."""
    _LINES.show(row)
