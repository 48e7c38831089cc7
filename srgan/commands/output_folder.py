"""An output folder that is complete or absent, whatever ends the run."""

import contextlib
import logging
import shutil
import signal
from collections.abc import Iterator
from os import getpid
from pathlib import Path

from srgan.system.errors import TERMINATED, UserError
from srgan.system.files import sync, writing

log = logging.getLogger(__name__)


@contextlib.contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A hidden folder beside `folder` that takes its name at the end; on an error nothing is left.

    Raises UserError where `folder` holds something or cannot be made.
    """
    place = folder.resolve()
    part = place.with_name(f".{place.name}.{getpid()}.part")
    with writing(folder):
        if place.is_dir() and any(place.iterdir()):
            raise UserError(f"--output {folder} is not empty: name a new folder")
        if place.exists() and not place.is_dir():
            raise UserError(f"--output {folder} is a file: name a new folder")
        new_parents = [p for p in place.parents if not p.exists()]
    try:
        with writing(folder):
            part.mkdir(parents=True)
        yield part
        with writing(folder):
            if place.exists():
                place.rmdir()  # empty; Windows renames onto nothing that exists
            part.rename(place)
            sync(place.parent)
    except BaseException:
        with _undisturbed():
            shutil.rmtree(part, ignore_errors=True)
            for parent in new_parents:
                with contextlib.suppress(OSError):
                    parent.rmdir()
        raise


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """SIGTERM ends the run as Ctrl-C does: what is half written is taken away.

    SIGINT too where it was ignored before, as shells do for what they start in the background.
    """

    def end(number, frame):
        log.info("stopped by SIGTERM")
        raise SystemExit(TERMINATED)

    wanted = {signal.SIGTERM: end, signal.SIGINT: signal.default_int_handler}
    before = {number: signal.signal(number, handler) for number, handler in wanted.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """A second Ctrl-C must not stop the tidying up."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, signal.SIG_IGN) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
