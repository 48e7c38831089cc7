"""Trained models in a checkpoint folder: saved at their best validation, loaded for a test.

A model is the generator with averaged weights. Its arrays are stored under their numbers in the
order of the model's weights.
"""

import hashlib
import io
import logging
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from srgan import settings
from srgan.system.errors import UserError
from srgan.training import model_card, sealed
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

    @property
    def sha256(self) -> dict[str, str]:
        """By model, of its weights file."""
        return {n: hashlib.sha256(content).hexdigest() for n, content in self.weights.items()}

    @cached_property
    def settings(self) -> dict:
        """Settings of the training. Raises UserError for what this version does not know."""
        return settings.from_record(self.manifest.settings)

    def has_seen(self, names: Iterable[str]) -> bool:
        """Was a patient, series or slice with one of these names trained or validated on?"""
        data = self.manifest.data
        return any(hashed(data.salt, name) in data.seen for name in names)

    def network(self, name: str):
        """The Keras model of a name. Raises UserError where the weights do not fit."""
        from srgan.models import generator

        network = generator.build(self.settings["generator"], self.settings["scale"])
        _set_weights(network, self.models[name], self.weights[name])
        return network

    def networks(self) -> dict:
        """A Keras model for each name. Raises UserError as `network` does."""
        return {name: self.network(name) for name in self.models}


def hashed(salt: str, name: str) -> str:
    """How a checkpoint names a patient, series or slice: a salted SHA-256."""
    return hashlib.sha256(f"{salt}:{name}".encode()).hexdigest()


def save_model(folder: Path, name: str, model, manifest: Manifest) -> None:
    """Save a model of the manifest's step; of the older ones of this name the last stays.

    Raises UserError (no space, read-only).
    """
    arrays = {str(i): array for i, array in enumerate(model.get_weights())}
    file = io.BytesIO()  # NumPy does not report a full disk reliably: plain writes do
    np.savez(file, **arrays)

    def fill(part: Path) -> None:
        (part / WEIGHTS).write_bytes(file.getbuffer())
        model_card.write(part, name, manifest)

    sealed.write(folder / f"{name}-{manifest.step:07}", fill, manifest.as_dict())
    for old in [p for p in saved_in(folder, name) if sealed.is_ours(p)][:-KEEP_MODELS]:
        _remove(old, name)


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
        raise UserError(f"{folder} does not hold weights of this network: {error}") from error


def load(folder: Path, flag: str = "--checkpoint-dir") -> Trained:
    """The newest models of a checkpoint folder; for a corrupt one, the model saved before it.

    flag: the setting that names the folder, for messages. Raises UserError where there is no model,
    all of one name are corrupt, another version wrote one, or they are of two trainings.
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
    if not found:
        raise UserError(
            f"no trained model in {folder}; train one with --run train, or name another {flag}"
        )
    manifests = [saved.manifest for saved in found.values()]
    if manifests[0].data != manifests[-1].data:  # patients that one has seen would be tested
        raise UserError(f"{folder} holds models of two trainings; keep those of one ({flag})")
    state = _last_state(folder, manifests[-1])
    if state is not None:
        _report_missing(folder, state, found)
    warned = (state or manifests[-1]).health.warnings
    warnings = tuple(f"step {each.step}: {each.text}" for each in warned)
    return Trained(
        manifests[-1], {name: saved.path for name, saved in found.items()}, weights, warnings
    )


def _last_state(folder: Path, model: Manifest) -> Manifest | None:
    """The manifest of the last state of this model's training, if one is left."""
    try:
        saved, _ = newest_whole(saved_in(folder, "step"))
    except UserError:
        return None
    return saved.manifest if saved and saved.manifest.data == model.data else None


def _report_missing(folder: Path, state: Manifest, found: dict[str, Saved]) -> None:
    """Name the best models that are gone."""
    for name, best in state.best.items():
        path = folder / f"{name}-{best.step:07}"
        if not path.exists():
            instead = "the one before it is used" if name in found else "there is none before it"
            log.warning(f"{path} is missing: {instead}")
