"""The training itself: steps in order, and what the plan puts at each.

At an event the grid, the log and the best model are written before the state: a run that is killed
goes on from a state, and writes again what it wrote after it.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tensorflow as tf

from srgan.lowdose.degradation import Degradation
from srgan.settings import Settings
from srgan.system.errors import DIVERGED, UserError, reason
from srgan.system.png import figure_to_png
from srgan.system.progress import Progress
from srgan.system.signals import Stop
from srgan.training import batches, checkpoint_models, checkpoint_states, health
from srgan.training import validation as watch
from srgan.training.plan import Plan
from srgan.training.trainer import Trainer

log = logging.getLogger(__name__)


@dataclass
class Run:
    """One training: what it works on, and how far it is."""

    settings: Settings
    plan: Plan
    degradation: Degradation
    trainer: Trainer
    training: batches.Side
    validation: batches.Side
    manifest: dict  # what every checkpoint says besides step and scores
    label: str  # of every picture: data, noise, weights of the content loss
    log: watch.Log
    stop: Stop
    step: int = 0
    saved: int = 0  # the step of the last state on disk
    best: dict = field(default_factory=dict)  # by model: {"step", "score", figures}
    guard: health.Guard = field(default_factory=health.Guard)
    unwritten: set[str] = field(default_factory=set)  # kinds of files whose failure was told

    def batches(self, first: int, last: int):
        s = self.settings
        return batches.dataset(
            self.training, s.batch_size, s.crop, self.degradation, s.seed, first, last
        )


def enhance(model) -> Callable[[np.ndarray], np.ndarray]:
    """(n, h, w, 1) in [-1, 1] to (n, scale*h, scale*w, 1), in batches of 16."""
    call = tf.function(lambda x: model(x, training=False), reduce_retracing=True)
    return lambda low: np.concatenate(
        [call(low[i : i + 16]).numpy() for i in range(0, len(low), 16)]
    )


def train(run: Run) -> int:
    """From run.step to the plan's end. Returns the exit code; the state is saved either way.

    Raises UserError where it diverged, or where a state cannot be written.
    """
    _write(run, run.log.path, run.log.write)  # rows after the state are cut
    watched = validation_of(run), enhance(run.trainer.average)
    with Progress(run.plan.steps) as bar:
        while (code := _advance(run, *watched, bar)) is None:
            _go_back(run)
    return code


def _advance(run: Run, validation: watch.Validation, output_of, bar: Progress) -> int | None:
    """Steps up to the plan's end or a signal: the exit code. None: too many were not applied."""
    plan, guard, compiled = run.plan, run.guard, set()
    began = time.monotonic(), run.step
    for low, normal in run.batches(run.step, plan.steps):
        step = run.step + 1
        stage = plan.stage(step)
        run.stop.exits_at_once = stage not in compiled  # it traces for long
        if stage == "gan" and step == plan.pretrain_steps + 1:
            _start_gan(run)
            began = time.monotonic(), run.step
        rate = run.trainer.set_rates(plan, step, guard.rate)
        count = tf.constant(step if stage == "pretrain" else step - plan.pretrain_steps)
        update = run.trainer.pretrain_step if stage == "pretrain" else run.trainer.gan_step
        losses = update(low, normal, count)
        run.log.add(losses)
        guard.saw(int(losses["applied"]))
        run.step = step
        compiled.add(stage)
        run.stop.finishes_step, run.stop.exits_at_once = True, False
        if guard.in_row == health.IN_ROW:
            return None
        if plan.is_row(step):
            figures = event(run, validation, output_of) if plan.is_event(step) else {}
            means = _row(run, stage, rate, figures, validation)
            bar.text = f"{_status(stage, means)}, {images_a_second(run, began, step):.0f} images/s"
        if plan.is_event(step):
            if step == plan.steps and health.are_finite(figures):
                _last_picture(run, output_of)
            if step == plan.steps or guard.is_good(figures):
                save(run)
        bar.update(step, plan.work(step))
        if run.stop.number:
            return _stopped(run)
    return 0


def _row(run: Run, stage: str, rate: float, figures: dict, validation) -> dict[str, float]:
    """A row of log.csv, with what it is warned of; returns its mean losses."""
    means = run.log.row(run.step, stage, rate, figures)
    found = run.guard.of_row(means)
    if figures:
        found |= health.of_event(stage, figures, validation.bicubic_psnr_db)
    run.log.warn(found)
    for kind, text in found.items():
        if line := run.guard.warn(run.step, kind, text):
            log.warning(line)
    _write(run, run.log.path, run.log.write)
    return means


def restore(run: Run, saved: tuple[Path, dict]) -> None:
    """The run as it was when this state was saved. Raises UserError where it does not fit."""
    path, old = saved
    checkpoint_states.restore(path, run.trainer.state())
    try:
        run.plan, run.step, run.best = Plan(**old["plan"]), old["step"], old["best"]
        run.guard = health.Guard(**old["guard"])
        run.log.restore(old["log"])
        run.saved = run.step
        checkpoint_states.set_later_aside(run.settings.checkpoint_dir, run.step)
    except (KeyError, TypeError) as error:
        raise UserError(
            f"{path} was written by another version ({error}): add --fresh to start anew"
        ) from error


def _go_back(run: Run) -> None:
    """To the last good state with a smaller learning rate, once. Raises UserError (diverged).

    That is one of an event, whether or not a signal left another since: so the end is the same.
    """
    step, seed = run.step, run.settings.seed
    what = (
        f"{health.IN_ROW} steps in a row up to step {step} (batch {step - 1} of seed {seed}) had a "
        f"loss or gradient that is NaN or infinite and were not applied"
    )
    if run.guard.went_back:
        raise UserError(
            f"the training diverged: {what}, at {health.SMALLER:g} of the learning rate too; the "
            f"best models stay; --fresh with another --seed or --precision float32 starts anew",
            DIVERGED,
        )
    saved = checkpoint_states.newest(run.settings.checkpoint_dir, run.plan.is_event)
    if saved is None:
        raise UserError(f"the training diverged: {what}; no state to go back to", DIVERGED)
    warnings = run.guard.warnings
    restore(run, saved)
    run.guard.went_back, run.guard.warnings = 1, warnings
    text = f"{what}: back to step {run.step} with {health.SMALLER:g} of the learning rate"
    log.warning(run.guard.warn(step, "went-back", text))
    _write(run, run.log.path, run.log.write)


def images_a_second(run: Run, began: tuple[float, int], step: int) -> float:
    """Of this stage so far, validation and saves included. began: (time, step)."""
    seconds, first = time.monotonic() - began[0], began[1]
    return run.settings.batch_size * (step - first) / max(seconds, 1e-9)


def _status(stage: str, means: dict[str, float]) -> str:
    return f"{stage} " + " ".join(f"{name} {value:.4f}" for name, value in means.items())


def validation_of(run: Run) -> watch.Validation:
    s = run.settings
    return watch.Validation.of(run.validation, s.crop, run.degradation, s.seed)


def event(run: Run, validation: watch.Validation, output_of) -> dict[str, float]:
    """Validate, draw a grid, and keep the model if it is the best of its stage so far.

    An output that is NaN or infinite somewhere has figures of NaN, no grid, and is never the best.
    """
    output = output_of(validation.low)
    if not np.isfinite(output).all():
        return dict.fromkeys(validation.figures(validation.normal), np.nan)
    figures = validation.figures(output)
    stage = run.plan.stage(run.step) if run.step else "start"
    title = (
        f"step {run.step} of {run.plan.steps} ({stage}), validation "
        f"{figures['validation_psnr_db']:.2f} dB, bicubic {validation.bicubic_psnr_db:.2f} dB\n"
        f"{run.label}"
    )
    figure = watch.figure_of_patches(validation, output, run.settings.scale, title)
    _picture(run, run.settings.train_dir / f"grid-{run.step:07}.png", figure)
    if run.step:
        log.info(
            f"step {run.step}/{run.plan.steps} {stage}: validation "
            f"{figures['validation_psnr_db']:.2f} dB (bicubic {validation.bicubic_psnr_db:.2f}), "
            f"texture {figures['validation_texture']:.2f} of normal dose"
        )
        _keep_best(run, stage, figures, validation)
    return figures


def score(stage: str, figures: dict[str, float], floor_db: float) -> float:
    """What "best" means; higher is better.

    SRResNet: PSNR. SRGAN: texture nearest the normal dose's, among those at least `floor_db`; one
    below it ranks behind them, by PSNR.
    """
    psnr = figures["validation_psnr_db"]
    if stage == "pretrain":
        return psnr
    if psnr < floor_db:
        return psnr - 1000.0
    return -abs(figures["validation_texture"] - 1.0)


def _keep_best(run: Run, stage: str, figures: dict, validation: watch.Validation) -> None:
    name = "srresnet" if stage == "pretrain" else "srgan"
    before = run.best.get("srresnet", {}).get("validation_psnr_db", validation.bicubic_psnr_db)
    floor_db = validation.bicubic_psnr_db + 0.5 * (before - validation.bicubic_psnr_db)
    value = score(stage, figures, floor_db)
    if not health.are_finite(figures) or (name in run.best and value <= run.best[name]["score"]):
        return
    run.best[name] = {"step": run.step, "score": value, **figures}
    folder, model = run.settings.checkpoint_dir, run.trainer.average
    checkpoint_models.save_model(folder, name, run.step, model, manifest(run))


def manifest(run: Run) -> dict:
    kept = {"plan": run.plan.as_json(), "guard": run.guard.as_json()}
    return {**run.manifest, **kept, "step": run.step, "best": run.best}


def save(run: Run) -> None:
    folder, more = run.settings.checkpoint_dir, {"log": run.log.as_json()}
    checkpoint_states.save(folder, run.step, run.trainer.state(), manifest(run) | more)
    run.saved = run.step


def _start_gan(run: Run) -> None:
    """The GAN begins from the SRResNet that was kept as the best."""
    best = run.best.get("srresnet")
    if best is not None:
        folder, model = run.settings.checkpoint_dir, run.trainer.average
        try:
            checkpoint_models.restore_model(folder, "srresnet", best["step"], model)
        except checkpoint_models.sealed.Corrupt as error:
            log.warning(f"{error}: the GAN begins from the last SRResNet instead of the best")
    run.trainer.begin_gan()


def _picture(run: Run, path: Path, figure) -> None:
    _write(run, path, lambda: figure_to_png(figure, path))


def _write(run: Run, path: Path, write: Callable[[], None]) -> None:
    """A picture or log that cannot be written does not end a training; it is said once."""
    try:
        write()
    except OSError as error:
        if path.suffix not in run.unwritten:
            log.warning(f"cannot write {path}: {reason(error)}; the training goes on")
        run.unwritten.add(path.suffix)


def _last_picture(run: Run, output_of) -> None:
    s = run.settings
    title = f"a full validation slice after {run.plan.steps} steps\n{run.label}"
    figure = watch.figure_of_slice(run.validation, run.degradation, s.seed, output_of, title)
    _picture(run, s.train_dir / f"slice-{run.plan.steps:07}.png", figure)


def _stopped(run: Run) -> int:
    """Save, unless this step is saved, or may have to be gone back from."""
    if not run.guard.in_row and not run.plan.is_event(run.step):
        save(run)
    said = "saved" if run.saved == run.step else f"the state of step {run.saved} is saved"
    log.info(f"stopped at step {run.step} of {run.plan.steps}, {said}; the same command continues")
    return run.stop.exit_code
