"""--run train: scans to a store, a plan of steps, the SRResNet, then the SRGAN."""

import secrets
import time
from pathlib import Path
from typing import Any

from srgan import settings as all_settings
from srgan.errors import UserError
from srgan.files import told
from srgan.networks import machine, vgg_file
from srgan.progress import Progress, log
from srgan.scans import store as stores
from srgan.scans.index import known_by
from srgan.settings import Settings
from srgan.training import checkpoints
from srgan.training.plan import Plan

SET_ASIDE = {
    "checkpoint_dir": ("step-*", "srresnet-*", "srgan-*"),
    "train_dir": ("grid-*.png", "slice-*.png", "log.csv"),
}


def train(given: dict[str, Any]) -> int:
    """The whole of it; returns the exit code. Raises UserError."""
    settings = all_settings.make(given)
    if (settings.pretrain_steps, settings.gan_steps) == (0, 0):
        open_store(settings)
        return 0
    with checkpoints.only_writer(settings.checkpoint_dir):
        saved = None if settings.fresh else checkpoints.newest_state(settings.checkpoint_dir, log)
        if saved is not None:
            settings = continued(given, saved[1])
        wanted = _wanted_weights(settings, saved)
        weights = None if wanted == "auto" else vgg_file.find(wanted, log)  # wrong: told at once
        store = open_store(settings)
        started = time.monotonic()  # the budget counts from here
        slices, validation = sides(store, settings.crop)
        if saved is None:
            _set_old_run_aside(settings)
            data = what_is_seen(store)
        else:
            data = _same_scans(saved, store, settings)
            if _is_finished(saved[1]):
                return _say_finished(settings, saved[1])
        weights = weights or vgg_file.find(wanted, log)
        machine.start(settings.precision)  # TensorFlow, from here on
        from srgan.training import begin, loop

        manifest = {
            "settings": all_settings.record(settings),
            "vgg_weights": weights.mode,
            "data": data,
        }
        run = begin.begin(settings, weights, slices, validation, manifest, saved, started)
        code = loop.train(run)
    if code == 0:
        print(f"trained {run.plan.steps} steps; models in {settings.checkpoint_dir}")
    return code


def open_store(settings: Settings) -> stores.Store:
    store = stores.open_or_build(settings, log, Progress())
    print(f"found {store.found}, used {store.used}, skipped {store.skipped}", flush=True)
    return store


def continued(given: dict[str, Any], manifest: dict) -> Settings:
    """Settings of a run that goes on. Raises UserError where one was asked to change."""
    recorded = all_settings.from_record(manifest["settings"])
    if recorded["vgg_weights"] == "file":
        recorded["vgg_weights"] = given.get("vgg_weights", "file")
    may_change = {f.name for f in all_settings.fields() if f.metadata["resume"]}
    for name, new in given.items():
        if name in recorded and name not in may_change and new != recorded[name]:
            raise UserError(
                f"the run in the checkpoint has {all_settings.flag(name)} {recorded[name]}, not "
                f"{new}: leave the flag out to continue, or add --fresh to start anew"
            )
    return all_settings.make(given, recorded)


def _wanted_weights(settings: Settings, saved: tuple[Path, dict] | None) -> str:
    """A run that goes on keeps the weights it began with; a loss without VGG needs none."""
    if settings.content_loss == "pixel" or settings.gan_steps == 0 or settings.gan_share == 0:
        return "none"
    if saved is None:
        return settings.vgg_weights
    mode = saved[1]["vgg_weights"]
    if mode == "file" and settings.vgg_weights == "file":
        raise UserError("this run began with a VGG19 file: name it again with --vgg-weights PATH")
    return settings.vgg_weights if mode == "file" else mode


def sides(store: stores.Store, crop: int) -> tuple[list, list]:
    """The training and validation slices that hold a crop. Raises UserError where none does."""
    by_role = {}
    for role in ("train", "validation"):
        by_role[role] = [store.hu(i) for i in large_enough(store, role, crop)]
    if not by_role["train"]:
        raise UserError(f"no training slice is as large as --crop {crop}; lower it, or add scans")
    small = sum(min(r.rows, r.columns) < crop for r in store.records)
    if small:
        log(f"{small} slices are smaller than --crop {crop} and are not trained on")
    counts = {role: len(store.with_role(role)) for role in ("train", "validation", "test")}
    log(", ".join(f"{n} slices {role}" for role, n in counts.items()))
    if not counts["test"]:
        log("no patient is held out for testing: too few patients, or the split names none")
    if not by_role["validation"]:
        log("no validation side: training slices are watched instead; its figures flatter")
        by_role["validation"] = by_role["train"]
    return by_role["train"], by_role["validation"]


def large_enough(store: stores.Store, role: str, crop: int) -> list[int]:
    return [
        i
        for i in store.with_role(role)
        if min(store.records[i].rows, store.records[i].columns) >= crop
    ]


def what_is_seen(store: stores.Store, salt: str | None = None) -> dict:
    """Salted hashes of every patient, series and slice that is trained or validated on."""
    salt = salt or secrets.token_hex(16)
    seen = set()
    for role in ("train", "validation"):
        for i in store.with_role(role):
            seen.update(known_by(store.records[i], store.patients))
    return {
        "salt": salt,
        "seen": sorted(checkpoints.hashed(salt, text) for text in seen),
        "slices": {r: len(store.with_role(r)) for r in ("train", "validation", "test")},
        "synthetic": store.synthetic,
    }


def _same_scans(saved: tuple[Path, dict], store: stores.Store, settings: Settings) -> dict:
    data = saved[1]["data"]
    if what_is_seen(store, data["salt"]) != data:
        raise UserError(
            f"the run in {settings.checkpoint_dir} was trained on other scans than --data "
            f"{settings.data} holds now: name its scans to continue, or add --fresh to start anew"
        )
    return data


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
        with told(folder):
            folder.mkdir(parents=True, exist_ok=True)
        aside = checkpoints.set_aside(folder, patterns)
        if aside is not None:
            log(f"what an old run left in {folder} now lies in {aside}")
