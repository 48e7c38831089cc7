"""The plan of a run: minutes become steps after a few steps and an event are timed."""

import logging
import math
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import tensorflow as tf

from srgan import settings as all_settings
from srgan.settings import Settings, has_gan
from srgan.system.errors import UserError, plural
from srgan.system.files import writing
from srgan.system.signals import undone
from srgan.training import checkpoint_states
from srgan.training.manifest import Manifest
from srgan.training.plan import FEWEST, Costs, Plan, extended, from_minutes
from srgan.training.trainer import Trainer

log = logging.getLogger(__name__)

# Steps before the clock runs, and steps that are timed. A step of the GAN takes as long as ten of
# pre-training. The numbers are fixed because all workers must make the same steps.
STEPS = {"pretrain": (2, 12), "gan": (2, 5)}


Share = Callable[[Callable[[], list[float]]], list[float]]


def new_plan(
    settings: Settings,
    trainer: Trainer,
    make_batches: Callable,
    validate: Callable,
    started: float,
    from_chief: Share,
) -> tuple[Plan, str]:
    """The plan of a new run, and a warning or "". Minutes become steps: everything is timed first.

    validate: draws the grid of the start; it is called here in any case. from_chief: hands every
    worker the times that the chief has measured.
    """
    from_chief(validate)
    if settings.pretrain_steps is not None:
        steps = Plan(settings.pretrain_steps, settings.gan_steps)
        log.info(f"plan: {_steps_text(steps)}")
        return steps, ""
    stages = ["pretrain"] + ["gan"] * has_gan(settings)
    costs = _time(settings, trainer, make_batches, validate, stages, started, from_chief)
    steps = from_minutes(settings.train_minutes, settings.gan_share, costs)
    _report(settings, steps, costs)
    return steps, _short_of(settings, steps, costs)


def extended_plan(
    settings: Settings,
    saved: Manifest,
    trainer: Trainer,
    make_batches: Callable,
    validate: Callable,
    started: float,
    from_chief: Share,
) -> tuple[Plan, str]:
    """The plan of a run that goes on with other settings from its saved state; as `new_plan`.

    Where neither minutes nor steps nor the GAN's share changed, the steps stay.
    """
    plan, step = saved.plan, saved.step
    before = Settings(**all_settings.from_record(saved.settings))
    gan_began = step > plan.pretrain_steps
    if settings.pretrain_steps is not None:
        return _with_steps(plan, settings, step), ""
    same_share = gan_began or settings.gan_share == before.gan_share
    if settings.train_minutes == before.train_minutes and same_share:
        return replace(plan, begins=step), ""
    both = ["pretrain"] + ["gan"] * (gan_began or has_gan(settings))
    costs = _time(settings, trainer, make_batches, validate, both, started, from_chief)
    minutes, done_s = settings.train_minutes, _done_s(before, plan, step, costs)
    if done_s >= 60 * minutes:
        raise UserError(
            f"the {step} steps that are done take {done_s / 60:.1f} minutes on this machine: give "
            f"a larger --train-minutes, or --pretrain-steps and --gan-steps"
        )
    steps = extended(plan, step, minutes, done_s, settings.gan_share, costs)
    if same_share and settings.batch_size == before.batch_size:  # it was timed slower today
        steps = replace(
            steps,
            pretrain_steps=max(steps.pretrain_steps, plan.pretrain_steps),
            gan_steps=max(steps.gan_steps, plan.gan_steps),
        )
    if gan_began:
        log.info("pre-training is over: all the time that was added is for the GAN")
    _report(settings, steps, costs)
    return steps, _short_of(settings, steps, costs)


def _done_s(before: Settings, plan: Plan, step: int, costs: Costs) -> float:
    """Seconds that the steps up to this one took of the budget.

    For a plan in minutes the share of them, whatever machine that was; else as they take here.
    """
    if before.pretrain_steps is None:
        return 60 * before.train_minutes * plan.work(step)
    gan_steps = max(step - plan.pretrain_steps, 0)
    return (step - gan_steps) * costs.pretrain_s + gan_steps * costs.gan_s


def _with_steps(plan: Plan, settings: Settings, step: int) -> Plan:
    """The plan of the steps that were given; once the GAN has begun, pre-training is over."""
    pretrain_steps = settings.pretrain_steps
    if step > plan.pretrain_steps and pretrain_steps > plan.pretrain_steps:
        pretrain_steps = plan.pretrain_steps
        log.warning(
            f"pre-training is over and keeps its {pretrain_steps} steps; --init starts a new run "
            f"with more from this model"
        )
    return replace(plan, pretrain_steps=pretrain_steps, gan_steps=settings.gan_steps, begins=step)


def _steps_text(plan: Plan) -> str:
    return f"{plural(plan.pretrain_steps, 'step')} of pre-training, {plan.gan_steps} of the GAN"


def _report(settings: Settings, plan: Plan, costs: Costs) -> None:
    speed, gan_speed = (settings.batch_size / s for s in (costs.pretrain_s, costs.gan_s))
    text = f"{plural(plan.pretrain_steps, 'step')} of pre-training at {speed:.0f} images/s"
    if plan.gan_steps:
        text += f", {plan.gan_steps} of the GAN at {gan_speed:.0f}"
    log.info(f"plan for {settings.train_minutes:g} minutes: {text}")


def _short_of(settings: Settings, plan: Plan, costs: Costs) -> str:
    """A warning where a stage is left out or tiny, with the minutes that would be enough here."""
    share = settings.gan_share
    if share and not plan.gan_steps:
        what = f"the GAN would get fewer than {FEWEST} steps: all of it is for pre-training"
    elif plan.pretrain_steps < FEWEST and plan.begins <= plan.pretrain_steps:
        what = "it is all that fits"
    else:
        return ""
    needed = math.ceil(max(costs.minutes_needed(share), settings.train_minutes) + 0.5)
    return (
        f"{settings.train_minutes:g} minutes are short: pre-training has "
        f"{plural(plan.pretrain_steps, 'step')}, {what}; "
        f"about --train-minutes {needed} gives each stage {FEWEST} or more here"
    )


def _time(
    settings: Settings,
    trainer: Trainer,
    make_batches: Callable,
    validate: Callable,
    stages: Sequence[str],
    started: float,
    from_chief: Share,
) -> Costs:
    """Time a few steps of these stages, and an event."""
    log.info("timing a few steps of each stage")
    updates = {"pretrain": trainer.pretrain_step, "gan": trainer.gan_step}
    took = {
        name: _time_steps(trainer, make_batches, updates[name], *STEPS[name]) for name in stages
    }
    any_s = next(iter(took.values()))

    def costs() -> list[float]:
        event_s = _time_event(settings.checkpoint_dir, trainer, validate)
        spent_s = time.monotonic() - started
        return [took.get("pretrain", any_s), took.get("gan", any_s), event_s, spent_s]

    return Costs(*from_chief(costs))


def _time_steps(
    trainer: Trainer, make_batches: Callable, update: Callable, warm_up: int, timed: int
) -> float:
    """Mean seconds of one step with its batch; every variable is put back afterwards."""
    variables = trainer.variables()
    before = [v.numpy() for v in variables]
    for k, (low, normal) in enumerate(make_batches(0, 10**6)):
        if k == warm_up:
            began = time.monotonic()
        if k == warm_up + timed:
            break
        for loss in update(low, normal, tf.constant(1)).values():
            float(loss)
    seconds = (time.monotonic() - began) / timed
    for variable, value in zip(variables, before, strict=True):
        variable.assign(value)
    return seconds


def _time_event(folder: Path, trainer: Trainer, validate: Callable) -> float:
    """Seconds of a validation with its grid, and of a state that is saved and removed again."""
    began = time.monotonic()
    validate()
    with (
        writing(folder),
        tempfile.TemporaryDirectory(dir=folder, prefix=".trial-") as trial,
        undone(lambda: shutil.rmtree(trial, ignore_errors=True)),
    ):
        checkpoint_states.write(Path(trial) / "step-0000000", trainer.state(), {})
    return time.monotonic() - began
