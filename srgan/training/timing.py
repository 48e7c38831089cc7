"""The plan of a new run: minutes become steps after a few steps and an event are timed."""

import logging
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf

from srgan.settings import Settings
from srgan.system.files import writing
from srgan.system.signals import undone
from srgan.training import checkpoint_states
from srgan.training.plan import Plan, from_minutes
from srgan.training.trainer import Trainer

log = logging.getLogger(__name__)

WARM_UP, TIMED_STEPS = 4, 12


def has_gan(settings: Settings) -> bool:
    return settings.gan_steps != 0 and settings.gan_share > 0


def new_plan(
    settings: Settings, trainer: Trainer, make_batches: Callable, validate: Callable, started: float
) -> Plan:
    """The plan of a new run. Minutes become steps: everything is timed first.

    validate: draws the grid of the start; it is called here in any case.
    """
    validate()
    if settings.pretrain_steps is not None:
        steps = Plan(settings.pretrain_steps, settings.gan_steps)
        log.info(
            f"plan: {steps.pretrain_steps} steps of pre-training, {steps.gan_steps} of the GAN"
        )
        return steps
    log.info("timing a few steps of each stage")
    pretrain_s = _time_steps(trainer, make_batches, trainer.pretrain_step)
    gan_s = (
        _time_steps(trainer, make_batches, trainer.gan_step) if has_gan(settings) else pretrain_s
    )
    event_s = _time_event(settings.checkpoint_dir, trainer, validate)
    steps = from_minutes(
        settings.train_minutes,
        settings.gan_share if has_gan(settings) else 0.0,
        pretrain_s,
        gan_s,
        event_s,
        spent_s=time.monotonic() - started,
    )
    speed, gan_speed = settings.batch_size / pretrain_s, settings.batch_size / gan_s
    text = f"{steps.pretrain_steps} steps of pre-training at {speed:.0f} images/s"
    if steps.gan_steps:
        text += f", {steps.gan_steps} of the GAN at {gan_speed:.0f}"
    log.info(f"plan for {settings.train_minutes:g} minutes: {text}")
    return steps


def _time_steps(trainer: Trainer, make_batches: Callable, update: Callable) -> float:
    """Mean seconds of one step with its batch; every variable is put back afterwards."""
    variables = trainer.variables()
    before = [v.numpy() for v in variables]
    for k, (low, normal) in enumerate(make_batches(0, 10**6)):
        if k == WARM_UP:
            began = time.monotonic()
        if k == WARM_UP + TIMED_STEPS:
            break
        for loss in update(low, normal, tf.constant(1)).values():
            float(loss)
    seconds = (time.monotonic() - began) / TIMED_STEPS
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
