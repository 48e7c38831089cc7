"""From settings to a training that can start: networks, optimizers, validation and the plan."""

import logging
import math
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import keras

from srgan import settings as all_settings
from srgan.lowdose import photon_cache
from srgan.models import discriminator, generator, vgg
from srgan.models.vgg_weights import VggWeights
from srgan.settings import Settings, degradation_of, has_gan
from srgan.system.signals import Stop, undone
from srgan.training import (
    batches,
    checkpoint_states,
    devices,
    events,
    memory_need,
    noise_range,
    timing,
)
from srgan.training.adam import Adam
from srgan.training.batches import SliceSet
from srgan.training.manifest import Extension, Manifest
from srgan.training.plan import Plan
from srgan.training.run import Run
from srgan.training.start import Start
from srgan.training.train_folder import TrainFolder
from srgan.training.trainer import Trainer
from srgan.training.validation import Validation
from srgan.training.workers import Workers

log = logging.getLogger(__name__)


def begin(
    settings: Settings,
    weights: VggWeights,
    training: SliceSet,
    validation: SliceSet,
    start: Start,
    started: float,
    stop: Stop,
    strategy,
    workers: Workers | None,
) -> Run:
    """A new run, or the saved one at the step where it stopped. Raises UserError.

    started: time.monotonic() where the budget of minutes began. A new run is saved at once, so that
    it keeps its plan whenever it is killed. Until the first step a signal ends the process at once.
    strategy: of TensorFlow, over the devices that train. workers: the others of a cluster.
    """
    keras.utils.set_random_seed(settings.seed % 2**32)
    degradation, saved = degradation_of(settings), start.saved
    photons = photon_cache.summary(training.noise) if degradation.noise.in_projections else None
    crop, seed = settings.crop, settings.seed
    make_batches = partial(batches.dataset, training, settings.batch_size, crop, degradation, seed)
    manifest = _manifest(settings, weights, start, photons)
    if manifest.noise_range is None:
        inputs = noise_range.measured(training, degradation, seed)
        manifest = replace(manifest, noise_range=inputs)
        if inputs is not None:
            log.info(f"noise of the inputs: {inputs.text()}")
    sample = partial(batches.batch, training, manifest.sample_size, crop, degradation, seed, 0)
    has_state = devices.from_chief(
        workers,
        lambda: saved is not None and checkpoint_states.holds_discriminator(saved.path),
    )
    stage, machines = memory_need.heaviest(settings), devices.machines(workers)
    memory_need.check(settings, stage, built=False, machines=machines)
    with strategy.scope():
        trainer = trainer_of(settings, weights, sample, has_gan(settings) or has_state)
    patches = Validation.of(validation, crop, degradation, seed)
    noise = degradation.noise.describe()
    noise += f"\n{photon_cache.summary_text(photons)}" if photons else ""
    folder = TrainFolder(settings.train_dir, label(settings, weights, noise, start.data.synthetic))
    run = Run(settings, trainer, make_batches, patches, folder, manifest, stop, workers)
    if saved is None:
        _begin_new(run, start, started)
    else:
        _go_on(run, start, started)
    return run


def _begin_new(run: Run, start: Start, started: float) -> None:
    trainer = run.trainer
    metrics = _metrics_of_initial(run, start)
    if start.origin is not None:
        for network in (trainer.generator, trainer.average):
            start.trained.give(start.origin.model, network)
    if run.settings.init is not None:  # which the chief alone has read
        devices.share_variables(run.workers, trainer.variables())
    from_chief = partial(devices.from_chief, run.workers)
    validate = partial(events.validate, trainer, run.validation, run.folder, 0, "step 0 (start)")
    plan, warning = timing.new_plan(
        run.settings, trainer, run.batches, validate, started, from_chief
    )
    _take_over(run, plan, warning)
    _keep_initial(run, start, metrics)
    _tell_of_large_states(trainer)
    run.save()


def _metrics_of_initial(run: Run, start: Start) -> dict[str, dict[str, float]]:
    """Of the models that the stages of a new run begin with; the chief validates them."""
    if start.origin is None or not run.is_chief:
        return {}
    names = [start.origin.model, *(["srgan"] if start.origin.srgan_sha256 else [])]
    found = {}
    for name in names:
        start.trained.give(name, run.trainer.average)
        found[name] = run.validation.metrics(run.trainer.enhance(run.validation.low))
    return found


def _keep_initial(run: Run, start: Start, metrics: dict[str, dict[str, float]]) -> None:
    """They are the best of their stages until the run has better ones: it never ends below them."""
    for name, of_model in metrics.items():
        stage = "pretrain" if name == "srresnet" else "gan"
        if stage == "gan" and run.plan.pretrain_steps and start.origin.model == "srgan":
            continue  # pre-training begins with the SRGAN, for want of a SRResNet
        start.trained.give(name, run.trainer.average)
        events.keep_best(run, stage, of_model)
    if metrics:
        start.trained.give(start.origin.model, run.trainer.average)


def _go_on(run: Run, start: Start, started: float) -> None:
    saved = start.saved.manifest
    run.restore(start.saved)
    if start.changed:
        trainer, settings = run.trainer, run.settings
        with (
            tempfile.TemporaryDirectory() as place,  # for a grid that is timed: this step has one
            undone(lambda: shutil.rmtree(place, ignore_errors=True)),
        ):
            scratch = TrainFolder(Path(place), run.folder.label)
            validate = partial(events.validate, trainer, run.validation, scratch, run.step, "")
            from_chief = partial(devices.from_chief, run.workers)
            plan, warning = timing.extended_plan(
                settings, saved, trainer, run.batches, validate, started, from_chief
            )
        extension = Extension(
            when=f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
            step=run.step,
            steps=saved.plan.steps,
            pretrain_steps=plan.pretrain_steps,
            gan_steps=plan.gan_steps,
            changed=start.changed,
        )
        run.first_manifest = replace(run.first_manifest, extended=[*saved.extended, extension])
        _take_over(run, plan, warning)
        run.extend()
        log.info(extension.text())
    changed = _changed_precision(saved, run.first_manifest)
    log.info(f"continuing at step {run.step} of {run.plan.steps}{changed}")


def _take_over(run: Run, plan: Plan, warning: str) -> None:
    run.first_manifest = replace(run.first_manifest, plan=plan)
    outdated = ["short-budget"]
    if run.step <= plan.pretrain_steps:
        outdated.append("srresnet-below-input")  # pre-training goes on
    kept = [each for each in run.health.warnings if each.kind not in outdated]
    run.health.warnings = kept
    if warning:
        log.warning(run.health.warn(run.step, "short-budget", warning))


def _tell_of_large_states(trainer: Trainer) -> None:
    n_bytes = 4 * sum(math.prod(v.shape) for v in trainer.variables())  # float32
    if text := memory_need.state_text(n_bytes, checkpoint_states.KEEP + 1):
        log.warning(text)


def _manifest(
    settings: Settings, weights: VggWeights, start: Start, photons: dict | None
) -> Manifest:
    """What every checkpoint of this run says; a new run's plan is made later."""
    saved = start.saved and start.saved.manifest
    sample_size = settings.batch_size
    if saved is not None:
        sample_size = saved.sample_size or saved.settings.get("batch_size", sample_size)
    return Manifest(
        settings=all_settings.record(settings),
        degradation=degradation_of(settings).as_json(),
        vgg_weights=weights.mode,
        vgg_sha256=weights.sha256,
        precision=keras.mixed_precision.global_policy().name,
        data=start.data,
        plan=saved.plan if saved else Plan(0, 0),
        photons=photons,
        origin=saved.origin if saved else start.origin,
        extended=saved.extended if saved else [],
        noise_range=saved.noise_range if saved else None,
        sample_size=sample_size,
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


def trainer_of(
    settings: Settings, weights: VggWeights, sample: Callable, with_gan: bool
) -> Trainer:
    """Networks and optimizers, all built: a state is restored into existing variables.

    sample: gives a batch (low dose, normal dose), which scales random VGG19 features.
    """
    s = settings
    trained, average = (generator.build(s.generator, s.scale, s.seed) for _ in range(2))
    average.trainable = False
    critic = critic_optimizer = features = None
    if with_gan:
        critic = discriminator.build(s.generator, s.crop, s.seed)
        critic_optimizer = adam(critic.trainable_variables)
        if weights.mode != "none" and s.content_loss != "pixel":
            _, normal = sample()
            features = vgg.build(s.content_loss, weights, normal, s.seed)
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
    optimizer = Adam(1e-4, beta_1=0.9, beta_2=0.99)
    if keras.mixed_precision.global_policy().name == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    optimizer.build(variables)
    return optimizer
