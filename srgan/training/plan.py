"""The plan of a training: how many steps each stage has, and what happens at which step.

Minutes become steps once, at the start. After that nothing depends on the clock. A run that is
extended gets a new plan, which counts from the same start: what was done stays, and learning rates,
validations and stages of the steps ahead are those of the new plan.
"""

import math
from dataclasses import dataclass

EVENTS = 10  # in each stage: validation, grid and checkpoint
ROWS = 10  # rows of log.csv for each event
FEWEST = 50  # steps of a stage: with fewer it learns nothing that a test would show


@dataclass(frozen=True)
class Plan:
    """Steps of both stages. Step s is the state after s updates; 0 is the start."""

    pretrain_steps: int
    gan_steps: int
    gan_cost: float = 10.0  # time of a GAN step in pre-training steps
    begins: int = 0  # the step at which it took over from an earlier plan

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

        Ten steps of each stage do (fewer in a tiny stage), its last step included, and those up to
        the beginning of this plan, of which a state is left.
        """
        return step <= self.begins or _is_mark(*self._within(step), EVENTS)

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


@dataclass(frozen=True)
class Costs:
    """Seconds of one step of each stage and of one event, and those of the budget that are gone."""

    pretrain_s: float
    gan_s: float
    event_s: float
    spent_s: float = 0.0

    def minutes_needed(self, gan_share: float) -> float:
        """The budget of a new run that gives each stage FEWEST steps."""
        stages = 2 if gan_share else 1
        steps_s = FEWEST * self.pretrain_s / (1 - gan_share)
        if gan_share:
            steps_s = max(steps_s, FEWEST * self.gan_s / gan_share)
        return (self.spent_s + stages * EVENTS * self.event_s + steps_s) / 60


def from_minutes(minutes: float, gan_share: float, costs: Costs) -> Plan:
    """The plan that fits into these minutes.

    Where the GAN would get fewer than FEWEST steps, all the time is for pre-training.
    """
    stages = 2 if gan_share else 1
    left_s = max(60 * minutes - costs.spent_s - stages * EVENTS * costs.event_s, 0.0)
    gan_steps = math.floor(gan_share * left_s / costs.gan_s)
    if gan_share and gan_steps < FEWEST:
        return from_minutes(minutes, 0.0, costs)
    pretrain_steps = max(1, math.floor((1 - gan_share) * left_s / costs.pretrain_s))
    return Plan(pretrain_steps, gan_steps, costs.gan_s / costs.pretrain_s)


def extended(
    plan: Plan, step: int, minutes: float, done_s: float, gan_share: float, costs: Costs
) -> Plan:
    """The plan that goes on from `step` of an earlier one with more minutes.

    minutes: of the whole run, of which `done_s` seconds are done. Once the GAN has begun, what is
    left is for the GAN. At least one step is added.
    """
    left_s = max(60 * minutes - done_s, 0.0)
    events_s = (2 if gan_share else 1) * EVENTS * costs.event_s * left_s / (60 * minutes)
    left_s = max(left_s - costs.spent_s - events_s, 0.0)
    if step > plan.pretrain_steps:
        gan_steps = step - plan.pretrain_steps + max(1, math.floor(left_s / costs.gan_s))
        return Plan(plan.pretrain_steps, gan_steps, plan.gan_cost, step)
    gan_s = min(gan_share * (left_s + done_s), left_s)
    gan_steps = math.floor(gan_s / costs.gan_s)
    if gan_steps < FEWEST and gan_share:
        return extended(plan, step, minutes, done_s, 0.0, costs)
    more = math.floor((left_s - gan_s) / costs.pretrain_s)
    pretrain_steps = max(step + more, 1 if gan_steps else step + 1)
    return Plan(pretrain_steps, gan_steps, costs.gan_s / costs.pretrain_s, step)


def cosine(share: float, low: float = 0.01) -> float:
    """A factor that falls from 1 to `low` as share goes from 0 to 1 (Loshchilov & Hutter 2017)."""
    return low + (1 - low) * 0.5 * (1 + math.cos(math.pi * share))
