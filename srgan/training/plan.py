"""Minutes to steps, once. What happens at a step is read off the plan, never off the clock."""

import dataclasses
import math
from dataclasses import dataclass

EVENTS = 10  # a stage: validation, grid and checkpoint together
ROWS = 10  # of log.csv between two events


@dataclass(frozen=True)
class Plan:
    """Steps of both stages. Step s is the state after s updates; 0 is the start."""

    pretrain_steps: int
    gan_steps: int
    gan_cost: float = 10.0  # of a GAN step, in pre-training steps; for the time left alone

    @property
    def steps(self) -> int:
        return self.pretrain_steps + self.gan_steps

    def stage(self, step: int) -> str:
        """The stage of the update that leads to `step` (from 1)."""
        return "pretrain" if step <= self.pretrain_steps else "gan"

    def _within(self, step: int) -> tuple[int, int]:
        """(update of its stage from 1, updates of the stage)."""
        if step <= self.pretrain_steps:
            return step, self.pretrain_steps
        return step - self.pretrain_steps, self.gan_steps

    def is_event(self, step: int) -> bool:
        """Validation, grid and checkpoint: ten a stage (fewer in a tiny one), the last included.

        The start is one, too: a state to go back to.
        """
        return step == 0 or _falls(*self._within(step), EVENTS)

    def is_row(self, step: int) -> bool:
        """A row of log.csv; every event is one."""
        return _falls(*self._within(step), EVENTS * ROWS)

    def share(self, step: int) -> float:
        """How much of its stage lies before the update that leads to `step`: 0 up to below 1."""
        done, total = self._within(step)
        return (done - 1) / max(total, 1)

    def work(self, step: int) -> float:
        """How much of all work is done at `step`, 0 to 1."""
        gan = max(step - self.pretrain_steps, 0)
        total = self.pretrain_steps + self.gan_cost * self.gan_steps
        return (step - gan + self.gan_cost * gan) / total

    def as_json(self) -> dict:
        return dataclasses.asdict(self)


def _falls(step: int, total: int, parts: int) -> bool:
    """Does step carry one of `parts` even marks over 1..total?"""
    return step * parts // total != (step - 1) * parts // total


def from_minutes(
    minutes: float,
    gan_share: float,
    pretrain_s: float,
    gan_s: float,
    event_s: float,
    spent_s: float = 0.0,
) -> Plan:
    """The steps that fit. Seconds: of one step of each stage, of one event, already spent."""
    stages = 2 if gan_share else 1
    left = max(60.0 * minutes - spent_s - stages * EVENTS * event_s, 0.0)
    gan_steps = math.ceil(gan_share * left / gan_s) if gan_share else 0
    pretrain_steps = max(1, math.floor((1 - gan_share) * left / pretrain_s))
    return Plan(pretrain_steps, gan_steps, gan_s / pretrain_s)


def cosine(share: float, low: float = 0.01) -> float:
    """A factor that falls from 1 to `low` as share goes from 0 to 1 (Loshchilov & Hutter 2017)."""
    return low + (1 - low) * 0.5 * (1 + math.cos(math.pi * share))
