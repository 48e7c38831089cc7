"""train/log.csv: the losses, the learning rate and the validation metrics of a training."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from srgan.system.files import write_csv

Column = Literal[
    "step", "stage", "learning_rate", "l1", "mse", "content", "texture", "adversarial",
    "discriminator", "real_logit", "fake_logit", "logit_sd", "skipped", "overflow",
    "validation_psnr_db", "validation_texture", "validation_sd", "warnings",
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
    sums: dict[Column, float] = field(default_factory=dict)  # over applied and overflow
    applied: int = 0  # steps since the last row
    skipped: int = 0  # steps since the last row that had a NaN or an infinite value
    overflow: int | None = None  # steps since the last row whose gradients float16 could not hold

    def add(self, losses: dict) -> None:
        """Losses of a step, with `applied`, `fault` and in float16 `overflow` (see trainer.py)."""
        for name, value in losses.items():
            if name not in ("applied", "fault", "overflow"):
                self.sums[name] = self.sums.get(name, 0.0) + float(value)
        self.applied += int(losses["applied"])
        self.skipped += int(losses["fault"])
        if "overflow" in losses:
            self.overflow = (self.overflow or 0) + int(losses["overflow"])

    def add_row(self, step: int, stage: str, rate: float, metrics: dict) -> dict[str, float]:
        """Add a row and return its mean losses; these are empty where every step was skipped."""
        steps = self.applied + (self.overflow or 0)
        means = {k: v / steps for k, v in self.sums.items()} if steps else {}
        values = {"learning_rate": rate, **means, **metrics}
        row = {name: f"{value:.6g}" for name, value in values.items()}
        row |= {"step": str(step), "stage": stage, "skipped": str(self.skipped)}
        if self.overflow is not None:
            row["overflow"] = str(self.overflow)
            self.overflow = 0
        self.rows.append(row)
        self.sums, self.applied, self.skipped = {}, 0, 0
        return means

    def add_warnings(self, kinds: Iterable[str]) -> None:
        """Put the kinds of warnings into the last row."""
        self.rows[-1]["warnings"] = " ".join(kinds)

    def write(self, path: Path) -> None:
        """Write the whole file; `overflow` is a column of float16 runs alone. Raises OSError."""
        has_overflow = any("overflow" in row for row in self.rows)
        columns = [name for name in COLUMNS if name != "overflow" or has_overflow]
        write_csv(path, columns, [[row.get(name, "") for name in columns] for row in self.rows])
