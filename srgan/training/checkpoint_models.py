"""Trained models in a checkpoint folder: saved at their best validation, loaded for a test.

A model is the generator with averaged weights. Its arrays are stored under their numbers in the
order of the model's weights.
"""

import hashlib
import io
import logging
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from srgan import settings
from srgan.system import memory
from srgan.system.errors import UserError
from srgan.training import checkpoint_states, model_card, sealed
from srgan.training.checkpoint_folder import Saved, newest_whole, read, saved_in
from srgan.training.manifest import MODELS, Manifest

log = logging.getLogger(__name__)

KEEP_MODELS = 2  # of each name: the best, and the best before it
WEIGHTS = "generator.npz"


@dataclass(frozen=True)
class Trained:
    """The newest models of a checkpoint folder, and how they were trained."""

    manifest: Manifest
    models: dict[str, Path]  # "srresnet", "srgan" to their folders
    weights: dict[str, bytes]  # content of their weights files: a training may replace the files
    warnings: tuple[str, ...] = ()  # of the training, up to its last state
    extended: tuple[str, ...] = ()  # how its plan was extended, up to its last state
    is_unfinished: bool = False  # is it a state, because no model was kept yet?

    @property
    def sha256(self) -> dict[str, str]:
        """By model, of its weights file."""
        return {n: hashlib.sha256(content).hexdigest() for n, content in self.weights.items()}

    @cached_property
    def settings(self) -> dict:
        """Settings of the training. Raises UserError for what this version does not know."""
        return settings.from_record(self.manifest.settings)

    def has_seen(self, names: Iterable[str]) -> bool:
        """Was a patient, series or slice with one of these names trained or validated on?

        By this training, or by one whose model it began with.
        """
        every, names = self.manifest.data.every(), list(names)
        return any(hashed(each.salt, name) in each.seen for each in every for name in names)

    def give(self, name: str, network) -> None:
        """Give a network the weights of a model. Raises UserError where they do not fit."""
        _set_weights(network, self.models[name], self.weights[name])

    def network(self, name: str):
        """The Keras model of a name. Raises UserError where the weights do not fit."""
        from srgan.models import generator

        network = generator.build(self.settings["generator"], self.settings["scale"])
        self.give(name, network)
        return network


def hashed(salt: str, name: str) -> str:
    """How a checkpoint names a patient, series or slice: a salted SHA-256."""
    return hashlib.sha256(f"{salt}:{name}".encode()).hexdigest()


def save_model(folder: Path, name: str, model, manifest: Manifest) -> None:
    """Save a model of the manifest's step; of the older ones of this name the last stays.

    Raises UserError (no space, read-only).
    """
    content = _arrays(model)

    def fill(part: Path) -> None:
        (part / WEIGHTS).write_bytes(content)
        model_card.write(part, name, manifest)

    sealed.write(folder / f"{name}-{manifest.step:07}", fill, manifest.as_dict())
    for old in [p for p in saved_in(folder, name) if sealed.is_ours(p)][:-KEEP_MODELS]:
        _remove(old, name)


def _arrays(model) -> bytes:
    """The content of a weights file."""
    return npz({str(i): array for i, array in enumerate(model.get_weights())})


def npz(arrays: dict[str, np.ndarray]) -> bytes:
    """The content of a NumPy file of named arrays."""
    file = io.BytesIO()  # NumPy does not report a full disk reliably: plain writes do
    np.savez(file, **arrays)
    return file.getvalue()


def _remove(path: Path, name: str) -> None:
    """Delete a model; what a user put into its folder stays."""
    with suppress(UserError):  # it is corrupt, or another version wrote it
        model_card.remove(path, name, read(path).manifest)
    sealed.remove(path)


def restore_model(folder: Path, name: str, step: int, model) -> None:
    """Load the weights saved at a step. Raises sealed.Corrupt, or UserError: they do not fit."""
    saved = read(folder / f"{name}-{step:07}")
    _set_weights(model, saved.path, _weights(saved))


def _weights(saved: Saved) -> bytes:
    return sealed.content(saved.path, WEIGHTS, saved.manifest.files.get(WEIGHTS))


def _set_weights(model, folder: Path, content: bytes) -> None:
    """content: of a weights file. Raises UserError where the weights do not fit."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            if sum(part.file_size for part in arrays.zip.infolist()) > len(content):
                raise ValueError("its arrays are larger than the file")
            weights = [arrays[str(i)] for i in range(len(arrays.files))]
        model.set_weights(weights)
    except Exception as error:  # zipfile, NumPy and Keras raise many kinds
        if memory.is_shortage(error):
            raise
        raise UserError(f"{folder} does not hold weights of this network: {error}") from error


def load_one(path: Path, name: str) -> Trained:
    """One model by its own folder. Raises UserError where it is corrupt."""
    saved = read(path)
    return Trained(saved.manifest, {name: path}, {name: _weights(saved)})


def load(folder: Path, flag: str = "--checkpoint-dir") -> Trained:
    """The newest models of a checkpoint folder; for a corrupt one, the model saved before it.

    flag: the setting that names the folder, for messages. Raises UserError where there is no model,
    all of one name are corrupt, another version wrote one, or they are of two trainings. Where no
    model was kept yet, it is the averaged network of the last state.
    """
    found, weights = {}, {}
    for name in MODELS:
        saved, faults = newest_whole(saved_in(folder, name))
        if saved is None and faults:
            fault = next(iter(faults.values()))
            raise UserError(f"{fault}; move it away to go on without it, or train anew")
        for fault in faults.values():
            log.warning(f"{fault}: the one before it is used")
        if saved is not None:
            found[name], weights[name] = saved, _weights(saved)
    if not found and (unfinished := _unfinished(folder)):
        return unfinished
    if not found:
        raise UserError(
            f"no trained model in {folder}; train one with --run train, or name another {flag}, "
            f"such as shipped for the weights that ship with this program"
        )
    manifests = [saved.manifest for saved in found.values()]
    if manifests[0].data != manifests[-1].data:  # patients that one has seen would be tested
        raise UserError(f"{folder} holds models of two trainings; keep those of one ({flag})")
    state = _last_state(folder, manifests[-1])
    if state is not None:
        _report_missing(folder, state, found)
    last = state or manifests[-1]
    models = {name: saved.path for name, saved in found.items()}
    return Trained(manifests[-1], models, weights, _warnings(last), _extensions(last))


def _warnings(manifest: Manifest) -> tuple[str, ...]:
    return tuple(f"step {each.step}: {each.text}" for each in manifest.health.warnings)


def _extensions(manifest: Manifest) -> tuple[str, ...]:
    return tuple(each.text() for each in manifest.extended)


def _unfinished(folder: Path) -> Trained | None:
    """The averaged network of the last state, as a model that says so."""
    saved, _ = newest_whole(saved_in(folder, "step"))
    if saved is None:
        return None
    manifest = checkpoint_states.as_extended(saved).manifest
    if manifest.best or manifest.step >= manifest.plan.steps:  # its models are gone
        return None
    from srgan.models import tensorflow_setup

    if "tensorflow" not in sys.modules:  # its threads are set before its first use
        tensorflow_setup.start("float32")
    from srgan.models import generator

    made = settings.from_record(manifest.settings)
    network = generator.build(made["generator"], made["scale"])
    checkpoint_states.restore_average(saved.path, network)
    name = "srresnet" if manifest.step <= manifest.plan.pretrain_steps else "srgan"
    text = (
        f"step {manifest.step}: the training is unfinished, {manifest.step} of "
        f"{manifest.plan.steps} steps, and kept no model yet: its last state is used"
    )
    log.warning(text)
    return Trained(
        manifest,
        {name: saved.path},
        {name: _arrays(network)},
        (*_warnings(manifest), text),
        _extensions(manifest),
        is_unfinished=True,
    )


def _last_state(folder: Path, model: Manifest) -> Manifest | None:
    """The manifest of the last state of this model's training, if one is left."""
    try:
        saved, _ = newest_whole(saved_in(folder, "step"))
    except UserError:
        return None
    if saved is None or saved.manifest.data != model.data:
        return None
    return checkpoint_states.as_extended(saved).manifest


def _report_missing(folder: Path, state: Manifest, found: dict[str, Saved]) -> None:
    """Name the best models that are gone."""
    for name, best in state.best.items():
        path = folder / f"{name}-{best.step:07}"
        if not path.exists():
            instead = "the one before it is used" if name in found else "there is none before it"
            log.warning(f"{path} is missing: {instead}")
