"""--run train: scans to a store, a plan of steps, the SRResNet, then the SRGAN."""

import logging
import secrets
import time
from pathlib import Path
from typing import Any

from srgan import settings as all_settings
from srgan.dataset import build_store as stores
from srgan.dataset.store import known_by
from srgan.lowdose import noise_cache, photon_cache
from srgan.models import tensorflow_setup, vgg_weights
from srgan.settings import Settings, dataset_paths, degradation_of
from srgan.system import locks, signals
from srgan.system.errors import UserError
from srgan.system.files import clear_parts, writing
from srgan.training import checkpoint_models, checkpoint_states
from srgan.training.batches import Side
from srgan.training.plan import Plan

log = logging.getLogger(__name__)

SET_ASIDE = {
    "checkpoint_dir": (checkpoint_states.NEWEST, "step-*", "srresnet-*", "srgan-*"),
    "train_dir": ("grid-*.png", "slice-*.png", "log.csv"),
}


def train(given: dict[str, Any]) -> int:
    """The whole of it; returns the exit code. Raises UserError, and Stopped by a signal."""
    with signals.caught() as stop:
        return _train(given, stop)


def _train(given: dict[str, Any], stop: signals.Stop) -> int:
    settings = Settings(**given)  # whether they agree is known once a run to continue is found
    if (settings.pretrain_steps, settings.gan_steps) == (0, 0):
        settings = all_settings.make(given)
        store = open_store(settings)
        if degradation_of(settings).in_projections:
            sides(store, settings)
        return 0
    with (
        checkpoint_models.only_writer(settings.checkpoint_dir),
        locks.sole(settings.train_dir / ".lock-train", "--train-dir"),
    ):
        clear_parts(settings.train_dir)
        saved = None if settings.fresh else checkpoint_states.newest(settings.checkpoint_dir)
        settings = all_settings.make(given) if saved is None else continued(given, saved[1])
        wanted = _wanted_weights(settings, saved)
        weights = None if wanted == "auto" else vgg_weights.find(wanted)  # wrong: told at once
        if saved is not None:
            _check_file(weights, saved[1])
        store = open_store(settings)
        started = time.monotonic()  # the budget counts from here
        both = sides(store, settings)
        if saved is None:
            _set_old_run_aside(settings)
            data = what_is_seen(store)
        else:
            data = _same_scans(saved, store, settings)
            if _is_finished(saved[1]):
                return _say_finished(settings, saved[1])
        weights = weights or vgg_weights.find(wanted)
        tensorflow_setup.start(
            _precision(settings, saved), settings.deterministic
        )  # TensorFlow, from here
        from srgan.training import loop, setup

        manifest = {
            "settings": all_settings.record(settings),
            "vgg_weights": weights.mode,
            "vgg_sha256": weights.sha256,
            "data": data,
        }
        run = setup.begin(settings, weights, both, manifest, saved, started, stop)
        code = loop.train(run)
    if code == 0:
        print(f"trained {run.plan.steps} steps; models in {settings.checkpoint_dir}")
    return code


def open_store(settings: Settings) -> stores.Store:
    store = stores.open_or_build(dataset_paths(settings))
    print(f"found {store.found}, used {store.used}, skipped {store.skipped}", flush=True)
    return store


def continued(given: dict[str, Any], manifest: dict) -> Settings:
    """Settings of a run that goes on. Raises UserError where one was asked to change."""
    recorded = all_settings.from_record(manifest["settings"])
    if recorded.get("vgg_weights") == "file":
        recorded["vgg_weights"] = given.get("vgg_weights", "file")
    may_change = {name for name, setting in all_settings.SETTINGS.items() if setting.may_change}
    differ = [
        f"{all_settings.flag(name)} {recorded[name]}, not {new}"
        for name, new in given.items()
        if name in recorded and name not in may_change and new != recorded[name]
    ]
    if differ:
        raise UserError(
            f"the run in the checkpoint has {'; '.join(differ)}: leave "
            f"{'the flag' if len(differ) == 1 else 'these flags'} out to continue, or add --fresh "
            f"to start anew"
        )
    return all_settings.make(given, recorded)


def _wanted_weights(settings: Settings, saved: tuple[Path, dict] | None) -> str:
    """A run that goes on keeps the weights it began with; a loss without VGG needs none."""
    if settings.content_loss == "pixel" or settings.gan_steps == 0 or settings.gan_share == 0:
        return "none"
    if saved is None:
        return settings.vgg_weights
    mode = saved[1]["vgg_weights"]
    if mode == "file" and settings.vgg_weights in all_settings.VGG_RECORDED:
        raise _other_file(saved[1], settings.vgg_weights)
    return settings.vgg_weights if mode == "file" else mode


def _precision(settings: Settings, saved: tuple[Path, dict] | None) -> str:
    """auto: a run that goes on keeps what it has had, on another machine too.

    Raises UserError where it would need a loss scale that it has not, or the reverse.
    """
    before = saved[1].get("precision", "auto").removeprefix("mixed_") if saved else "auto"
    if settings.precision == "auto" or before == "auto":
        return settings.precision if before == "auto" else before
    if (settings.precision == "float16") != (before == "float16"):
        raise UserError(
            f"the run in the checkpoint has --precision {before}, not {settings.precision}: "
            f"float16 alone has a loss scale; leave the flag out to continue, or add --fresh to "
            f"start anew"
        )
    return settings.precision


def _check_file(weights: vgg_weights.VggWeights, manifest: dict) -> None:
    """Is a VGG19 file the one that the run began with? Raises UserError."""
    began = manifest.get("vgg_sha256") or weights.sha256
    if weights.mode == "file" and weights.sha256 != began:
        raise _other_file(manifest, f"{weights.path} ({weights.sha256[:12]}...)")


def _other_file(manifest: dict, new: str) -> UserError:
    began = (manifest.get("vgg_sha256") or "unknown")[:12]
    now = "which is not named now" if new == "file" else f"not {new}"
    return UserError(
        f"the run in the checkpoint has --vgg-weights PATH of a file with SHA-256 {began}..., "
        f"{now}: name that file to continue, or add --fresh to start anew"
    )


def sides(store: stores.Store, settings: Settings) -> tuple[Side, Side]:
    """Training and validation: the slices that hold a crop, and their noise where it is kept.

    Raises UserError where none is left to train on, or the noise cannot be made.
    """
    degradation = degradation_of(settings)
    indices = {
        role: [i for i in store.with_role(role) if serves(store.records[i], settings)]
        for role in ("train", "validation")
    }
    if not indices["train"]:
        raise UserError(
            f"no training slice is as large as --crop {settings.crop}; lower it, or add scans"
        )
    _say_roles(store, settings)
    if not indices["validation"]:
        log.warning("no validation side: training slices are watched instead; its figures flatter")
        indices["validation"] = indices["train"]
    noise = None
    if degradation.in_projections:
        wanted = sorted({i for role in indices.values() for i in role})
        s, model = settings, degradation.noise
        made = noise_cache.open_or_build(store, wanted, model, s.seed, s.realisations)
        noise = dict(zip(wanted, made, strict=True))
    return tuple(
        Side([store.hu(i) for i in role], noise and [noise[i] for i in role])
        for role in indices.values()
    )


def serves(record: stores.Record, settings: Settings) -> bool:
    """Does the slice hold a crop, and pixels that can be projected where that is asked for?"""
    large = min(record.rows, record.columns) >= settings.crop
    needs_square = degradation_of(settings).in_projections
    return large and (not needs_square or photon_cache.has_square_pixels(record))


def _say_roles(store: stores.Store, settings: Settings) -> None:
    unfit = sum(not serves(r, settings) for r in store.records)
    if unfit:
        log.info(
            f"{unfit} slices are smaller than --crop {settings.crop} or have no square pixels and "
            f"are not trained on"
        )
    counts = {role: len(store.with_role(role)) for role in ("train", "validation", "test")}
    log.info(", ".join(f"{n} slices {role}" for role, n in counts.items()))
    if not counts["test"]:
        log.warning("no patient is held out for testing: too few patients, or the split names none")


def what_is_seen(store: stores.Store, salt: str | None = None) -> dict:
    """Salted hashes of every patient, series and slice that is trained or validated on."""
    salt = salt or secrets.token_hex(16)
    known = _known(store, salt)
    return {
        "salt": salt,
        "seen": sorted(set().union(*known)),
        "patients": len(known[0]),
        "slices": {r: len(store.with_role(r)) for r in ("train", "validation", "test")},
        "synthetic": store.synthetic,
    }


def _known(store: stores.Store, salt: str) -> tuple[set[str], set[str], set[str]]:
    """Salted hashes of the patients, the series and the pixels of training and validation."""
    indices = [i for role in ("train", "validation") for i in store.with_role(role)]
    known = [known_by(store.records[i], store.patients) for i in indices]
    kinds = zip(*known, strict=True) if known else ((), (), ())
    return tuple({checkpoint_models.hashed(salt, text) for text in kind} for kind in kinds)


def _same_scans(saved: tuple[Path, dict], store: stores.Store, settings: Settings) -> dict:
    data = saved[1]["data"]
    now = what_is_seen(store, data["salt"])
    if any(now[part] != data.get(part) for part in ("seen", "slices", "synthetic")):
        raise UserError(
            f"the run in {settings.checkpoint_dir} was trained on other scans than --data "
            f"{settings.data} holds now ({_difference(data, now, store)}): name its scans to "
            f"continue, or add --fresh to start anew"
        )
    return data


def _difference(data: dict, now: dict, store: stores.Store) -> str:
    """What is new in training and validation, and what is missing; else the slices of each role."""
    if now["seen"] == data["seen"]:
        return "; now ".join(
            ", ".join(f"{n} slices {role}" for role, n in of.get("slices", {}).items())
            for of in (data, now)
        )
    patients, _, pixels = _known(store, data["salt"])
    slices = sum(data.get("slices", {}).get(role, 0) for role in ("train", "validation"))
    told = []
    for name, here, before in (
        ("patients", patients, data.get("patients", 0)),  # 0: an earlier version did not count
        ("slices", pixels, slices),
    ):
        known = len(here & set(data["seen"]))
        told.append(f"{name}: {len(here) - known} new, {max(before - known, 0)} missing")
    return "; ".join(told)


def _is_finished(manifest: dict) -> bool:
    return manifest["step"] >= Plan(**manifest["plan"]).steps


def _say_finished(settings: Settings, manifest: dict) -> int:
    print(
        f"the run in {settings.checkpoint_dir} is finished ({manifest['step']} steps): --run test "
        f"judges it, --fresh sets it aside and starts anew"
    )
    return 0


def _set_old_run_aside(settings: Settings) -> None:
    for name, patterns in SET_ASIDE.items():
        folder = getattr(settings, name)
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        aside = checkpoint_models.set_aside(folder, patterns)
        if aside is not None:
            log.info(f"what an old run left in {folder} now lies in {aside}")
