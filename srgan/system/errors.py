"""Errors that a user can cause, and the exit codes of the program."""

import os
import sys

DONE = 0
BAD_INPUT = 2  # the user's input, a read-only folder
DIVERGED = 3  # the training stopped itself
TRY_AGAIN = 75  # no space, a vanished folder, another writer, a lost worker: the input is fine
HUNG_UP = 129  # SIGHUP (the terminal is gone), state saved
INTERRUPTED = 130  # SIGINT, state saved
TERMINATED = 143  # SIGTERM, state saved


def program() -> str:
    """The name that every last line begins with: `srgan` where that was started, else `main.py`."""
    name, _ = os.path.splitext(os.path.basename(sys.argv[0]))
    return "srgan" if name == "srgan" else "main.py"


class UserError(Exception):
    """What is wrong, where, and what to do. Shown as one line, never as a traceback."""

    def __init__(self, message: str, exit_code: int = BAD_INPUT):
        super().__init__(one_line(message))
        self.exit_code = exit_code


class Skip(Exception):
    """A file or slice is not used: a short reason, and a detail."""

    def __init__(self, reason: str, detail: str = ""):
        super().__init__(reason, detail)
        self.reason = one_line(reason)
        self.detail = one_line(detail)


def reason(error: OSError | ValueError) -> str:
    """What the system said, "No space left on device", or the error's own words."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def visible(text: object) -> str:
    """Escape what is not printable: one line, in which a terminal finds no control sequence."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(text))


def one_line(text: object, limit: int = 400) -> str:
    """Text from outside (a header, a file name) as one printable line, cut to the limit."""
    shown = "".join(c if c.isprintable() else " " for c in str(text)[: 4 * limit])
    shown = " ".join(shown.split())
    return shown if len(shown) <= limit else shown[: limit - 3] + "..."


def plural(count: int, word: str, words: str = "") -> str:
    """ "1 slice", "2 slices"; words: where the plural takes more than an s."""
    return f"{count} {word if count == 1 else words or word + 's'}"
