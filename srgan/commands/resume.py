"""What a training that resumes may change, and what must be as it was at its start."""

import secrets
from typing import Any

from srgan import settings as all_settings
from srgan.dataset.store import Store, known_by
from srgan.models.vgg_weights import VggWeights
from srgan.settings import Settings
from srgan.system.errors import UserError
from srgan.training.checkpoint_folder import Saved
from srgan.training.checkpoint_models import hashed
from srgan.training.manifest import Manifest, SeenData


def resumed_settings(given: dict[str, Any], manifest: Manifest) -> Settings:
    """The recorded settings with what was given. Raises UserError for one that may not change."""
    recorded = all_settings.from_record(manifest.settings)
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


def wanted_vgg_weights(settings: Settings, saved: Saved | None) -> str:
    """What --vgg-weights means for this run: a resumed one keeps the weights of its start.

    A content loss without VGG19 needs none. Raises UserError.
    """
    if settings.content_loss == "pixel" or settings.gan_steps == 0 or settings.gan_share == 0:
        return "none"
    if saved is None:
        return settings.vgg_weights
    mode = saved.manifest.vgg_weights
    if mode != "file":
        return mode
    if settings.vgg_weights in all_settings.VGG_RECORDED:
        raise _other_vgg_file(saved.manifest, settings.vgg_weights)
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


def seen_data(store: Store, salt: str | None = None) -> SeenData:
    """Every patient, series and slice that is trained or validated on, as salted hashes."""
    salt = salt or secrets.token_hex(16)
    patients, series, pixels = _hashes(store, salt)
    return SeenData(
        salt=salt,
        seen=frozenset(patients | series | pixels),
        patients=len(patients),
        slices={role: len(store.with_role(role)) for role in ("train", "validation", "test")},
        synthetic=store.synthetic,
    )


def _hashes(store: Store, salt: str) -> tuple[set[str], set[str], set[str]]:
    """Salted hashes of the patients, the series and the pixels of training and validation."""
    indices = [i for role in ("train", "validation") for i in store.with_role(role)]
    known = [known_by(store.records[i], store.patients) for i in indices]
    kinds = zip(*known, strict=True) if known else ((), (), ())
    return tuple({hashed(salt, text) for text in kind} for kind in kinds)


def check_same_scans(manifest: Manifest, store: Store, settings: Settings) -> None:
    """Raises UserError if the store holds other scans than the run began with."""
    now = seen_data(store, manifest.data.salt)
    if now != manifest.data:
        raise UserError(
            f"the run in {settings.checkpoint_dir} was trained on other scans than --data "
            f"{settings.data} holds now ({_difference(manifest.data, now, store)}): name its scans "
            f"to continue, or add --fresh to start anew"
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
