"""Checkpoints: folders that are complete or absent, each with a manifest of SHA-256 sums.

`step-0001200/` is a state to continue from (the last three are kept). `srresnet-0001200/` and
`srgan-0001800/` are models to judge and to use: the averaged generator at its best validation (of
each the last two are kept). A folder or file that the program did not write is never deleted.
"""

import errno
import hashlib
import io
import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from srgan import __version__, lock, settings
from srgan.errors import UserError
from srgan.files import told
from srgan.networks import hdf5
from srgan.progress import log as to_stderr
from srgan.training import sealed
from srgan.training.manifest import wrong_part

KEEP = 3  # states
KEEP_MODELS = 2  # of a name: the best, and the best before it
WEIGHTS = "generator.npz"
_OLD_WEIGHTS = "generator.weights.h5"  # read, no longer written: HDF5 crashes on a full disk
_NAME = re.compile(r"(step|srresnet|srgan)-(\d{7,})")
_TRIAL = re.compile(r"\.trial-\w{8}")  # a save that was timed
_ERRNO = {
    "ResourceExhaustedError": errno.ENOSPC,
    "OutOfRangeError": errno.EFBIG,
    "PermissionDeniedError": errno.EACCES,
    "NotFoundError": errno.ENOENT,
}  # TensorFlow's names for what the system said


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
        from srgan.networks import generator

        made = {}
        for name, folder in self.models.items():
            model = generator.build(self.settings["generator"], self.settings["scale"])
            _set_weights(model, folder, self.weights[name])
            made[name] = model
        return made


def hashed(salt: str, text: str) -> str:
    return hashlib.sha256(f"{salt}:{text}".encode()).hexdigest()


def _folders(folder: Path, kind: str) -> list[Path]:
    """Complete checkpoint folders of a kind, oldest first."""
    try:
        names = [p for p in folder.iterdir() if p.is_dir()]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UserError(f"cannot read {folder}: {error.strerror}") from error
    found = [(int(m[2]), p) for p in names if (m := _NAME.fullmatch(p.name)) and m[1] == kind]
    return [p for _, p in sorted(found)]


def _read(folder: Path) -> dict:
    """The manifest of a whole checkpoint. Raises sealed.Corrupt, or UserError: other version."""
    manifest = sealed.read(folder)
    wrong = wrong_part(manifest)
    if wrong:
        raise sealed.Corrupt(f"{folder} is corrupt: {wrong} in manifest.json is not as it should")
    return manifest


def save_state(folder: Path, step: int, state: dict, manifest: dict) -> None:
    """Everything that training continues from. Raises UserError (no space, read-only)."""
    import tensorflow as tf

    def write(part: Path) -> None:
        try:
            tf.train.Checkpoint(**state).write(str(part / "state"))
        except tf.errors.OpError as error:
            number = _ERRNO.get(type(error).__name__, errno.EIO)
            raise OSError(number, error.message.rsplit("; ", 1)[-1]) from error

    sealed.write(folder / f"step-{step:07}", write, manifest)
    _keep(folder, "step", KEEP)


def save_model(folder: Path, name: str, step: int, model, manifest: dict) -> None:
    """The averaged generator as a model of its own; of those before it, the last stays.

    Its arrays are numbered in the order of the model's weights.
    """
    arrays = {str(i): array for i, array in enumerate(model.get_weights())}
    file = io.BytesIO()  # the disk may be full: plain writes alone tell that
    np.savez(file, **arrays)
    target = folder / f"{name}-{step:07}"
    sealed.write(target, lambda part: (part / WEIGHTS).write_bytes(file.getbuffer()), manifest)
    _keep(folder, name, KEEP_MODELS)


def _keep(folder: Path, kind: str, count: int) -> None:
    for old in [p for p in _folders(folder, kind) if sealed.is_ours(p)][:-count]:
        sealed.remove(old)


def newest_state(folder: Path, log) -> tuple[Path, dict] | None:
    """The newest whole state and its manifest; None where there is none at all.

    Corrupt ones are named and set aside, and the one before is used. Raises UserError where all
    are corrupt, or another version wrote one.
    """
    found, faults = _newest(folder, "step")
    if found is None and faults:
        raise UserError(f"{faults[0]}; --fresh sets the run aside and starts anew")
    for fault in faults:
        log(f"{fault}: the one before it is used")
    passed = _folders(folder, "step")[-len(faults) :] if faults else []
    passed = [p.name for p in passed if sealed.is_ours(p)]
    if passed:
        log(f"what cannot be used now lies in {set_aside(folder, passed)}")
    if found and found[1]["version"] != __version__:
        log(f"{found[0]} was written by version {found[1]['version']}; this is {__version__}")
    return found


def _newest(folder: Path, kind: str) -> tuple[tuple[Path, dict] | None, list[sealed.Corrupt]]:
    """The newest whole checkpoint of a kind with its manifest, and what is wrong with later ones.

    Raises UserError where another version wrote one of those.
    """
    faults = []
    for path in reversed(_folders(folder, kind)):
        try:
            return (path, _read(path)), faults
        except sealed.Corrupt as error:
            faults.append(error)
    return None, faults


def restore_state(path: Path, state: dict) -> None:
    """Raises UserError where an object or a value of the file has no match in the other."""
    import tensorflow as tf

    try:
        status = tf.train.Checkpoint(**state).read(str(path / "state"))
        status.assert_consumed()
    except (AssertionError, tf.errors.OpError, ValueError) as error:
        raise UserError(f"{path} does not fit these networks: {error}") from error


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
                hdf5.check(path, 2 * len(content))
                model.load_weights(path)
            return
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            if sum(part.file_size for part in arrays.zip.infolist()) > len(content):
                raise ValueError("its arrays are larger than the file")
            found = [arrays[str(i)] for i in range(len(arrays.files))]
        model.set_weights(found)
    except Exception as error:  # zipfile, NumPy, h5py and Keras raise many kinds
        raise UserError(f"{folder} does not hold these networks' weights: {error}") from error


def load(folder: Path, flag: str = "--checkpoint-dir", log=to_stderr) -> Trained:
    """The models of a checkpoint folder; of a corrupt one, which is named, the one before.

    Raises UserError where there is none, all of a name are corrupt, another version wrote one, or
    they are not of one training. flag: the setting that names the folder.
    """
    models, weights, manifests = {}, {}, []
    for name in ("srresnet", "srgan"):
        found, faults = _newest(folder, name)
        if found is None and faults:
            raise UserError(f"{faults[0]}; move it away to go without it, or train anew")
        for fault in faults:
            log(f"{fault}: the one before it is used")
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
    return Trained(manifests[-1], models, weights, _warnings(folder, manifests[-1]))


def _warnings(folder: Path, manifest: dict) -> tuple[str, ...]:
    """What the guards said; the last state knows more than a model that was kept before."""
    try:
        found, _ = _newest(folder, "step")
    except UserError:
        found = None
    if found is not None and found[1]["data"] == manifest["data"]:
        manifest = found[1]
    told = manifest.get("guard", {}).get("warnings", [])
    return tuple(f"step {warning['step']}: {warning['text']}" for warning in told)


@contextmanager
def only_writer(folder: Path):
    """Hold a checkpoint folder, and clear it of what a killed run left half written.

    Raises UserError (exit code 75) while a living process holds it.
    """
    with lock.sole(folder / ".lock", "--checkpoint-dir") as is_locked:
        if is_locked:
            for path in folder.iterdir():
                if sealed.PART.fullmatch(path.name) or _TRIAL.fullmatch(path.name):
                    shutil.rmtree(path, ignore_errors=True)
        yield


def set_aside(folder: Path, patterns: Sequence[str]) -> Path | None:
    """Move what an old run left in `folder` to `aside-001` (the next free number) in it."""
    with told(folder):
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
