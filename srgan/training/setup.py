"""From settings to a training that can start: networks, optimizers and the plan."""

import logging
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import keras
import tensorflow as tf

from srgan import settings as all_settings
from srgan.lowdose import photon_cache
from srgan.models import discriminator, generator, vgg
from srgan.models.vgg_weights import VggWeights
from srgan.settings import Settings, degradation_of
from srgan.system.files import writing
from srgan.system.signals import Stop
from srgan.training import batches, checkpoint_states, events, plan
from srgan.training.batches import SliceSet
from srgan.training.checkpoint_folder import Saved
from srgan.training.manifest import Manifest, SeenData
from srgan.training.run import Run
from srgan.training.train_folder import TrainFolder
from srgan.training.trainer import Trainer
from srgan.training.validation import Validation

log = logging.getLogger(__name__)

WARM_UP, TIMED_STEPS = 4, 12


def begin(
    settings: Settings,
    weights: VggWeights,
    training: SliceSet,
    validation: SliceSet,
    data: SeenData,
    saved: Saved | None,
    started: float,
    stop: Stop,
) -> Run:
    """A new run, or the saved one at the step where it stopped. Raises UserError.

    started: time.monotonic() where the budget of minutes began. A new run is saved at once, so that
    it keeps its plan whenever it is killed. Until the first step a signal ends the process at once:
    what is half written then is removed at the next start.
    """
    stop.exits_at_once = True
    keras.utils.set_random_seed(settings.seed % 2**32)
    degradation = degradation_of(settings)
    photons = None if training.noise is None else photon_cache.summary(training.noise)
    crop, seed = settings.crop, settings.seed
    make = partial(batches.dataset, training, settings.batch_size, crop, degradation, seed)
    trainer = trainer_of(settings, weights, make)
    patches = Validation.of(validation, crop, degradation, seed)
    noise = degradation.noise.describe()
    noise += f"\n{photon_cache.summary_text(photons)}" if photons else ""
    folder = TrainFolder(settings.train_dir, label(settings, weights, noise, data.synthetic))
    if saved is None:
        validate = partial(events.validate, trainer, patches, folder, 0, "step 0 (start)")
        steps = new_plan(settings, trainer, make, validate, started)
    else:
        steps = saved.manifest.plan
    manifest = Manifest(
        settings=all_settings.record(settings),
        degradation=degradation.as_json(),
        vgg_weights=weights.mode,
        vgg_sha256=weights.sha256,
        precision=keras.mixed_precision.global_policy().name,
        data=data,
        plan=steps,
        photons=photons,
    )
    run = Run(settings, trainer, make, patches, folder, manifest, stop)
    if saved is None:
        run.save()
    else:
        run.restore(saved)
        changed = _changed_precision(saved.manifest, manifest)
        log.info(f"continuing at step {run.step} of {run.plan.steps}{changed}")
    return run


def _changed_precision(before: Manifest, now: Manifest) -> str:
    """ ", bfloat16 instead of float32", where the user changed it."""
    if before.precision == now.precision:
        return ""
    old, new = (m.precision.removeprefix("mixed_") for m in (before, now))
    return f", {new} instead of {old}"


def label(settings: Settings, weights: VggWeights, noise: str, synthetic: bool) -> str:
    """How every picture was made, on two lines."""
    chest = "SYNTHETIC chest, " if synthetic else ""
    return (
        f"{chest}{settings.generator} generator x{settings.scale}, content: "
        f"{settings.content_loss}, VGG19 weights: {weights.mode}\n"
        f"{noise}"
    )


def has_gan(settings: Settings) -> bool:
    return settings.gan_steps != 0 and settings.gan_share > 0


def trainer_of(settings: Settings, weights: VggWeights, make: Callable) -> Trainer:
    """Networks and optimizers, all built: a state is restored into existing variables.

    make: batches of (low dose, normal dose), which scale random VGG19 features.
    """
    s = settings
    trained, average = (generator.build(s.generator, s.scale, s.seed) for _ in range(2))
    average.trainable = False
    critic = critic_optimizer = features = None
    if has_gan(s):
        critic = discriminator.build(s.crop, s.seed)
        critic_optimizer = adam(critic.trainable_variables)
        if weights.mode != "none" and s.content_loss != "pixel":
            (_, sample), *_ = make(0, 1)
            features = vgg.build(s.content_loss, weights, sample.numpy(), s.seed)
    return Trainer(
        form=s.generator,
        content_mode=weights.mode,
        generator=trained,
        average=average,
        discriminator=critic,
        features=features,
        generator_optimizer=adam(trained.trainable_variables),
        discriminator_optimizer=critic_optimizer,
    )


def adam(variables: list) -> keras.Optimizer:
    """Adam of these variables, built; in float16 with a loss scale."""
    optimizer = keras.optimizers.Adam(1e-4, beta_1=0.9, beta_2=0.99)
    if keras.mixed_precision.global_policy().name == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    optimizer.build(variables)
    return optimizer


def new_plan(
    settings: Settings, trainer: Trainer, make: Callable, validate: Callable, started: float
) -> plan.Plan:
    """The plan of a new run. Minutes become steps: everything is timed first.

    validate: draws the grid of the start; it is called here in any case.
    """
    validate()
    if settings.pretrain_steps is not None:
        steps = plan.Plan(settings.pretrain_steps, settings.gan_steps)
        log.info(
            f"plan: {steps.pretrain_steps} steps of pre-training, {steps.gan_steps} of the GAN"
        )
        return steps
    log.info("timing a few steps of each stage")
    pretrain_s = _time_steps(trainer, make, trainer.pretrain_step)
    gan_s = _time_steps(trainer, make, trainer.gan_step) if has_gan(settings) else pretrain_s
    event_s = _time_event(settings.checkpoint_dir, trainer, validate)
    steps = plan.from_minutes(
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


def _time_steps(trainer: Trainer, make: Callable, update: Callable) -> float:
    """Mean seconds of one step with its batch; every variable is put back afterwards."""
    variables = trainer.variables()
    before = [v.numpy() for v in variables]
    for k, (low, normal) in enumerate(make(0, 10**6)):
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
    with writing(folder), tempfile.TemporaryDirectory(dir=folder, prefix=".trial-") as trial:
        checkpoint_states.write(Path(trial) / "step-0000000", trainer.state(), {})
    return time.monotonic() - began
