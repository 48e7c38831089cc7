"""The training loop: the steps in order, and what the plan puts at each.

At an event the grid, log.csv and the best model are written before the state. So a run that is
killed resumes from a state and writes again what it had written after it.
"""

import logging
import time
from collections.abc import Callable
from functools import partial

import tensorflow as tf

from srgan.hounsfield import hu_to_network, network_to_hu
from srgan.system import memory
from srgan.system.errors import DIVERGED, TRY_AGAIN, UserError
from srgan.system.progress import Progress
from srgan.training import (
    checkpoint_models,
    devices,
    events,
    health,
    memory_need,
    pictures,
)
from srgan.training.run import Run
from srgan.training.sealed import Corrupt

log = logging.getLogger(__name__)


def train(run: Run) -> int:
    """Train from run.step to the end of the plan. Returns the exit code; a state is saved.

    Raises UserError where the training diverged, or a state cannot be written.
    """
    if run.is_chief:
        run.folder.write_log(run.log)  # without the rows after the state that it resumes from
    with Progress(run.plan.steps) as bar:
        while (code := _advance(run, bar)) is None:
            _go_back(run)
    return code


def _advance(run: Run, bar: Progress) -> int | None:
    """Steps up to the end of the plan or a signal. Returns the exit code.

    Returns None where too many steps in a row could not be applied.
    """
    plan, traced = run.plan, set()
    began, first = time.monotonic(), run.step
    for low, normal in run.waiting.over(run.batches(run.step, plan.steps)):
        step = run.step + 1
        stage = plan.stage(step)
        run.stop.finishes_step = stage in traced  # the first one traces for long
        if stage not in traced:
            memory_need.check(run.settings, stage, machines=devices.machines(run.workers))
        if stage == "gan" and step == plan.pretrain_steps + 1:
            _start_gan(run)
            began, first = time.monotonic(), run.step
        rate = _step(run, stage, low, normal)
        traced.add(stage)
        run.stop.finishes_step = True
        if run.health.in_row == health.IN_ROW:
            return None
        if run.is_chief:  # the others wait for it in their next step
            _report(run, bar, stage, rate, partial(_images_a_second, run, began, first))
        if run.stops():
            return _stopped(run)
    return 0


def _report(run: Run, bar: Progress, stage: str, rate: float, images_a_second: Callable) -> None:
    """What the plan puts after this step: a row, an event and a state."""
    plan, step = run.plan, run.step
    if plan.is_row(step):
        metrics = _event(run, stage) if plan.is_event(step) else {}
        losses = _row(run, stage, rate, metrics)
        bar.text = f"{_loss_text(stage, losses)}, {images_a_second():.0f} images/s"
    if plan.is_event(step):
        _save(run, metrics)
    bar.update(step, plan.work(step))


def _step(run: Run, stage: str, low, normal) -> float:
    """One update of the networks; returns the learning rate of the generator."""
    step = run.step + 1
    rate = run.trainer.set_rates(run.plan, step, run.settings.rate * run.health.rate)
    with memory_need.told(run.settings, stage):
        if stage == "pretrain":
            losses = run.trainer.pretrain_step(low, normal, tf.constant(step))
        else:
            losses = run.trainer.gan_step(low, normal, tf.constant(step - run.plan.pretrain_steps))
        run.log.add(losses)
    run.health.count_step(int(losses["applied"]))
    run.step = step
    return rate


def _event(run: Run, stage: str) -> dict[str, float]:
    with memory_need.told(run.settings, stage, "validation"):
        return events.event(run)


def _start_gan(run: Run) -> None:
    """The GAN starts from the best SRResNet, which the chief has kept, or from --init's SRGAN."""
    name = "srgan" if "srgan" in run.best else "srresnet"  # nothing but --init has kept a SRGAN yet
    best = run.best.get(name)
    if best is not None and run.is_chief:
        folder, model = run.settings.checkpoint_dir, run.trainer.average
        try:
            checkpoint_models.restore_model(folder, name, best.step, model)
        except Corrupt as error:
            log.warning(f"{error}: the GAN starts from the last SRResNet instead")
    devices.share_variables(run.workers, run.trainer.average.variables)
    run.trainer.begin_gan()


def _row(run: Run, stage: str, rate: float, metrics: dict) -> dict[str, float]:
    """Add a row to log.csv and report new warnings; returns the mean losses of the row."""
    losses = run.log.add_row(run.step, stage, rate, metrics)
    found = run.health.after_row(losses)
    if metrics:
        ends = run.step == run.plan.pretrain_steps
        found |= health.after_validation(stage, metrics, run.validation.bicubic_psnr_db, ends)
    run.log.add_warnings(found)
    for kind, text in found.items():
        if line := run.health.warn(run.step, kind, text):
            log.warning(line)
    run.folder.write_log(run.log)
    return losses


def _loss_text(stage: str, losses: dict[str, float]) -> str:
    return f"{stage} " + " ".join(f"{name} {value:.4f}" for name, value in losses.items())


def _images_a_second(run: Run, began: float, first: int) -> float:
    """Speed since step `first`, with validation and saving; began: time.monotonic() there."""
    seconds = max(time.monotonic() - began, 1e-9)
    return run.settings.batch_size * (run.step - first) / seconds


def _save(run: Run, metrics: dict[str, float]) -> None:
    """The state of an event, unless it is one that the run should not go back to."""
    is_last = run.step == run.plan.steps
    if is_last and health.are_finite(metrics):
        try:
            _picture_of_slice(run)
        except Exception as error:  # a whole slice takes more memory than patches
            if not memory.is_shortage(error):
                raise
            log.warning("out of memory for the picture of a whole slice: it is left out")
    if is_last or run.health.is_good(metrics):
        run.save()


def _picture_of_slice(run: Run) -> None:
    low_hu, normal_hu = run.validation.slice_low_hu, run.validation.slice_normal_hu
    output_hu = network_to_hu(run.trainer.enhance(hu_to_network(low_hu)[None, ..., None]))
    title = f"a full validation slice after {run.step} steps\n{run.folder.label}"
    figure = pictures.whole_slice(low_hu, normal_hu, output_hu[0, ..., 0], title)
    run.folder.write_picture(f"slice-{run.step:07}.png", figure)


def _go_back(run: Run) -> None:
    """Go back to the last good state, once, and go on with a smaller learning rate.

    That is the state of an event, even if a signal left another since: so a run that was stopped
    ends as one that was not. Raises UserError where the run went back before (diverged).
    """
    step = run.step
    what = (
        f"{health.IN_ROW} steps in a row up to step {step} (batch {step - 1} of seed "
        f"{run.settings.seed}) had a loss or gradient that is NaN or infinite and were not applied"
    )
    if run.health.went_back:
        raise UserError(
            f"the training diverged: {what}, at {health.SMALLER:g} of the learning rate too; the "
            f"best models stay; --fresh with another --seed or --precision float32 starts anew",
            DIVERGED,
        )
    plan = run.plan
    saved = devices.newest_state(
        run.settings.checkpoint_dir,
        run.workers,
        lambda step: step >= plan.begins and plan.is_event(step),
    )
    if saved is None:
        raise UserError(f"the training diverged: {what}; no state to go back to", DIVERGED)
    warnings = run.health.warnings
    run.restore(saved)
    run.health.went_back, run.health.warnings = 1, warnings
    text = f"{what}: back to step {run.step} with {health.SMALLER:g} of the learning rate"
    line = run.health.warn(step, "went-back", text)
    if run.is_chief:
        log.warning(line)
        run.folder.write_log(run.log)


def _stopped(run: Run) -> int:
    """Save, unless this step is saved already or the run may have to go back before it."""
    if not run.health.in_row and not run.plan.is_event(run.step):
        run.save()
    is_saved = run.saved_step == run.step
    what = "saved" if is_saved else f"the state of step {run.saved_step} is saved"
    log.info(f"stopped at step {run.step} of {run.plan.steps}, {what}; the same command continues")
    return run.stop.exit_code if run.stop.number else TRY_AGAIN  # another worker was asked to stop
