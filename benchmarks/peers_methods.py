"""The methods of benchmarks/peers.py, and what each makes of the slices."""

import hashlib
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.denoisers import bm3d
from srgan.commands.study_slices import study_slices
from srgan.commands.tested_methods import TUNED_ON
from srgan.commands.train import slice_sets
from srgan.dataset.slice_quotas import evenly_spaced
from srgan.dataset.store import Store
from srgan.evaluation import baselines, study_slice
from srgan.resampling import bicubic
from srgan.settings import Settings, degradation_of
from srgan.system.errors import UserError
from srgan.system.files import write_whole
from srgan.system.progress import progress
from srgan.training import checkpoint_models, shipped_weights
from srgan.training.checkpoint_models import Trained
from srgan.training.model_card import TITLES

TOLD_HU = (3.0, 5.0, 7.0, 10.0, 14.0, 20.0, 30.0)  # noise that BM3D is told
RED_CNN = "RED-CNN form"
EIGHT = " x8"  # --ensemble


@dataclass(frozen=True)
class Method:
    """A function of a low dose, and a text that tells it from all others: weights, parameters."""

    of: baselines.Method
    key: str


def loaded(named: list[str], scale: int) -> dict[str, Trained]:
    """Checkpoints by name, of NAME=DIR. Raises UserError."""
    found = {}
    for text in named:
        name, _, place = text.partition("=")
        if not (name and place) or name in found:
            raise UserError(f"--checkpoint {text}: write NAME=DIR, or NAME=shipped, each name once")
        meant = shipped_weights.is_meant(place)
        found[name] = shipped_weights.load(scale) if meant else checkpoint_models.load(Path(place))
        if found[name].settings["scale"] != scale:
            raise UserError(f"--checkpoint {text}: its scale is not {scale}")
    return found


def shown(checkpoints: dict[str, Trained], asked: list[str] | None) -> list[str]:
    """The rows of ours that the pictures show: as asked, or the first checkpoint's last network."""
    rows = {name: [f"{name} {TITLES[m]}" for m in of.models] for name, of in checkpoints.items()}
    every = [row for of in rows.values() for row in of]
    for row in asked or []:
        if row.removesuffix(EIGHT) not in every:
            raise UserError(f"--show {row!r}: there are {', '.join(every)}, also with {EIGHT!r}")
    return asked or next(iter(rows.values()))[-1:]


def networks(checkpoints: dict[str, Trained]) -> dict[str, Method]:
    """By row, the networks of the checkpoints, alone and as the mean of eight passes."""
    found = {}
    for name, trained in checkpoints.items():
        for model in trained.models:
            row, network = f"{name} {TITLES[model]}", trained.network(model)
            key = trained.settings["generator"] + trained.sha256[model]
            found[row] = Method(baselines.network(network), key)
            found[row + EIGHT] = Method(baselines.network(network, ensemble=True), key + EIGHT)
    return found


def classical(store: Store, settings: Settings) -> tuple[dict[str, Method], dict]:
    """The methods without training, and what two were tuned to on validation slices.

    Raises UserError where there is none.
    """
    known, degradation = store.with_role("validation"), degradation_of(settings)
    if not known:
        raise UserError("--split has no validation patient to tune non-local means and BM3D on")
    known = [known[i] for i in evenly_spaced(len(known), TUNED_ON)]
    items, scale = study_slices(store, known, []), degradation.scale
    pairs = [study_slice.make_pair(item, degradation, settings.seed) for item in items]

    def error(sd_hu: float) -> float:
        of = partial(_bm3d, sd_hu=sd_hu, scale=scale)
        return sum(float(np.mean((of(low) - normal) ** 2)) ** 0.5 for normal, low in pairs)

    cutoff_hu, sd_hu = baselines.tuned_cutoff_hu(scale, pairs), min(TOLD_HU, key=error)
    methods = {name: Method(of, name) for name, of in baselines.classical(scale).items()}
    means = baselines.non_local_means(scale, cutoff_hu)
    methods[baselines.denoiser_name(scale)] = Method(means, f"nlm {cutoff_hu}")
    methods["bm3d+bicubic"] = Method(partial(_bm3d, sd_hu=sd_hu, scale=scale), f"bm3d {sd_hu}")
    return methods, {"slices": len(pairs), "nlm_cutoff_hu": cutoff_hu, "bm3d_sd_hu": sd_hu}


def _bm3d(low_dose: np.ndarray, sd_hu: float, scale: int) -> np.ndarray:
    return bicubic(bm3d(low_dose, sd_hu), scale)


def train_red_cnn(folder: Path, store: Store, settings: Settings, minutes: float) -> None:
    """Train RED-CNN and keep its weights, unless the folder has them."""
    from benchmarks import red_cnn

    path = folder / "red_cnn.npz"
    if not path.exists():
        training, _ = slice_sets(store, settings)
        weights, steps = red_cnn.train(training, degradation_of(settings), minutes)
        print(f"RED-CNN: {steps} steps of {red_cnn.BATCH} patches", flush=True)
        content = checkpoint_models.npz({str(i): array for i, array in enumerate(weights)})
        write_whole(path, lambda part: part.write_bytes(content))


def trained_red_cnn(folder: Path, scale: int) -> dict[str, Method]:
    """RED-CNN, in the precision that is set now."""
    from benchmarks import red_cnn

    path, network = folder / "red_cnn.npz", red_cnn.build(scale)
    with np.load(path) as kept:
        network.set_weights([kept[str(i)] for i in range(len(kept.files))])
    key = hashlib.sha256(path.read_bytes()).hexdigest()
    return {RED_CNN: Method(baselines.network(network), key)}


def outputs(folder: Path, name: str, method: Method, low_hu: np.ndarray) -> np.ndarray:
    """What a method makes of (n, h, w) HU: (n, 4h, 4w) float32 HU, mapped from a file.

    It is made once for each method and input: the folder keeps it.
    """
    key = hashlib.sha256(method.key.encode() + low_hu.tobytes()).hexdigest()
    path = folder / f"{key[:16]}.npy"
    if not path.exists():
        lows = progress(low_hu, len(low_hu), f"slices through {name}")
        made = np.stack([method.of(low).astype(np.float32) for low in lows])
        folder.mkdir(exist_ok=True)
        write_whole(path, lambda part: _save(part, made))
    return np.load(path, mmap_mode="r")


def _save(part: Path, array: np.ndarray) -> None:
    with part.open("wb") as file:
        np.save(file, array)
