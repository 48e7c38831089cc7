"""From settings to a training that can start: precision, networks, optimizers, and the plan."""

import logging
import tempfile
import time
from pathlib import Path

import keras
import tensorflow as tf

from srgan.lowdose import photon_cache
from srgan.models import discriminator, generator, vgg
from srgan.models.vgg_weights import VggWeights
from srgan.settings import Settings, degradation_of
from srgan.system.files import writing
from srgan.system.signals import Stop
from srgan.training import checkpoint_states, loop, plan
from srgan.training import validation as watch
from srgan.training.batches import Side
from srgan.training.trainer import Trainer

log = logging.getLogger(__name__)

WARM_UP, TIMED_STEPS = 4, 12


def begin(
    settings: Settings,
    weights: VggWeights,
    sides: tuple[Side, Side],
    manifest: dict,
    saved: tuple[Path, dict] | None,
    started: float,
    stop: Stop,
) -> loop.Run:
    """A run at step 0 with a plan, or the saved one where it stopped. Raises UserError.

    sides: training and validation. started: time.monotonic() where the budget of minutes began.
    A new run is saved at once: whenever it is killed, it goes on with this plan. Up to the first
    step a signal ends the process where it stands; what it leaves half written goes at the next
    start.
    """
    stop.exits_at_once = True
    keras.utils.set_random_seed(settings.seed % 2**32)
    degradation = degradation_of(settings)
    manifest = {
        **manifest,
        "degradation": degradation.as_json(),
        "precision": keras.mixed_precision.global_policy().name,
    }
    noise = degradation.noise.describe()
    if sides[0].noise is not None:
        manifest["photons"] = photon_cache.summary(sides[0].noise)
        noise += f"\n{photon_cache.told_of(manifest['photons'])}"
    run = loop.Run(
        settings=settings,
        plan=plan.Plan(1, 1),
        degradation=degradation,
        trainer=None,
        training=sides[0],
        validation=sides[1],
        manifest=manifest,
        label=label(settings, weights, noise, manifest["data"]["synthetic"]),
        log=watch.Log(settings.train_dir / "log.csv"),
        stop=stop,
    )
    with_gan = settings.gan_steps != 0 and settings.gan_share > 0
    run.trainer = trainer(run, weights, with_gan)
    if saved is not None:
        loop.restore(run, saved)
        log.info(
            f"continuing at step {run.step} of {run.plan.steps}{_precisions(saved[1], manifest)}"
        )
    else:
        run.plan = make_plan(run, with_gan, started)
        loop.save(run)
    return run


def _precisions(old: dict, new: dict) -> str:
    """ ", bfloat16 instead of float32", where the user changed it."""
    before, now = (m.get("precision", "?").removeprefix("mixed_") for m in (old, new))
    return "" if before == now else f", {now} instead of {before}"


def label(settings: Settings, weights: VggWeights, noise: str, synthetic: bool) -> str:
    """What every picture says of its making, on two lines."""
    made = "SYNTHETIC chest, " if synthetic else ""
    return (
        f"{made}{settings.generator} generator x{settings.scale}, content: "
        f"{settings.content_loss}, VGG19 weights: {weights.mode}\n"
        f"{noise}"
    )


def trainer(run: loop.Run, weights: VggWeights, with_gan: bool) -> Trainer:
    """Networks and optimizers, built: a restore finds every variable in place."""
    s = run.settings
    made = generator.build(s.generator, s.scale, s.seed)
    average = generator.build(s.generator, s.scale, s.seed)
    average.trainable = False
    judge = features = judge_optimizer = None
    if with_gan:
        judge = discriminator.build(s.crop, s.seed)
        judge_optimizer = _adam(judge.trainable_variables)
        if weights.mode != "none" and s.content_loss != "pixel":
            (_, sample), *_ = run.batches(0, 1)
            features = vgg.build(s.content_loss, weights, sample.numpy(), s.seed)
    return Trainer(
        form=s.generator,
        content_mode=weights.mode,
        generator=made,
        average=average,
        discriminator=judge,
        features=features,
        generator_optimizer=_adam(made.trainable_variables),
        discriminator_optimizer=judge_optimizer,
    )


def _adam(variables):
    optimizer = keras.optimizers.Adam(1e-4, beta_1=0.9, beta_2=0.99)
    if keras.mixed_precision.global_policy().name == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    optimizer.build(variables)
    return optimizer


def make_plan(run: loop.Run, with_gan: bool, started: float) -> plan.Plan:
    """The plan of a new run, printed; minutes become steps by timing everything first."""
    s = run.settings
    validation, output_of = loop.validation_of(run), loop.enhance(run.trainer.average)
    loop.event(run, validation, output_of)  # the grid of the start; compiles as well
    if s.pretrain_steps is not None:
        made = plan.Plan(s.pretrain_steps, s.gan_steps)
        log.info(f"plan: {made.pretrain_steps} steps of pre-training, {made.gan_steps} of the GAN")
        return made
    log.info("timing a few steps of each stage")
    pretrain_s = _time_steps(run, run.trainer.pretrain_step)
    gan_s = _time_steps(run, run.trainer.gan_step) if with_gan else pretrain_s
    event_s = _time_event(run, validation, output_of)
    made = plan.from_minutes(
        s.train_minutes,
        s.gan_share if with_gan else 0.0,
        pretrain_s,
        gan_s,
        event_s,
        spent_s=time.monotonic() - started,
    )
    text = (
        f"{made.pretrain_steps} steps of pre-training at {s.batch_size / pretrain_s:.0f} images/s"
    )
    if made.gan_steps:
        text += f", {made.gan_steps} of the GAN at {s.batch_size / gan_s:.0f}"
    log.info(f"plan for {s.train_minutes:g} minutes: {text}")
    return made


def _time_steps(run: loop.Run, update) -> float:
    """Seconds of one step with its batch: a mean, every variable put back afterwards."""
    variables = run.trainer.variables()
    before = [v.numpy() for v in variables]
    for k, (low, normal) in enumerate(run.batches(0, 10**6)):
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


def _time_event(run: loop.Run, validation, output_of) -> float:
    """Seconds of a validation with its grid and a save (a trial one, which goes again)."""
    began = time.monotonic()
    loop.event(run, validation, output_of)
    folder = run.settings.checkpoint_dir
    with writing(folder), tempfile.TemporaryDirectory(dir=folder, prefix=".trial-") as trial:
        checkpoint_states.save(Path(trial), 0, run.trainer.state(), loop.manifest(run))
    return time.monotonic() - began
