"""--run train: from scans to a store, a plan, the SRResNet and then the SRGAN."""

import logging
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from srgan import __version__
from srgan import settings as all_settings
from srgan.commands import initial_model, resume
from srgan.commands.initial_model import Initial
from srgan.commands.open_store import is_usable, open_store
from srgan.dataset.store import Store
from srgan.lowdose import noise_cache
from srgan.lowdose.real_pairs import PairNoise
from srgan.models import tensorflow_setup, vgg_weights
from srgan.models.vgg_weights import VggWeights
from srgan.settings import Settings, degradation_of
from srgan.system import locks, signals, surroundings
from srgan.system.checksums import sha256_of_text
from srgan.system.errors import UserError, plural
from srgan.system.files import clear_parts, writing
from srgan.training import (
    checkpoint_folder,
    checkpoint_states,
    devices,
    memory_need,
    shipped_weights,
)
from srgan.training.batches import SliceSet
from srgan.training.checkpoint_folder import Saved
from srgan.training.cluster import cluster
from srgan.training.start import Start
from srgan.training.workers import Workers, joined

log = logging.getLogger(__name__)

OLD_RUN = {
    "checkpoint_dir": (
        checkpoint_states.NEWEST,
        checkpoint_states.EXTENDED,
        "step-*",
        "srresnet-*",
        "srgan-*",
    ),
    "train_dir": ("grid-*.png", "slice-*.png", "log.csv"),
}


def train(given: dict[str, Any]) -> int:
    """Run the command; returns the exit code. Raises UserError."""
    given = all_settings.with_recipe(all_settings.with_pairs(given))
    steps = given.get("pretrain_steps"), given.get("gan_steps")
    with signals.caught() as stop:
        if steps == (0, 0):
            return _build_store_only(all_settings.make(given))
        folders = Settings(**given)  # checked once it is known whether a run is resumed
        shipped_weights.refuse_to_write(folders.checkpoint_dir, "--checkpoint-dir")
        with joined(cluster()) as workers, _sole_writer(folders, workers):
            return _train(given, folders, stop, workers)


@contextmanager
def _sole_writer(folders: Settings, workers: Workers | None) -> Iterator[None]:
    """Of all workers the chief alone writes, and nobody else into its folders."""
    if not devices.is_chief(workers):
        logging.getLogger("srgan").setLevel(logging.WARNING)  # the chief says the rest
        yield
        return
    with (
        checkpoint_folder.only_writer(folders.checkpoint_dir),
        locks.sole(folders.train_dir / ".lock-train", "--train-dir"),
    ):
        clear_parts(folders.train_dir)
        yield


def _build_store_only(settings: Settings) -> int:
    store = open_store(settings)
    _report_split(store, settings)
    if degradation_of(settings).noise.in_projections:
        slice_sets(store, settings)
    _report_untrained(store)
    return 0


def _report_untrained(store: Store) -> None:
    """What to do next, then where the reasons are."""
    skipped = f"{plural(store.skipped, 'skipped file')} and why: {store.folder / 'skipped.csv'}"
    log.info(
        "the scans are ready, nothing was trained: leave out --pretrain-steps 0 --gan-steps 0 to "
        "train" + (f"; {skipped}" if store.skipped else "")
    )


def _train(
    given: dict[str, Any], folders: Settings, stop: signals.Stop, workers: Workers | None
) -> int:
    is_chief = devices.is_chief(workers)
    saved = devices.newest_state(folders.checkpoint_dir, workers, fresh=folders.fresh)
    settings = _settings(given, saved)
    if workers is not None:
        workers.agree(_conditions(settings))
    devices.check(settings, workers and workers.cluster)
    is_new = saved is None and is_chief
    initial = initial_model.load(settings) if is_new and settings.init else None
    wanted = resume.wanted_vgg_weights(settings, saved)
    weights = None if wanted == "auto" else vgg_weights.find(wanted)  # fail before scans are read
    if saved is not None and weights is not None:
        resume.check_vgg_file(weights, saved.manifest)
    store = open_store(settings)
    _report_split(store, settings)
    started = time.monotonic()  # the budget of minutes begins here
    training, validation = slice_sets(store, settings)
    start = _start_of(settings, store, saved, initial)
    if saved is not None and saved.manifest.step >= saved.manifest.plan.steps and not start.changed:
        return _report_finished(settings, saved)
    weights = weights or vgg_weights.find(wanted)
    if workers is not None:
        workers.agree(_data_conditions(store, weights))
    if is_new:
        _set_old_run_aside(settings)
    memory_need.check_start(settings)
    with memory_need.told(settings, memory_need.heaviest(settings), "the start of the training"):
        strategy = _start_tensorflow(settings, saved, workers)
        from srgan.training import loop, setup  # these import TensorFlow

        run = setup.begin(
            settings, weights, training, validation, start, started, stop, strategy, workers
        )
    with memory_need.told(settings, memory_need.heaviest(settings), "the training"):
        code = loop.train(run)
    if code == 0:
        waited = f"waited for data {run.waiting.share:.1%} of the time"
        print(f"trained {run.plan.steps} steps, {waited}; models in {settings.checkpoint_dir}")
    return code


def _conditions(settings: Settings) -> dict[str, str]:
    """What all workers must have alike, before they read a scan."""
    recorded = {all_settings.flag(k): str(v) for k, v in all_settings.record(settings).items()}
    return {
        "the version": __version__,
        **{f"the version of {name}": number for name, number in surroundings.versions().items()},
        **recorded,
        "--init": "not given" if settings.init is None else "given",
    }


def _data_conditions(store: Store, weights: VggWeights) -> dict[str, str]:
    """What all workers must have alike, before the first step."""
    data = resume.seen_data(store, salt="workers")
    digest = sha256_of_text("".join(sorted(data.seen)))[:12]
    return {
        "the scans": f"{data.slices['train']} slices to train on ({digest})",
        "VGG19 weights": f"{weights.mode} {(weights.sha256 or '')[:12]}".strip(),
    }


def _start_tensorflow(settings: Settings, saved: Saved | None, workers: Workers | None):
    """The strategy of the devices that train. Raises UserError where they do not fit together."""
    cluster, chosen = workers and workers.cluster, []
    asked = resume.precision(settings, saved)

    def choose_devices():
        if workers is not None:
            workers.connect_tensorflow()
        chosen.append(devices.strategy_of(settings.devices, cluster))

    policy = tensorflow_setup.start(asked, settings.deterministic, choose_devices)
    signals.take_back()
    (strategy,) = chosen
    n = strategy.num_replicas_in_sync
    if workers is not None:
        workers.agree({"--precision": policy.removeprefix("mixed_"), "the number of devices": n})
    devices.check_batch(settings, n)
    log.info(devices.described(strategy, cluster))
    log.info(tensorflow_setup.described(asked, policy))
    return strategy


def _start_of(
    settings: Settings, store: Store, saved: Saved | None, initial: Initial | None
) -> Start:
    """Raises UserError if the store holds other scans than the saved run began with."""
    if saved is not None:
        resume.check_same_scans(saved.manifest, store, settings)
        return Start(saved.manifest.data, saved, resume.changes(settings, saved.manifest))
    if initial is None:
        return Start(resume.seen_data(store))
    initial_model.report(initial, store)
    data = resume.seen_data(store, earlier=initial.trained.manifest.data.every())
    return Start(data, origin=initial.origin, trained=initial.trained)


def _settings(given: dict[str, Any], saved: Saved | None) -> Settings:
    if saved is None:
        return all_settings.make(given)
    settings = resume.resumed_settings(given, saved.manifest)
    initial_model.check_same(settings, saved.manifest)
    return settings


def slice_sets(store: Store, settings: Settings) -> tuple[SliceSet, SliceSet]:
    """The slices for training and for validation that hold a patch, and their noise.

    Without validation patients, training slices are validated on. Raises UserError where no slice
    is left to train on, or the noise cannot be made.
    """
    training, validation = (
        [i for i in store.with_role(role) if is_usable(store.records[i], settings, settings.crop)]
        for role in ("train", "validation")
    )
    if not training:
        raise UserError(
            f"no training slice is as large as --crop {settings.crop}; lower it, or add scans"
        )
    _report_unusable(store, settings)
    if not validation:
        log.warning(
            "no validation patients: training slices are used instead, and the metrics flatter"
        )
        validation = training
    noise = _noise_of(store, sorted({*training, *validation}), settings)
    return tuple(
        SliceSet([store.hu(i) for i in role], noise and [noise[i] for i in role])
        for role in (training, validation)
    )


def _noise_of(store: Store, indices: list[int], settings: Settings) -> dict | None:
    """Slice number to its noise; None where it is added to the pixels of each patch."""
    if settings.pairs is not None:
        return {i: PairNoise(store.hu(i), store.low_hu(i)) for i in indices}
    degradation = degradation_of(settings)
    if not degradation.noise.in_projections:
        return None
    noise = noise_cache.open_or_build(
        store, indices, degradation.noise, settings.seed, settings.realisations
    )
    return dict(zip(indices, noise, strict=True))


def _report_unusable(store: Store, settings: Settings) -> None:
    unusable = sum(not is_usable(r, settings, settings.crop) for r in store.records)
    if unusable:
        log.info(
            f"{unusable} slices are smaller than --crop {settings.crop} or have no square pixels "
            f"and are not trained on"
        )


def _report_split(store: Store, settings: Settings) -> None:
    """How many patients and slices have each role; why nobody is held out, where that is so."""
    slices = Counter(record.role for record in store.records)
    patients = Counter({record.pseudonym: record.role for record in store.records}.values())
    log.info(
        f"split: {plural(patients['train'], 'patient')} and {plural(slices['train'], 'slice')} "
        f"train, "
        f"{patients['validation']} and {slices['validation']} validate, "
        f"{patients['test']} and {slices['test']} test"
    )
    if slices["test"]:
        return
    if settings.split is not None:
        why = "--split gives the role test to no patient here; give it to some"
    else:
        why = (
            f"that takes three patients, the data have {patients.total()}; add scans of others, "
            "tell patients apart with --patients, or set the parts with --split"
        )
    log.warning(f"nobody is held out for testing: {why}")


def _report_finished(settings: Settings, saved: Saved) -> int:
    print(
        f"the run in {settings.checkpoint_dir} is finished ({saved.manifest.step} steps): --run "
        f"test evaluates it, {_more(settings)} goes on with it, --fresh sets it aside and starts "
        f"anew"
    )
    return 0


def _more(settings: Settings) -> str:
    if settings.pretrain_steps is not None:
        return "a larger --gan-steps or --pretrain-steps"
    return f"--train-minutes above {settings.train_minutes:g}"


def _set_old_run_aside(settings: Settings) -> None:
    for name, patterns in OLD_RUN.items():
        folder = getattr(settings, name)
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        aside = checkpoint_folder.set_aside(folder, patterns)
        if aside is not None:
            log.info(f"an earlier run in {folder} now lies in {aside}")
