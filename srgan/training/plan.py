"""The plan of a training: how many steps each stage has, and what happens at which step.

Minutes become steps once, at the start. After that nothing depends on the clock.
"""

import math
from dataclasses import dataclass

EVENTS = 10  # in each stage: validation, grid and checkpoint
ROWS = 10  # rows of log.csv for each event


@dataclass(frozen=True)
class Plan:
    """Steps of both stages. Step s is the state after s updates; 0 is the start."""

    pretrain_steps: int
    gan_steps: int
    gan_cost: float = 10.0  # time of a GAN step in pre-training steps; for the time left only

    @property
    def steps(self) -> int:
        return self.pretrain_steps + self.gan_steps

    def stage(self, step: int) -> str:
        """The stage of the update that leads to `step` (from 1)."""
        return "pretrain" if step <= self.pretrain_steps else "gan"

    def _within(self, step: int) -> tuple[int, int]:
        """Which update of its stage leads to `step` (from 1), and how many the stage has."""
        if step <= self.pretrain_steps:
            return step, self.pretrain_steps
        return step - self.pretrain_steps, self.gan_steps

    def is_event(self, step: int) -> bool:
        """Does `step` have a validation, a grid and a checkpoint?

        Ten steps of each stage do (fewer in a tiny stage), its last step included, and step 0.
        """
        return step == 0 or _is_mark(*self._within(step), EVENTS)

    def is_row(self, step: int) -> bool:
        """Does `step` have a row in log.csv? Every event has."""
        return _is_mark(*self._within(step), EVENTS * ROWS)

    def share(self, step: int) -> float:
        """Share of its stage that is done before the update that leads to `step`: 0 to below 1."""
        done, total = self._within(step)
        return (done - 1) / max(total, 1)

    def work(self, step: int) -> float:
        """Share of the whole work that is done at `step`, 0 to 1."""
        gan = max(step - self.pretrain_steps, 0)
        total = self.pretrain_steps + self.gan_cost * self.gan_steps
        return (step - gan + self.gan_cost * gan) / total


def _is_mark(step: int, total: int, parts: int) -> bool:
    """Is `step` one of `parts` evenly spaced steps of 1..total?"""
    return step * parts // total != (step - 1) * parts // total


def from_minutes(
    minutes: float,
    gan_share: float,
    pretrain_s: float,
    gan_s: float,
    event_s: float,
    spent_s: float = 0.0,
) -> Plan:
    """The plan that fits into these minutes.

    pretrain_s, gan_s, event_s: seconds of one step of each stage and of one event. spent_s: seconds
    of the budget that are gone already.
    """
    stages = 2 if gan_share else 1
    left = max(60.0 * minutes - spent_s - stages * EVENTS * event_s, 0.0)
    gan_steps = math.ceil(gan_share * left / gan_s) if gan_share else 0
    pretrain_steps = max(1, math.floor((1 - gan_share) * left / pretrain_s))
    return Plan(pretrain_steps, gan_steps, gan_s / pretrain_s)


def cosine(share: float, low: float = 0.01) -> float:
    """A factor that falls from 1 to `low` as share goes from 0 to 1 (Loshchilov & Hutter 2017)."""
    return low + (1 - low) * 0.5 * (1 + math.cos(math.pi * share))
