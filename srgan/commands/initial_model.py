"""--init: the model that a new run starts from."""

import logging
import os
from dataclasses import dataclass
from pathlib import Path

from srgan.commands.held_out import is_seen
from srgan.dataset.store import Store
from srgan.settings import Settings, has_gan
from srgan.system.errors import UserError, plural
from srgan.training import checkpoint_folder, checkpoint_models, shipped_weights
from srgan.training.checkpoint_models import Trained
from srgan.training.manifest import MODELS, Manifest, Origin
from srgan.training.model_card import TITLES

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Initial:
    """A model of another training."""

    trained: Trained
    name: str  # "srresnet" or "srgan"
    with_gan: bool  # does the GAN begin with the SRGAN, and not with the SRResNet of the run?

    @property
    def origin(self) -> Origin:
        return Origin(
            model=self.name,
            step=checkpoint_folder.step_of(self.trained.models[self.name]),
            sha256=self.trained.sha256[self.name],
            patients=self.trained.manifest.data.patients,
            srgan_sha256=self.trained.sha256["srgan"] if self.with_gan else None,
        )


def load(settings: Settings) -> Initial:
    """The model that --init names: of two the one that the first stage of the run trains.

    That is the SRResNet, because pre-training from a SRGAN would first unlearn its texture; the GAN
    then begins with the SRGAN. Without pre-training (--pretrain-steps 0) it is the SRGAN. Raises
    UserError where there is none, or its generator or scale is another.
    """
    path = settings.init
    trained = _load(path, settings.scale)
    theirs = {name: trained.settings[name] for name in ("generator", "scale")}
    if any(getattr(settings, name) != value for name, value in theirs.items()):
        raise UserError(
            f"--init {path} is a {theirs['generator']} generator of scale {theirs['scale']}, and "
            f"this run has --generator {settings.generator} --scale {settings.scale}: give "
            f"--generator {theirs['generator']} --scale {theirs['scale']}, or name another model"
        )
    first, other = MODELS if settings.pretrain_steps != 0 else reversed(MODELS)
    name = first if first in trained.models else other
    with_gan = name == "srresnet" and "srgan" in trained.models and has_gan(settings)
    initial = Initial(trained, name, with_gan)
    if shipped_weights.is_meant(path):
        log.info(f"starts from the {TITLES[initial.name]} of {shipped_weights.described(trained)}")
    return initial


def _load(path: Path, scale: int) -> Trained:
    if shipped_weights.is_meant(path):
        return shipped_weights.load(scale)
    folder = Path(os.path.realpath(path))
    kind = folder.name.split("-")[0]
    if folder not in checkpoint_folder.saved_in(folder.parent, "step", "srresnet", "srgan"):
        return checkpoint_models.load(folder, "--init")
    if kind == "step":
        raise UserError(
            f"--init {folder} is a state to resume from, not a model: name the checkpoint folder "
            f"that holds it, or a folder srgan-N or srresnet-N"
        )
    return checkpoint_models.load_one(folder, kind)


def report(initial: Initial, store: Store) -> None:
    """Say what the run starts from, and which patients will never be tested."""
    log.info(f"this run {initial.origin.text()}; its discriminator begins new")
    seen = {r.pseudonym: r.role for r in store.records if is_seen(initial.trained, store, r)}
    total = len({r.pseudonym for r in store.records})
    log.info(
        f"--init: its training had seen {len(seen)} of the {plural(total, 'patient')} here; no "
        f"test of the new run will use them"
    )
    held_out = {r.pseudonym for r in store.records if r.role == "test"}
    if held_out and held_out <= seen.keys():
        log.warning(
            "--init: every patient that is held out for testing was seen before: a test needs "
            "other scans"
        )


def check_same(settings: Settings, manifest: Manifest) -> None:
    """On resume the model must be that of the start. One that is gone since is not needed.

    Raises UserError.
    """
    if settings.init is None:
        return
    if manifest.origin is None:
        raise UserError(
            f"the run in {settings.checkpoint_dir} did not begin with --init: leave it out to "
            f"continue, or name another --checkpoint-dir, or add --fresh to start anew"
        )
    try:
        trained = _load(settings.init, settings.scale)
    except UserError as error:
        log.info(f"{error}; the run goes on without it")
        return
    name, with_gan = manifest.origin.model, manifest.origin.srgan_sha256 is not None
    names = {name, "srgan"} if with_gan else {name}
    if not names <= set(trained.models) or (
        Initial(trained, name, with_gan).origin != manifest.origin
    ):
        raise UserError(
            f"the run in {settings.checkpoint_dir} {manifest.origin.text()}, and --init "
            f"{settings.init} is another one: leave it out to continue, or add --fresh to start "
            f"anew"
        )
