"""train/log.csv: the losses, the learning rate and the validation metrics of a training."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from srgan.system.files import write_csv

Column = Literal[
    "step", "stage", "learning_rate", "l1", "mse", "content", "adversarial", "discriminator",
    "real_logit", "fake_logit", "logit_sd", "skipped", "validation_psnr_db", "validation_texture",
    "validation_sd", "warnings",
]  # fmt: skip
COLUMNS: tuple[str, ...] = get_args(Column)


@dataclass
class Log:
    """The rows so far, and the losses summed since the last row.

    Each loss in a row is the mean over the steps since the row before. A row has no time in it, so
    equal runs give equal files. A checkpoint holds the whole log: a resumed run writes the same
    file as one that was never stopped.
    """

    rows: list[dict[Column, str]] = field(default_factory=list)
    sums: dict[Column, float] = field(default_factory=dict)  # over the steps that were applied
    applied: int = 0  # steps since the last row
    skipped: int = 0  # steps since the last row that had a NaN or an infinite value

    def add(self, losses: dict) -> None:
        """Losses of a step, with `applied` and `fault` (see trainer.py)."""
        for name, value in losses.items():
            if name not in ("applied", "fault"):
                self.sums[name] = self.sums.get(name, 0.0) + float(value)
        self.applied += int(losses["applied"])
        self.skipped += int(losses["fault"])

    def add_row(self, step: int, stage: str, rate: float, metrics: dict) -> dict[str, float]:
        """Add a row and return its mean losses; these are empty where no step was applied."""
        means = {k: v / self.applied for k, v in self.sums.items()} if self.applied else {}
        values = {"learning_rate": rate, **means, **metrics}
        row = {name: f"{value:.6g}" for name, value in values.items()}
        self.rows.append({"step": str(step), "stage": stage, "skipped": str(self.skipped), **row})
        self.sums, self.applied, self.skipped = {}, 0, 0
        return means

    def add_warnings(self, kinds: Iterable[str]) -> None:
        """Put the kinds of warnings into the last row."""
        self.rows[-1]["warnings"] = " ".join(kinds)

    def write(self, path: Path) -> None:
        """Write the whole file. Raises OSError."""
        rows = [[row.get(column, "") for column in COLUMNS] for row in self.rows]
        write_csv(path, COLUMNS, rows)
