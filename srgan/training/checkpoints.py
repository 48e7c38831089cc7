"""Checkpoints: folders that are complete or absent, each with a manifest of SHA-256 sums.

`step-0001200/` is a state to continue from (the last three are kept). `srresnet-0001200/` and
`srgan-0001800/` are models to judge and to use: the averaged generator at its best validation.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from srgan import __version__, lock, settings
from srgan.errors import TRY_AGAIN, UserError
from srgan.files import sync, told, write_json

FORMAT = 1
KEEP = 3
WEIGHTS = "generator.weights.h5"
_NAME = re.compile(r"(step|srresnet|srgan)-(\d{7,})")


@dataclass(frozen=True)
class Trained:
    """A checkpoint folder's newest models, and what it says of how they were made."""

    manifest: dict
    models: dict[str, Path]  # "srresnet", "srgan" to their folders
    sha256: dict[str, str]  # of each model's weights file

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
            try:
                model.load_weights(folder / WEIGHTS)
            except Exception as error:  # h5py and Keras raise many kinds
                raise UserError(
                    f"{folder} does not hold these networks' weights: {error}"
                ) from error
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


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read(folder: Path) -> dict:
    """The manifest of a folder whose every file is whole. Raises UserError naming the fault."""
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        if manifest["format"] != FORMAT:
            raise UserError(
                f"{folder} has format {manifest['format']}; this version reads {FORMAT}"
            )
        body = {k: v for k, v in manifest.items() if k != "sha256"}
        if manifest["sha256"] != _digest(body):
            raise UserError(f"{folder} is corrupt: manifest.json was altered")
        for name, digest in manifest["files"].items():
            if Path(name).name != name or _sha256(folder / name) != digest:
                raise UserError(f"{folder} is corrupt: {name} is not what was written")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{folder} is corrupt: {type(error).__name__}: {error}") from error
    return manifest


def _digest(body: dict) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()


def _write(target: Path, write: Callable[[Path], None], manifest: dict) -> None:
    """A folder under a temporary name, flushed, hashed, renamed."""
    part = target.with_name(f".{target.name}.part")
    with told(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir()
        try:
            write(part)
            files = sorted(p for p in part.iterdir() if p.is_file())
            for path in files:
                sync(path)
            body = {"format": FORMAT, "version": __version__, **manifest}
            body["files"] = {p.name: _sha256(p) for p in files}
            write_json(part / "manifest.json", {**body, "sha256": _digest(body)})
            shutil.rmtree(target, ignore_errors=True)  # the same step again, after a resume
            part.rename(target)
            sync(target.parent)
        finally:
            shutil.rmtree(part, ignore_errors=True)


def save_state(folder: Path, step: int, state: dict, manifest: dict) -> None:
    """Everything that training continues from. Raises UserError (no space, read-only)."""
    import tensorflow as tf

    def write(part: Path) -> None:
        try:
            tf.train.Checkpoint(**state).write(str(part / "state"))
        except tf.errors.OpError as error:
            raise UserError(f"cannot write {folder}: {error.message}", TRY_AGAIN) from error

    _write(folder / f"step-{step:07}", write, manifest)
    for old in _folders(folder, "step")[:-KEEP]:
        shutil.rmtree(old, ignore_errors=True)


def save_model(folder: Path, name: str, step: int, model, manifest: dict) -> None:
    """The averaged generator as a model of its own; the one before it is removed."""
    target = folder / f"{name}-{step:07}"
    _write(target, lambda part: model.save_weights(part / WEIGHTS), manifest)
    for old in _folders(folder, name):
        if old != target:
            shutil.rmtree(old, ignore_errors=True)


def newest_state(folder: Path, log) -> tuple[Path, dict] | None:
    """The newest whole state and its manifest; None where there is none at all.

    A corrupt one is named and the one before it is used. Raises UserError where all are corrupt.
    """
    faults = []
    for path in reversed(_folders(folder, "step")):
        try:
            manifest = _read(path)
        except UserError as error:
            faults.append(str(error))
            continue
        for fault in faults:
            log(f"{fault}: the one before it is used")
        return path, manifest
    if faults:
        raise UserError(f"{faults[0]}; --fresh sets the run aside and starts anew")
    return None


def restore_state(path: Path, state: dict) -> None:
    """Raises UserError where an object has no match in the file."""
    import tensorflow as tf

    try:
        status = tf.train.Checkpoint(**state).read(str(path / "state"))
        status.assert_existing_objects_matched()
    except (AssertionError, tf.errors.OpError, ValueError) as error:
        raise UserError(f"{path} does not fit these networks: {error}") from error


def model_folder(folder: Path, name: str) -> Path | None:
    """The newest folder of a model ("srresnet", "srgan")."""
    found = _folders(folder, name)
    return found[-1] if found else None


def load(folder: Path, flag: str = "--checkpoint-dir") -> Trained:
    """The models of a checkpoint folder, every file as it was written.

    Raises UserError where there is none, one is corrupt, or they were not made by one training;
    flag: the setting that names the folder.
    """
    models = {n: p for n in ("srresnet", "srgan") if (p := model_folder(folder, n)) is not None}
    if not models:
        raise UserError(
            f"no trained model in {folder}; train one with --run train, or name another {flag}"
        )
    manifests = [_read(path) for path in models.values()]
    if manifests[0].get("data") != manifests[-1].get(
        "data"
    ):  # its patients would count as never seen
        raise UserError(f"{folder} holds models of two trainings; keep those of one ({flag})")
    sums = [manifest["files"].get(WEIGHTS) for manifest in manifests]
    return Trained(manifests[-1], models, dict(zip(models, sums, strict=True)))


@contextmanager
def only_writer(folder: Path):
    """Hold a checkpoint folder. Raises UserError while a living process holds it."""
    with told(folder):
        folder.mkdir(parents=True, exist_ok=True)
        handle = open(folder / ".lock", "a+")  # noqa: SIM115
    with handle:
        if lock.take(handle.fileno()) is False:
            handle.seek(0)
            raise UserError(
                f"{folder} is held by another training (process {handle.read(20).strip()}); "
                f"wait for it, or name another --checkpoint-dir",
                TRY_AGAIN,
            )
        handle.truncate(0)
        handle.write(f"{os.getpid()}\n")
        handle.flush()
        yield


def set_aside(folder: Path, patterns: tuple[str, ...]) -> Path | None:
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
