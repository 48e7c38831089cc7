"""The train/ folder: pictures and log.csv, which a training can go on without."""

import logging
from collections.abc import Callable
from pathlib import Path

from srgan.system.errors import reason
from srgan.system.png import figure_to_png
from srgan.training.log_csv import Log

log = logging.getLogger(__name__)


class TrainFolder:
    """Writes pictures and log.csv. A file that cannot be written does not end the training.

    Each kind of file that cannot be written is reported once.
    """

    def __init__(self, path: Path, label: str):
        self.path = path
        self.label = label  # under the title of every picture: data, noise, content loss
        self._reported: set[str] = set()

    def write_picture(self, name: str, figure) -> None:
        """figure: of matplotlib."""
        path = self.path / name
        self._write(path, lambda: figure_to_png(figure, path))

    def write_log(self, table: Log) -> None:
        path = self.path / "log.csv"
        self._write(path, lambda: table.write(path))

    def _write(self, path: Path, write: Callable[[], None]) -> None:
        try:
            write()
        except OSError as error:
            if path.suffix not in self._reported:
                log.warning(f"cannot write {path}: {reason(error)}; the training goes on")
            self._reported.add(path.suffix)
