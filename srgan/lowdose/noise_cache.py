"""Noise of a store's slices, made once by several processes and kept beside them.

`store/<fingerprint>/noise-<key>/` holds for every slice its quantum and electronic fields at full
dose as int16 with a scale; pairs scales them to the dose drawn. The photon floor is part of the
fields, so the lowest dose wanted is part of the key.
"""

import hashlib
import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from srgan.dataset.store import NAMES, Store, first_changed
from srgan.lowdose import projection_noise
from srgan.lowdose.photon_cache import Matched, of_slices, place_of, summary, told_of
from srgan.lowdose.projection_noise import ProjectionNoise
from srgan.random_streams import FIELDS, generator_of, slice_number
from srgan.system import folders, processes
from srgan.system.checksums import read_sealed_json, sha256_of_text, write_sealed_json
from srgan.system.errors import TRY_AGAIN, UserError
from srgan.system.files import sync, writing
from srgan.system.progress import progress

log = logging.getLogger(__name__)

FORMAT = 1
TOP = 32767  # of int16
SPARE = 1.02  # of the space: index, and blocks that are not full
FLOORED_WARNING = 0.01


@dataclass(frozen=True)
class Task:
    """What another process needs to make the noise of one slice."""

    path: Path  # of the store's array
    row: int
    spacing_mm: tuple[float, float]
    photons: float
    noise: ProjectionNoise
    seed: int
    realisations: int
    pixels_sha256: str


@dataclass(frozen=True)
class Cached:
    """The noise of one slice at full dose: `stored` times `hu_per_unit` in HU."""

    stored: np.ndarray  # (realisations, 2, rows, columns) int16: quantum, electronic; mapped
    hu_per_unit: np.ndarray  # (realisations, 2) float32
    photons: float
    sd_hu: float | None
    floored: float  # share of the readings at the photon floor

    def fields(self, realisation: int = 0) -> np.ndarray:
        """(2, rows, columns) float32 HU."""
        return self.stored[realisation] * self.hu_per_unit[realisation][:, None, None]


def open_or_build(
    store: Store,
    indices: Sequence[int],
    noise: ProjectionNoise,
    seed: int,
    realisations: int,
) -> list[Cached]:
    """The noise of each slice, made where it is not there yet or is corrupt.

    The space it takes is told first. Raises UserError: no room for it, a folder that cannot be
    written, a process lost.
    """
    matched = of_slices(store, indices, noise)
    slices = [
        (store.records[i].pixels_sha256, m.photons) for i, m in zip(indices, matched, strict=True)
    ]
    key = {
        "format": FORMAT,
        "scanner": asdict(noise.scanner),
        "lowest_dose": noise.dose.low,
        "seed": seed,
        "realisations": realisations,
        "slices": slices,
    }
    name = sha256_of_text(json.dumps(key, sort_keys=True))[:12]
    folder = store.folder / f"noise-{name}"

    def build(part: Path) -> None:
        tasks = [
            Task(*place_of(store, i), photons, noise, seed, realisations, digest)
            for i, (digest, photons) in zip(indices, slices, strict=True)
        ]
        _check_space(store, indices, realisations, folder)
        _build(part, store, indices, tasks)

    made, was_there = folders.open_or_build(
        folder, lambda path: _load(path, store, indices, matched), build, NAMES
    )
    if was_there:
        log.info(f"noise: reused {folder}")
    _say(made, matched)
    return made


def _say(made: list[Cached], matched: list[Matched]) -> None:
    log.info(told_of(summary(matched)))
    at_floor = float(np.mean([cached.floored for cached in made]))
    if at_floor > FLOORED_WARNING:
        log.warning(
            f"{at_floor:.1%} of the readings are at the photon floor and have less noise "
            f"than a scanner's there: too few photons for the lowest dose"
        )


def _bytes_of(store: Store, indices: Sequence[int], realisations: int) -> int:
    sizes = [store.records[i].rows * store.records[i].columns for i in indices]
    return 4 * realisations * sum(sizes)


def _check_space(store, indices, realisations: int, folder: Path) -> None:
    """Say what will be used, and refuse where it is not there."""
    need = _bytes_of(store, indices, realisations)
    free = shutil.disk_usage(store.folder).free
    sizes = f"{need / 1e9:.2f} GB, {free / 1e9:.1f} GB are free"
    if need * SPARE > free:
        raise UserError(
            f"the noise of {len(indices)} slices needs {sizes} in {store.folder}: make room there, "
            f"or name another --store-dir",
            TRY_AGAIN,
        )
    log.info(f"noise of {len(indices)} slices: {sizes}; it will be kept in {folder}")


def _build(part: Path, store: Store, indices, tasks) -> None:
    """Make the noise of every slice and write it into the folder `part`."""
    slices, rows = {}, {}
    with writing(part):
        for name in sorted({store.records[i].array for i in indices}):
            n = sum(store.records[i].array == name for i in indices)
            shape = (n, tasks[0].realisations, 2, *store.arrays[name].shape[1:])
            _begin(part / name, shape)
    results = zip(indices, processes.in_order(_make, tasks), strict=True)
    made = progress(results, len(indices), "slices' noise fields")
    for i, (stored, hu_per_unit, floored) in made:
        record = store.records[i]
        with writing(part / record.array), open(part / record.array, "ab") as file:
            file.write(stored)
        row = rows[record.array] = rows.get(record.array, -1) + 1
        slices[record.pixels_sha256] = {
            "row": row,
            "hu_per_unit": hu_per_unit.tolist(),
            "floored": floored,
            "sha256": hashlib.sha256(stored).hexdigest(),
        }
    with writing(part):
        for name in rows:
            sync(part / name)
        write_sealed_json(part / "index.json", {"slices": slices})


def _begin(path: Path, shape: tuple[int, ...]) -> None:
    """A .npy file of which only the header is written yet."""
    with open(path, "wb") as file:
        header = {"descr": "<i2", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)


def _make(task: Task) -> tuple[np.ndarray, np.ndarray, float]:
    """One slice's realisations: int16 (realisations, 2, rows, columns), scales, share floored."""
    hu = np.load(task.path, mmap_mode="r", allow_pickle=False)[task.row]
    stored = np.empty((task.realisations, 2, *hu.shape), "<i2")
    hu_per_unit = np.empty((task.realisations, 2), np.float32)
    scanner, lowest = task.noise.scanner, task.noise.dose.low
    for r in range(task.realisations):
        rng = generator_of(task.seed, FIELDS, slice_number(task.pixels_sha256), r)
        made = projection_noise.noise_fields(
            hu, task.spacing_mm, task.photons, scanner, lowest, rng
        )
        for j, field in enumerate((made.quantum, made.electronic)):
            hu_per_unit[r, j] = max(float(np.abs(field).max()), 1e-9) / TOP
            stored[r, j] = np.rint(field / hu_per_unit[r, j])
    return stored, hu_per_unit, made.at_floor


def _load(folder: Path, store: Store, indices, matched) -> list[Cached]:
    """Raises folders.DAMAGES.

    The index is checked by its sum, the noise of every slice by its own (see first_changed).
    """
    index = read_sealed_json(folder / "index.json")
    names = {store.records[i].array for i in indices}
    arrays = {n: np.load(folder / n, mmap_mode="r", allow_pickle=False) for n in names}
    made, digests = [], []
    for i, m in zip(indices, matched, strict=True):
        record = store.records[i]
        kept = index["slices"][record.pixels_sha256]
        stored = arrays[record.array][kept["row"]]
        scales = np.array(kept["hu_per_unit"], np.float32)
        if stored.shape[1:] != (2, record.rows, record.columns) or len(scales) != len(stored):
            raise ValueError(f"{record.array} is not what the index says")
        if stored.dtype != np.dtype("<i2"):
            raise ValueError(f"{record.array} holds {stored.dtype}")
        made.append(Cached(stored, scales, m.photons, m.sd_hu, kept["floored"]))
        digests.append(kept["sha256"])
    n_bytes = sum(cached.stored.nbytes for cached in made)
    if first_changed(lambda i: made[i].stored, digests, n_bytes) is not None:
        raise ValueError("the arrays hold other noise")
    return made
