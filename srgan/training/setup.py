"""From settings to a training that can start: networks, optimizers, validation and the plan."""

import logging
from collections.abc import Callable
from functools import partial

import keras

from srgan import settings as all_settings
from srgan.lowdose import photon_cache
from srgan.models import discriminator, generator, vgg
from srgan.models.vgg_weights import VggWeights
from srgan.settings import Settings, degradation_of
from srgan.system.signals import Stop
from srgan.training import batches, events, timing
from srgan.training.batches import SliceSet
from srgan.training.checkpoint_folder import Saved
from srgan.training.manifest import Manifest, SeenData
from srgan.training.plan import Plan
from srgan.training.run import Run
from srgan.training.train_folder import TrainFolder
from srgan.training.trainer import Trainer
from srgan.training.validation import Validation

log = logging.getLogger(__name__)


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
    it keeps its plan whenever it is killed. Until the first step a signal ends the process at once.
    """
    keras.utils.set_random_seed(settings.seed % 2**32)
    degradation = degradation_of(settings)
    photons = None if training.noise is None else photon_cache.summary(training.noise)
    crop, seed = settings.crop, settings.seed
    make_batches = partial(batches.dataset, training, settings.batch_size, crop, degradation, seed)
    trainer = trainer_of(settings, weights, make_batches)
    patches = Validation.of(validation, crop, degradation, seed)
    noise = degradation.noise.describe()
    noise += f"\n{photon_cache.summary_text(photons)}" if photons else ""
    folder = TrainFolder(settings.train_dir, label(settings, weights, noise, data.synthetic))
    if saved is None:
        validate = partial(events.validate, trainer, patches, folder, 0, "step 0 (start)")
        steps = timing.new_plan(settings, trainer, make_batches, validate, started)
    else:
        steps = saved.manifest.plan
    manifest = _manifest(settings, weights, data, steps, photons)
    run = Run(settings, trainer, make_batches, patches, folder, manifest, stop)
    if saved is None:
        run.save()
    else:
        run.restore(saved)
        changed = _changed_precision(saved.manifest, manifest)
        log.info(f"continuing at step {run.step} of {run.plan.steps}{changed}")
    return run


def _manifest(
    settings: Settings, weights: VggWeights, data: SeenData, plan: Plan, photons: dict | None
) -> Manifest:
    return Manifest(
        settings=all_settings.record(settings),
        degradation=degradation_of(settings).as_json(),
        vgg_weights=weights.mode,
        vgg_sha256=weights.sha256,
        precision=keras.mixed_precision.global_policy().name,
        data=data,
        plan=plan,
        photons=photons,
    )


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


def trainer_of(settings: Settings, weights: VggWeights, make_batches: Callable) -> Trainer:
    """Networks and optimizers, all built: a state is restored into existing variables.

    make_batches: gives batches of (low dose, normal dose), which scale random VGG19 features.
    """
    s = settings
    trained, average = (generator.build(s.generator, s.scale, s.seed) for _ in range(2))
    average.trainable = False
    critic = critic_optimizer = features = None
    if timing.has_gan(s):
        critic = discriminator.build(s.crop, s.seed)
        critic_optimizer = adam(critic.trainable_variables)
        if weights.mode != "none" and s.content_loss != "pixel":
            (_, sample), *_ = make_batches(0, 1)
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
