"""Checkpoints: folders that are complete or absent, each with a manifest of SHA-256 sums.

`step-0001200/` is a state to continue from (see states). `srresnet-0001200/` and `srgan-0001800/`
are models to judge and to use: the averaged generator at its best validation (of each the last two
are kept). A folder or file that the program did not write is never deleted.
"""

import hashlib
import io
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from srgan import settings
from srgan.models import check_hdf5
from srgan.system import locks
from srgan.system.errors import UserError, reason
from srgan.system.files import clear_parts, writing
from srgan.training import sealed
from srgan.training.manifest import wrong_part

log = logging.getLogger(__name__)

KEEP_MODELS = 2  # of a name: the best, and the best before it
WEIGHTS = "generator.npz"
_OLD_WEIGHTS = "generator.weights.h5"  # read, no longer written: HDF5 crashes on a full disk
_NAME = re.compile(r"(step|srresnet|srgan)-(\d{7,})")
_TRIAL = re.compile(r"\.trial-\w{8}")  # a save that was timed


@dataclass(frozen=True)
class Trained:
    """A checkpoint folder's newest models, and what it says of how they were made."""

    manifest: dict
    models: dict[str, Path]  # "srresnet", "srgan" to their folders
    weights: dict[str, bytes]  # of each model, as they were verified: a training may replace them
    warnings: tuple[str, ...] = ()  # of the guards, up to the training's last state

    @property
    def sha256(self) -> dict[str, str]:
        """Of each model's weights file."""
        return {n: hashlib.sha256(content).hexdigest() for n, content in self.weights.items()}

    @property
    def settings(self) -> dict:
        return settings.from_record(self.manifest["settings"])

    @property
    def vgg_weights(self) -> str:
        return self.manifest["vgg_weights"]

    @property
    def step(self) -> int:
        return self.manifest["step"]

    @property
    def synthetic(self) -> bool:
        return self.manifest["data"]["synthetic"]

    @property
    def degradation_json(self) -> dict:
        return self.manifest["degradation"]

    @property
    def salt(self) -> str:
        return self.manifest["data"]["salt"]

    @property
    def seen(self) -> frozenset[str]:
        """Salted hashes of what was trained or validated on: patients, series, pixels."""
        return frozenset(self.manifest["data"]["seen"])

    def hashed(self, text: str) -> str:
        return hashed(self.salt, text)

    def networks(self) -> dict:
        """Each model, by name. Raises UserError where the weights do not fit."""
        from srgan.models import generator

        made = {}
        for name, folder in self.models.items():
            model = generator.build(self.settings["generator"], self.settings["scale"])
            _set_weights(model, folder, self.weights[name])
            made[name] = model
        return made


def hashed(salt: str, text: str) -> str:
    return hashlib.sha256(f"{salt}:{text}".encode()).hexdigest()


def folders(folder: Path, *kinds: str) -> list[Path]:
    """Complete checkpoint folders of these kinds, oldest first."""
    try:
        names = [p for p in folder.iterdir() if p.is_dir()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UserError(f"cannot read {folder}: {reason(error)}") from error
    found = [p for p in names if (m := _NAME.fullmatch(p.name)) and m[1] in kinds]
    return sorted(found, key=step_of)


def step_of(path: Path) -> int:
    """Of a checkpoint folder. Raises TypeError for another name."""
    return int(_NAME.fullmatch(path.name)[2])


def _read(folder: Path) -> dict:
    """The manifest of a whole checkpoint. Raises sealed.Corrupt, or UserError: other version."""
    manifest = sealed.read(folder)
    wrong = wrong_part(manifest)
    if wrong:
        raise sealed.Corrupt(f"{folder} is corrupt: {wrong} in manifest.json is not as it should")
    return manifest


def save_model(folder: Path, name: str, step: int, model, manifest: dict) -> None:
    """The averaged generator as a model of its own; of those before it, the last stays.

    Its arrays are numbered in the order of the model's weights.
    """
    arrays = {str(i): array for i, array in enumerate(model.get_weights())}
    file = io.BytesIO()  # the disk may be full: plain writes alone tell that
    np.savez(file, **arrays)
    target = folder / f"{name}-{step:07}"
    sealed.write(target, lambda part: (part / WEIGHTS).write_bytes(file.getbuffer()), manifest)
    for old in [p for p in folders(folder, name) if sealed.is_ours(p)][:-KEEP_MODELS]:
        sealed.remove(old)


def newest_whole(
    paths: Sequence[Path],
) -> tuple[tuple[Path, dict] | None, dict[Path, sealed.Corrupt]]:
    """The last whole checkpoint of these with its manifest, and what is wrong with later ones.

    Raises UserError where another version wrote one of those.
    """
    faults = {}
    for path in reversed(paths):
        try:
            return (path, _read(path)), faults
        except sealed.Corrupt as error:
            faults[path] = error
    return None, faults


def restore_model(folder: Path, name: str, step: int, model) -> None:
    """The model that was kept at a step. Raises sealed.Corrupt, or UserError: it does not fit."""
    path = folder / f"{name}-{step:07}"
    _set_weights(model, path, _weights(path, _read(path)))


def _weights(folder: Path, manifest: dict) -> bytes:
    name = _OLD_WEIGHTS if _OLD_WEIGHTS in manifest["files"] else WEIGHTS
    return sealed.content(folder, manifest, name)


def _set_weights(model, folder: Path, content: bytes) -> None:
    """content: a file of weights. Raises UserError where they do not fit."""
    try:
        if content.startswith(b"\x89HDF"):
            with tempfile.TemporaryDirectory() as place:
                path = Path(place) / _OLD_WEIGHTS
                path.write_bytes(content)
                check_hdf5.check(path, 2 * len(content))
                model.load_weights(path)
            return
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            if sum(part.file_size for part in arrays.zip.infolist()) > len(content):
                raise ValueError("its arrays are larger than the file")
            found = [arrays[str(i)] for i in range(len(arrays.files))]
        model.set_weights(found)
    except Exception as error:  # zipfile, NumPy, h5py and Keras raise many kinds
        raise UserError(f"{folder} does not hold these networks' weights: {error}") from error


def load(folder: Path, flag: str = "--checkpoint-dir") -> Trained:
    """The models of a checkpoint folder; of a corrupt one, which is named, the one before.

    Raises UserError where there is none, all of a name are corrupt, another version wrote one, or
    they are not of one training. flag: the setting that names the folder.
    """
    models, weights, manifests = {}, {}, []
    for name in ("srresnet", "srgan"):
        found, faults = newest_whole(folders(folder, name))
        if found is None and faults:
            fault = next(iter(faults.values()))
            raise UserError(f"{fault}; move it away to go without it, or train anew")
        for fault in faults.values():
            log.warning(f"{fault}: the one before it is used")
        if found is not None:
            models[name], manifest = found
            weights[name] = _weights(*found)
            manifests.append(manifest)
    if not models:
        raise UserError(
            f"no trained model in {folder}; train one with --run train, or name another {flag}"
        )
    if manifests[0]["data"] != manifests[-1]["data"]:  # one's patients would count as never seen
        raise UserError(f"{folder} holds models of two trainings; keep those of one ({flag})")
    state = _last_state(folder, manifests[-1]["data"])
    for name, best in state["best"].items() if state else ():
        path = folder / f"{name}-{best['step']:07}"
        if not path.exists():
            used = "the one before it is used" if name in models else "there is none before it"
            log.warning(f"{path} is missing: {used}")
    return Trained(manifests[-1], models, weights, _warnings(state or manifests[-1]))


def _last_state(folder: Path, data: dict) -> dict | None:
    """Of the training on these data: it knows more than a model that was kept before."""
    try:
        found, _ = newest_whole(folders(folder, "step"))
    except UserError:
        found = None
    return found[1] if found and found[1]["data"] == data else None


def _warnings(manifest: dict) -> tuple[str, ...]:
    """What the guards said."""
    told = manifest.get("guard", {}).get("warnings", [])
    return tuple(f"step {warning['step']}: {warning['text']}" for warning in told)


@contextmanager
def only_writer(folder: Path):
    """Hold a checkpoint folder, and clear it of what a killed run left half written.

    Raises UserError (exit code 75) while a living process holds it.
    """
    with locks.sole(folder / ".lock", "--checkpoint-dir") as is_locked:
        if not is_locked:
            log.warning(
                f"{folder} lies where files cannot be locked: see to it yourself that no "
                f"second training writes there"
            )
        else:
            clear_parts(folder)
            for path in sorted(folder.iterdir()):
                if sealed.PART.fullmatch(path.name) or _TRIAL.fullmatch(path.name):
                    shutil.rmtree(path, ignore_errors=True)
                elif sealed.KEPT.fullmatch(path.name):
                    with writing(path):
                        sealed.bring_back(path)
        yield


def set_aside(folder: Path, patterns: Sequence[str]) -> Path | None:
    """Move what an old run left in `folder` to `aside-001` (the next free number) in it."""
    with writing(folder):
        old = sorted({p for pattern in patterns for p in folder.glob(pattern)})
        if not old:
            return None
        number = 1
        while (aside := folder / f"aside-{number:03}").exists():
            number += 1
        aside.mkdir()
        for path in old:
            os.rename(path, aside / path.name)
    return aside
