"""Is a training healthy? When it goes back to an earlier state, stops, or warns."""

import math
from dataclasses import dataclass, field

IN_ROW = 10  # steps that could not be applied, before the run goes back to the last good state
SMALLER = 0.5  # factor of the learning rate after that
ROWS = 10  # rows of log.csv for which a discriminator may be useless; at least a tenth of a stage
SURE_LOSS = 0.01  # of the discriminator; chance is 1.39
DEAD_SD = 1e-3  # of the discriminator's logits over a batch, real and generated together
BELOW_DB = 0.05  # how far below bicubic a GAN may be: one that does nothing is about there
CONSTANT = 0.1  # SD of the output within a patch, as a ratio to the normal dose's


@dataclass(frozen=True)
class Warned:
    """A warning that was given: the step, its kind as in log.csv, and the text."""

    step: int
    kind: str
    text: str


@dataclass
class Health:
    """Counts and warnings of one run; a checkpoint holds them."""

    in_row: int = 0  # steps in a row, up to this one, that were not applied
    went_back: int = 0  # to the last good state: 0 or 1 times
    sure_rows: int = 0  # rows of log.csv in a row in which the discriminator makes no mistake
    dead_rows: int = 0  # rows of log.csv in a row in which its output is constant
    warnings: list[Warned] = field(default_factory=list)  # one of each kind

    @property
    def rate(self) -> float:
        """Factor of the learning rates."""
        return SMALLER**self.went_back

    def count_step(self, applied: int) -> None:
        """Count a step; applied: 1, or 0 where its loss or gradient was NaN or infinite."""
        self.in_row = 0 if applied else self.in_row + 1

    def is_good(self, metrics: dict[str, float]) -> bool:
        """Is a state with these validation metrics one to go back to?"""
        return not self.in_row and are_finite(metrics)

    def warn(self, step: int, kind: str, text: str) -> str | None:
        """Keep a warning and return its line, or None if there was one of this kind before."""
        if any(earlier.kind == kind for earlier in self.warnings):
            return None
        self.warnings.append(Warned(step, kind, text))
        return f"step {step}: {text}"

    def after_row(self, losses: dict[str, float]) -> dict[str, str]:
        """Warnings (kind to text) after a row of log.csv with these mean losses."""
        loss, logit_sd = losses.get("discriminator"), losses.get("logit_sd")
        if loss is None:
            return {}
        self.sure_rows = self.sure_rows + 1 if loss < SURE_LOSS else 0
        self.dead_rows = self.dead_rows + 1 if logit_sd < DEAD_SD else 0
        found = {}
        if self.sure_rows >= ROWS:
            found["discriminator-sure"] = (
                f"the discriminator tells real from generated without a mistake (loss {loss:.2g}, "
                f"chance 1.39; below {SURE_LOSS} for {ROWS} rows of log.csv): the generator learns "
                f"little from it"
            )
        if self.dead_rows >= ROWS:
            found["discriminator-dead"] = (
                f"the discriminator's output is constant (SD {logit_sd:.2g} over a batch, below "
                f"{DEAD_SD} for {ROWS} rows of log.csv): the generator learns nothing from it"
            )
        return found


def are_finite(metrics: dict[str, float]) -> bool:
    return all(map(math.isfinite, metrics.values()))


def after_validation(
    stage: str, metrics: dict[str, float], bicubic_db: float, ends_pretraining: bool = False
) -> dict[str, str]:
    """Warnings (kind to text) after a validation; bicubic_db: PSNR of the bicubic enlargement."""
    if not are_finite(metrics):
        return {"not-finite": "the generator's output on the validation patches is not finite"}
    found = {}
    if metrics["validation_sd"] < CONSTANT:
        found["constant-output"] = (
            f"the generator's output is almost constant: its SD within a patch is "
            f"{metrics['validation_sd']:.3f} of the normal dose's"
        )
    psnr_db = metrics["validation_psnr_db"]
    is_below = not psnr_db >= bicubic_db - BELOW_DB
    if ends_pretraining and is_below:
        found["srresnet-below-input"] = (
            f"the SRResNet is below its own input at the end of pre-training: {psnr_db:.2f} dB on "
            f"the validation patches, the input has {bicubic_db:.2f} dB; it needs more steps"
        )
    if stage == "gan" and is_below:
        found["below-input"] = (
            f"the GAN is below its own input on the validation patches: {psnr_db:.2f} dB, the "
            f"input has {bicubic_db:.2f} dB"
        )
    return found
