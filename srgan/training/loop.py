"""The training itself: steps in order, and what the plan puts at each."""

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tensorflow as tf

from srgan import pairs
from srgan.dose.degradation import Degradation
from srgan.errors import DIVERGED, INTERRUPTED, TERMINATED, UserError
from srgan.files import told
from srgan.pictures import figure_to_png
from srgan.progress import Progress, log
from srgan.settings import Settings
from srgan.training import checkpoints, watch
from srgan.training.plan import Plan
from srgan.training.steps import Trainer


@dataclass
class Run:
    """One training: what it works on, and how far it is."""

    settings: Settings
    plan: Plan
    degradation: Degradation
    trainer: Trainer
    training: pairs.Side
    validation: pairs.Side
    manifest: dict  # what every checkpoint says besides step and scores
    label: str  # of every picture: data, noise, weights of the content loss
    step: int = 0
    best: dict = field(default_factory=dict)  # by model: {"step", "score", figures}
    stop: int = 0  # a signal that asked for the end

    def batches(self, first: int, last: int):
        s = self.settings
        return pairs.dataset(
            self.training, s.batch_size, s.crop, self.degradation, s.seed, first, last
        )


def enhance(model) -> Callable[[np.ndarray], np.ndarray]:
    """(n, h, w, 1) in [-1, 1] to (n, scale*h, scale*w, 1), in batches of 16."""
    call = tf.function(lambda x: model(x, training=False), reduce_retracing=True)
    return lambda low: np.concatenate(
        [call(low[i : i + 16]).numpy() for i in range(0, len(low), 16)]
    )


def train(run: Run) -> int:
    """From run.step to the plan's end. Returns the exit code; the state is saved either way."""
    s, plan, trainer = run.settings, run.plan, run.trainer
    with told(s.train_dir):
        rows = watch.Log(s.train_dir / "log.csv", run.step)
    validation = validation_of(run)
    output_of = enhance(trainer.average)
    progress = Progress()
    with _signals(run):
        step, shown = run.step, ""
        began = time.monotonic(), step
        for low, normal in run.batches(run.step, plan.steps):
            step += 1
            stage = plan.stage(step)
            if stage == "gan" and step == plan.pretrain_steps + 1:
                _start_gan(run)
                began = time.monotonic(), step - 1
            rate = trainer.set_rates(plan, step)
            count = tf.constant(step if stage == "pretrain" else step - plan.pretrain_steps)
            update = trainer.pretrain_step if stage == "pretrain" else trainer.gan_step
            rows.add(update(low, normal, count))
            run.step = step
            figures = event(run, validation, output_of) if plan.is_event(step) else {}
            if plan.is_row(step):
                means = rows.row(step, stage, rate, figures)
                shown = f"{_status(stage, means)}, {images_a_second(run, began, step):.0f} images/s"
                if not all(np.isfinite(v) for v in means.values()):
                    raise UserError(f"the training diverged before step {step}: {shown}", DIVERGED)
            if plan.is_event(step):
                save(run)
            progress(step, plan.steps, shown, plan.work(step))
            if run.stop:
                return _stopped(run)
    _last_picture(run, output_of)
    return 0


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
    """Validate, draw a grid, and keep the model if it is the best of its stage so far."""
    output = output_of(validation.low)
    figures = validation.figures(output)
    stage = run.plan.stage(run.step) if run.step else "start"
    title = (
        f"step {run.step} of {run.plan.steps} ({stage}), validation "
        f"{figures['validation_psnr_db']:.2f} dB, bicubic {validation.bicubic_psnr_db:.2f} dB\n"
        f"{run.label}"
    )
    figure = watch.figure_of_patches(validation, output, run.settings.scale, title)
    _picture(run.settings.train_dir / f"grid-{run.step:07}.png", figure)
    if run.step:
        log(
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
    if not np.isfinite(value) or (name in run.best and value <= run.best[name]["score"]):
        return
    run.best[name] = {"step": run.step, "score": value, **figures}
    folder, model = run.settings.checkpoint_dir, run.trainer.average
    checkpoints.save_model(folder, name, run.step, model, manifest(run))


def manifest(run: Run) -> dict:
    return {**run.manifest, "plan": run.plan.as_json(), "step": run.step, "best": run.best}


def save(run: Run) -> None:
    folder = run.settings.checkpoint_dir
    checkpoints.save_state(folder, run.step, run.trainer.state(), manifest(run))


def _start_gan(run: Run) -> None:
    """The GAN begins from the SRResNet that was kept as the best."""
    folder = checkpoints.model_folder(run.settings.checkpoint_dir, "srresnet")
    if folder is not None:
        run.trainer.average.load_weights(folder / checkpoints.WEIGHTS)
    run.trainer.begin_gan()


def _picture(path: Path, figure) -> None:
    """A picture that cannot be written does not end a training."""
    try:
        figure_to_png(figure, path)
    except OSError as error:
        log(f"cannot write {path}: {error.strerror or error}; the training goes on")


def _last_picture(run: Run, output_of) -> None:
    s = run.settings
    title = f"a full validation slice after {run.plan.steps} steps\n{run.label}"
    figure = watch.figure_of_slice(run.validation, run.degradation, s.seed, output_of, title)
    _picture(s.train_dir / f"slice-{run.plan.steps:07}.png", figure)


class _signals:
    """SIGINT and SIGTERM end the run after the step at hand; a second one at once."""

    def __init__(self, run: Run):
        self.run, self.before = run, {}

    def __enter__(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            self.before[number] = signal.signal(number, self._note)

    def _note(self, number, _frame):
        if self.run.stop:
            raise KeyboardInterrupt
        self.run.stop = number
        log("stopping after this step; once more to stop at once")

    def __exit__(self, *_):
        for number, handler in self.before.items():
            signal.signal(number, handler)


def _stopped(run: Run) -> int:
    if not run.plan.is_event(run.step):
        save(run)
    log(f"stopped at step {run.step} of {run.plan.steps}, saved; the same command continues")
    return INTERRUPTED if run.stop == signal.SIGINT else TERMINATED
