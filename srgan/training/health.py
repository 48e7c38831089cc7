"""What a training is watched for, and the rules by which it goes back, stops, or warns."""

import dataclasses
import math
from dataclasses import dataclass, field

IN_ROW = 10  # steps not applied, before the run goes back to the last good checkpoint
SMALLER = 0.5  # the learning rate after that
ROWS = 10  # of log.csv, a tenth of a stage at least: how long a discriminator may be of no use
SURE_LOSS = 0.01  # of the discriminator; 1.39 is chance
DEAD_SD = 1e-3  # of its logits over a batch, real and fake together
BELOW_DB = 0.05  # of bicubic, which a GAN that does nothing may be
CONSTANT = 0.1  # SD of the output within a patch, in that of the normal dose


@dataclass
class Guard:
    """Counts and warnings of one run; a checkpoint holds it."""

    in_row: int = 0  # steps not applied, up to this one
    went_back: int = 0  # to the last good checkpoint: 0 or 1
    sure_rows: int = 0  # rows of log.csv in a row with a discriminator that tells all apart
    dead_rows: int = 0  # and with one whose output is constant
    warnings: list[dict] = field(default_factory=list)  # {"step", "kind", "text"}, each kind once

    def as_json(self) -> dict:
        return dataclasses.asdict(self)

    @property
    def rate(self) -> float:
        """Factor of the learning rates."""
        return SMALLER**self.went_back

    def saw(self, applied: int) -> None:
        self.in_row = 0 if applied else self.in_row + 1

    def is_good(self, figures: dict[str, float]) -> bool:
        """Is a state with this validation one to go back to?"""
        return not self.in_row and are_finite(figures)

    def warn(self, step: int, kind: str, text: str) -> str | None:
        """The line to say, where this kind is new."""
        if kind in {w["kind"] for w in self.warnings}:
            return None
        self.warnings.append({"step": step, "kind": kind, "text": text})
        return f"step {step}: {text}"

    def of_row(self, means: dict[str, float]) -> dict[str, str]:
        """Warnings (kind to text) after a row of log.csv with these mean losses."""
        loss, spread = means.get("discriminator"), means.get("logit_sd")
        if loss is None:
            return {}
        self.sure_rows = self.sure_rows + 1 if loss < SURE_LOSS else 0
        self.dead_rows = self.dead_rows + 1 if spread < DEAD_SD else 0
        found = {}
        if self.sure_rows >= ROWS:
            found["discriminator-sure"] = (
                f"the discriminator tells real from generated without doubt (loss {loss:.2g}, "
                f"chance 1.39; below {SURE_LOSS} for {ROWS} rows of log.csv): the generator learns "
                f"little from it"
            )
        if self.dead_rows >= ROWS:
            found["discriminator-dead"] = (
                f"the discriminator's output is constant (SD {spread:.2g} over a batch, below "
                f"{DEAD_SD} for {ROWS} rows of log.csv): the generator learns nothing from it"
            )
        return found


def are_finite(figures: dict[str, float]) -> bool:
    return all(map(math.isfinite, figures.values()))


def of_event(stage: str, figures: dict[str, float], bicubic_db: float) -> dict[str, str]:
    """Warnings (kind to text) of a validation."""
    if not are_finite(figures):
        return {"not-finite": "the generator's output on the validation patches is not finite"}
    found = {}
    if figures["validation_sd"] < CONSTANT:
        found["constant-output"] = (
            f"the generator's output is almost constant: its SD within a patch is "
            f"{figures['validation_sd']:.3f} of the normal dose's"
        )
    psnr = figures["validation_psnr_db"]
    if stage == "gan" and not psnr >= bicubic_db - BELOW_DB:
        found["below-input"] = (
            f"the GAN is below its own input on the validation patches: {psnr:.2f} dB, bicubic "
            f"{bicubic_db:.2f} dB"
        )
    return found
