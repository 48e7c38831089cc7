"""What a training that resumes may change, and what must be as it was at its start."""

import dataclasses
import secrets
from typing import Any

from srgan import settings as all_settings
from srgan.dataset.store import Store, known_by
from srgan.models.vgg_weights import VggWeights
from srgan.settings import Settings
from srgan.system.errors import UserError
from srgan.training.checkpoint_folder import Saved
from srgan.training.checkpoint_models import hashed
from srgan.training.manifest import Manifest, Seen, SeenData

# What may change when a run goes on; its plan is then made anew from its state.
PLANNED = ("train_minutes", "pretrain_steps", "gan_steps", "gan_share", "batch_size", "rate")
BUDGET = ("train_minutes", "pretrain_steps", "gan_steps")
WHY = {
    "generator": "the weights have one form",
    "scale": "the weights have one scale",
    "crop": "the discriminator judges patches of one size",
    "content_loss": "a GAN has one loss",
    "vgg_weights": "a GAN has one loss",
    "seed": "batches and validation follow from the seed",
    "deterministic": "equal runs must stay equal",
}  # may a setting not change; for all others:
ONE_DOSE = "a run learns from one low dose and is validated at it"


def recorded_settings(manifest: Manifest) -> Settings:
    """The settings of a saved run. Raises UserError for what this version does not know."""
    return Settings(**all_settings.from_record(manifest.settings))


def resumed_settings(given: dict[str, Any], manifest: Manifest) -> Settings:
    """The recorded settings with what was given. Raises UserError for one that may not change."""
    recorded, before = all_settings.from_record(manifest.settings), recorded_settings(manifest)
    planned = {name: getattr(manifest.plan, name) for name in ("pretrain_steps", "gan_steps")}
    if before.pretrain_steps is None and planned.items() <= given.items():  # the steps it has
        given = {name: value for name, value in given.items() if name not in planned}
    in_minutes = given.get("train_minutes", 0) > before.train_minutes
    if before.pretrain_steps is not None and in_minutes and not planned.keys() & given.keys():
        recorded |= dict.fromkeys(planned)  # from steps to minutes
    if recorded.get("vgg_weights") == "file":
        recorded["vgg_weights"] = given.get("vgg_weights", "file")
    may_change = _may_change(before, Settings(**{**recorded, **given}))
    differ = {
        name: new
        for name, new in given.items()
        if name in recorded and name not in may_change and new != recorded[name]
    }
    if differ:
        why = WHY.get(next(iter(differ)), ONE_DOSE)
        why += "; --init starts a new run from its model"
        raise _refused(recorded, differ, why, given.get("recipe"))
    _check_budget(given, before, manifest)
    settings = all_settings.make(given, recorded)
    _check_extension(settings, before, manifest)
    return settings


def _may_change(before: Settings, now: Settings) -> set[str]:
    names = {name for name, setting in all_settings.SETTINGS.items() if setting.may_change}
    if all_settings.has_gan(now) and not all_settings.has_gan(before):
        names |= {"content_loss", "vgg_weights"}  # a GAN is added: neither was used yet
    return names | set(PLANNED)


def _refused(
    recorded: dict[str, Any], differ: dict[str, Any], why: str, recipe: str | None
) -> UserError:
    flags = "; ".join(
        f"{all_settings.flag(name)} {recorded[name]}, not {new}" for name, new in differ.items()
    )
    of_recipe = differ.items() & all_settings.RECIPES.get(recipe, {}).items()
    to_leave = [f"--recipe {recipe}"] if of_recipe else []
    if more := len(differ) - len(of_recipe):
        to_leave.append("the flag" if more == 1 else "these flags")
    return UserError(
        f"the run in the checkpoint has {flags}: leave {' and '.join(to_leave)} out to continue, "
        f"or add --fresh to start anew ({why})"
    )


def _check_budget(given: dict[str, Any], before: Settings, manifest: Manifest) -> None:
    """Raises UserError where minutes or steps are fewer than those of the run."""
    planned = {
        "train_minutes": before.train_minutes,
        "pretrain_steps": manifest.plan.pretrain_steps,
        "gan_steps": manifest.plan.gan_steps,
    }
    in_steps = before.pretrain_steps is not None
    if in_steps:
        planned |= {name: getattr(before, name) for name in ("pretrain_steps", "gan_steps")}
    fewer = {name: given[name] for name in BUDGET if name in given and given[name] < planned[name]}
    if fewer:
        why = "a plan grows: more minutes or steps extend it"
        if in_steps and list(fewer) == ["train_minutes"]:
            why = "it is planned in steps: more --pretrain-steps and --gan-steps extend it"
        raise _refused(planned, fewer, why, given.get("recipe"))


def changes(settings: Settings, manifest: Manifest) -> dict[str, str]:
    """What differs from the saved run in its plan: flag to "OLD to NEW"."""
    before = recorded_settings(manifest)
    values = {name: (getattr(before, name), getattr(settings, name)) for name in PLANNED}
    return {
        all_settings.flag(name): " to ".join("minutes" if v is None else f"{v:g}" for v in pair)
        for name, pair in values.items()
        if pair[0] != pair[1]
    }


def _check_extension(settings: Settings, before: Settings, manifest: Manifest) -> None:
    """Raises UserError where the run, or its pre-training, is over and would stay so."""
    changed, plan = changes(settings, manifest), manifest.plan
    more = [name for name in BUDGET if getattr(settings, name) != getattr(before, name)]
    if changed and not more and manifest.step >= plan.steps:
        differ = {n: getattr(settings, n) for n in PLANNED if all_settings.flag(n) in changed}
        why = "it is finished: with more --train-minutes or steps this may change"
        raise _refused(dataclasses.asdict(before), differ, why, settings.recipe)
    same_gan = settings.gan_steps in (before.gan_steps, plan.gan_steps)
    if manifest.step > plan.pretrain_steps and "pretrain_steps" in more and same_gan:
        raise UserError(
            f"the run in the checkpoint has {plan.pretrain_steps} steps of pre-training, and its "
            f"GAN has begun: more --gan-steps extend it; --init starts a new run from its model"
        )


def wanted_vgg_weights(settings: Settings, saved: Saved | None) -> str:
    """What --vgg-weights means for this run: a resumed one keeps the weights of its start.

    A content loss without VGG19 needs none, nor does a run without a GAN. Raises UserError.
    """
    manifest = saved and saved.manifest
    has_begun = saved is not None and manifest.step > manifest.plan.pretrain_steps
    if settings.content_loss == "pixel" or not (all_settings.has_gan(settings) or has_begun):
        return "none"
    if saved is None or not (has_begun or all_settings.has_gan(recorded_settings(manifest))):
        return settings.vgg_weights
    mode = manifest.vgg_weights
    if mode != "file":
        return mode
    if settings.vgg_weights in all_settings.VGG_RECORDED:
        raise _other_vgg_file(manifest, settings.vgg_weights)
    return settings.vgg_weights


def check_vgg_file(weights: VggWeights, manifest: Manifest) -> None:
    """Raises UserError if a VGG19 file is another one than that of the start."""
    if weights.mode == "file" and weights.sha256 != manifest.vgg_sha256:
        raise _other_vgg_file(manifest, f"{weights.path} ({weights.sha256[:12]}...)")


def _other_vgg_file(manifest: Manifest, new: str) -> UserError:
    before = (manifest.vgg_sha256 or "unknown")[:12]
    now = "which is not named now" if new == "file" else f"not {new}"
    return UserError(
        f"the run in the checkpoint has --vgg-weights PATH of a file with SHA-256 {before}..., "
        f"{now}: name that file to continue, or add --fresh to start anew"
    )


def precision(settings: Settings, saved: Saved | None) -> str:
    """--precision for this run: with auto a resumed one keeps its own, on any machine.

    Raises UserError where only one of both is float16, whose state has a loss scale.
    """
    if saved is None:
        return settings.precision
    before = saved.manifest.precision.removeprefix("mixed_")
    if settings.precision == "auto":
        return before
    if (settings.precision == "float16") != (before == "float16"):
        raise UserError(
            f"the run in the checkpoint has --precision {before}, not {settings.precision}: only "
            f"float16 has a loss scale; leave the flag out to continue, or add --fresh to start "
            f"anew"
        )
    return settings.precision


def seen_data(store: Store, salt: str | None = None, earlier: list[Seen] | None = None) -> SeenData:
    """Every patient, series and slice that is trained or validated on, as salted hashes.

    earlier: what the model had seen that the run began with.
    """
    salt = salt or secrets.token_hex(16)
    patients, series, pixels = _hashes(store, salt)
    return SeenData(
        salt=salt,
        seen=frozenset(patients | series | pixels),
        patients=len(patients),
        slices={role: len(store.with_role(role)) for role in ("train", "validation", "test")},
        synthetic=store.synthetic,
        simulated_pairs=store.has_simulated_pairs,
        earlier=earlier or [],
    )


def _hashes(store: Store, salt: str) -> tuple[set[str], set[str], set[str]]:
    """Salted hashes of the patients, the series and the pixels of training and validation."""
    indices = [i for role in ("train", "validation") for i in store.with_role(role)]
    known = [known_by(store.records[i], store.patients) for i in indices]
    kinds = zip(*known, strict=True) if known else ((), (), ())
    return tuple({hashed(salt, text) for text in kind} for kind in kinds)


def check_same_scans(manifest: Manifest, store: Store, settings: Settings) -> None:
    """Raises UserError if the store holds other scans than the run began with."""
    now = seen_data(store, manifest.data.salt, manifest.data.earlier)
    if now != manifest.data:
        raise UserError(
            f"the run in {settings.checkpoint_dir} was trained on other scans than "
            f"{settings.scans} holds now ({_difference(manifest.data, now, store)}): name its "
            f"scans to continue, or start a new run from its model: --init "
            f"{settings.checkpoint_dir} and another --checkpoint-dir; --fresh starts anew without "
            f"it"
        )


def _difference(before: SeenData, now: SeenData, store: Store) -> str:
    """What is new or missing in training and validation; else the slices of each role."""
    if now.seen == before.seen:
        return "; now ".join(
            ", ".join(f"{n} slices {role}" for role, n in data.slices.items())
            for data in (before, now)
        )
    patients, _, pixels = _hashes(store, before.salt)
    slices = sum(before.slices.get(role, 0) for role in ("train", "validation"))
    parts = []
    for name, here, total in (("patients", patients, before.patients), ("slices", pixels, slices)):
        known = len(here & before.seen)
        parts.append(f"{name}: {len(here) - known} new, {max(total - known, 0)} missing")
    return "; ".join(parts)
