"""An event of the plan: validation, a grid of pictures, and the best model so far."""

import logging

import numpy as np

from srgan.training import checkpoint_models, pictures
from srgan.training.health import are_finite
from srgan.training.manifest import BestModel
from srgan.training.run import Run
from srgan.training.train_folder import TrainFolder
from srgan.training.trainer import Trainer
from srgan.training.validation import Validation

log = logging.getLogger(__name__)


def event(run: Run) -> dict[str, float]:
    """Validate, draw a grid, and save the model if it is the best of its stage so far.

    Returns the metrics. They are NaN where an output is NaN or infinite: then there is no grid, and
    the model is not saved.
    """
    stage, validation = run.plan.stage(run.step), run.validation
    heading = f"step {run.step} of {run.plan.steps} ({stage})"
    metrics = validate(run.trainer, validation, run.folder, run.step, heading)
    if are_finite(metrics):
        log.info(
            f"step {run.step}/{run.plan.steps} {stage}: validation "
            f"{metrics['validation_psnr_db']:.2f} dB ({validation.input_name} "
            f"{validation.bicubic_psnr_db:.2f}), "
            f"texture {metrics['validation_texture']:.2f} of normal dose"
        )
        keep_best(run, stage, metrics)
    return metrics


def validate(
    trainer: Trainer, validation: Validation, folder: TrainFolder, step: int, heading: str
) -> dict[str, float]:
    """Metrics of the averaged generator, and a grid with this heading in `folder`."""
    output = trainer.enhance(validation.low)
    if not np.isfinite(output).all():
        return dict.fromkeys(validation.metrics(validation.normal), np.nan)
    metrics = validation.metrics(output)
    title = (
        f"{heading}, validation {metrics['validation_psnr_db']:.2f} dB, {validation.input_name} "
        f"{validation.bicubic_psnr_db:.2f} dB\n{folder.label}"
    )
    folder.write_picture(f"grid-{step:07}.png", pictures.grid(validation, output, title))
    return metrics


def score(stage: str, metrics: dict[str, float], floor_db: float) -> float:
    """What the best model is chosen by; higher is better.

    SRResNet: PSNR. SRGAN: how near the texture is to the normal dose's. A SRGAN whose PSNR is below
    `floor_db` ranks behind all others, by its PSNR.
    """
    psnr_db = metrics["validation_psnr_db"]
    if stage == "pretrain":
        return psnr_db
    if psnr_db < floor_db:
        return psnr_db - 1000.0
    return -abs(metrics["validation_texture"] - 1.0)


def keep_best(run: Run, stage: str, metrics: dict[str, float]) -> None:
    """Save the model if it beats the one saved before; with NaN or infinite metrics never."""
    if not are_finite(metrics):
        return
    name = "srresnet" if stage == "pretrain" else "srgan"
    bicubic_db, srresnet = run.validation.bicubic_psnr_db, run.best.get("srresnet")
    srresnet_db = srresnet.validation_psnr_db if srresnet else bicubic_db
    value = score(stage, metrics, floor_db=bicubic_db + 0.5 * (srresnet_db - bicubic_db))
    if name in run.best and value <= run.best[name].score:
        return
    run.best[name] = BestModel(run.step, value, **metrics)
    folder = run.settings.checkpoint_dir
    checkpoint_models.save_model(folder, name, run.trainer.average, run.manifest())
