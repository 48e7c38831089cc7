"""Noise fields of a store's slices, made once by several processes and kept beside the slices.

`store/<fingerprint>/noise-<key>/` holds the quantum and the electronic field of every slice at full
dose, as int16 with a scale; training scales them to the sampled dose. The photon floor is part of
the fields, so the lowest dose is part of the key.
"""

import hashlib
import json
import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from srgan.dataset.store import NAMES, Store, first_changed
from srgan.lowdose import photon_cache
from srgan.lowdose.photon_cache import SlicePhotons
from srgan.lowdose.projection_noise import Fields, ProjectionNoise
from srgan.random_streams import FIELDS, generator_of, slice_number
from srgan.system import folders, processes
from srgan.system.checksums import read_sealed_json, sha256_of_text, write_sealed_json
from srgan.system.errors import TRY_AGAIN, UserError
from srgan.system.files import sync, writing
from srgan.system.progress import progress

log = logging.getLogger(__name__)

FORMAT = 1
TOP = 32767  # of int16
SPARE = 1.02  # times the arrays: the index, and blocks of the disk that are not full
MOST_AT_FLOOR = 0.01  # share of the readings at the photon floor; more is worth a warning


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
class SliceNoise:
    """The noise of one slice at full dose: `stored` times `hu_per_unit` is in HU."""

    stored: np.ndarray  # (realisations, 2, rows, columns) int16: quantum, electronic; mapped
    hu_per_unit: np.ndarray  # (realisations, 2) float32
    photons: float
    sd_hu: float | None
    at_floor: float  # share of the readings at the photon floor
    n_fields: ClassVar[int] = 2

    def fields(self, realisation: int = 0) -> np.ndarray:
        """(2, rows, columns) float32 HU."""
        return self.stored[realisation] * self.hu_per_unit[realisation][:, None, None]

    @property
    def arrays(self) -> tuple[np.ndarray, ...]:
        """What is read of it."""
        return (self.stored,)

    def draw(self, cut: Callable, rng: np.random.Generator, out: np.ndarray) -> None:
        """Both fields of a patch that `cut` takes from an image, of any realisation and sign.

        out: takes them, (2, size, size) float32.
        """
        which = rng.integers(len(self.stored))
        signs = 2 * rng.integers(2, size=2) - 1  # noise is symmetric: four fields for one
        factors = (self.hu_per_unit[which] * signs).astype(np.float32)
        for field, factor, patch in zip(self.stored[which], factors, out, strict=True):
            np.multiply(cut(field), factor, out=patch)


def open_or_build(
    store: Store,
    indices: Sequence[int],
    noise: ProjectionNoise,
    seed: int,
    realisations: int,
) -> list[SliceNoise]:
    """The noise of each slice, made if it is absent or corrupt.

    A line says beforehand how much space it takes. Raises UserError: no room for it, a folder that
    cannot be written, a lost process.
    """
    photons = photon_cache.of_slices(store, indices, noise)
    slices = [
        (store.records[i].pixels_sha256, p.photons) for i, p in zip(indices, photons, strict=True)
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
            Task(*photon_cache.place_of(store, i), count, noise, seed, realisations, digest)
            for i, (digest, count) in zip(indices, slices, strict=True)
        ]
        _check_space(store, indices, realisations, folder)
        _build(part, store, indices, tasks)

    made, was_there = folders.open_or_build(
        folder, lambda path: _load(path, store, indices, photons), build, NAMES
    )
    if was_there:
        log.info(f"noise: reused {folder}")
    log.info(photon_cache.summary_text(photon_cache.summary(photons)))
    warn_of_floor(float(np.mean([each.at_floor for each in made])))
    return made


def warn_of_floor(at_floor: float) -> None:
    """Log a warning if many readings are at the photon floor. at_floor: their share."""
    if at_floor > MOST_AT_FLOOR:
        log.warning(
            f"{at_floor:.1%} of the readings are at the photon floor and have less noise there "
            f"than a scanner's: too few photons for this dose"
        )


def _check_space(store: Store, indices: Sequence[int], realisations: int, folder: Path) -> None:
    """Log how much space will be used. Raises UserError if it is not free."""
    sizes = [store.records[i].rows * store.records[i].columns for i in indices]
    need = 2 * 2 * realisations * sum(sizes)  # two fields of two bytes
    free = shutil.disk_usage(store.folder).free
    text = f"{need / 1e9:.2f} GB, {free / 1e9:.1f} GB are free"
    if need * SPARE > free:
        raise UserError(
            f"the noise of {len(indices)} slices needs {text} in {store.folder}: make room there, "
            f"or name another --store-dir",
            TRY_AGAIN,
        )
    log.info(f"noise of {len(indices)} slices: {text}; it will be kept in {folder}")


def _build(part: Path, store: Store, indices: Sequence[int], tasks: list[Task]) -> None:
    """Make the noise of every slice and write it into the folder `part`."""
    slices, rows = {}, {}
    with writing(part):
        for name in sorted({store.records[i].array for i in indices}):
            n = sum(store.records[i].array == name for i in indices)
            shape = (n, tasks[0].realisations, 2, *store.arrays[name].shape[1:])
            _begin(part / name, shape)
    results = zip(indices, processes.in_order(_make, tasks), strict=True)
    made = progress(results, len(indices), "slices' noise fields")
    for i, (stored, hu_per_unit, at_floor) in made:
        record = store.records[i]
        with writing(part / record.array), open(part / record.array, "ab") as file:
            file.write(stored)
        row = rows[record.array] = rows.get(record.array, -1) + 1
        slices[record.pixels_sha256] = {
            "row": row,
            "hu_per_unit": hu_per_unit.tolist(),
            "floored": at_floor,
            "sha256": hashlib.sha256(stored).hexdigest(),
        }
    with writing(part):
        for name in rows:
            sync(part / name)
        write_sealed_json(part / "index.json", {"slices": slices})


def _begin(path: Path, shape: tuple[int, ...]) -> None:
    """Start a .npy file with its header; the arrays are appended."""
    with open(path, "wb") as file:
        header = {"descr": "<i2", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)


def _make(task: Task) -> tuple[np.ndarray, np.ndarray, float]:
    """The noise of one slice, as in SliceNoise: `stored`, `hu_per_unit` and `at_floor`."""
    hu = np.load(task.path, mmap_mode="r", allow_pickle=False)[task.row]
    stored = np.empty((task.realisations, 2, *hu.shape), "<i2")
    hu_per_unit = np.empty((task.realisations, 2), np.float32)
    for r in range(task.realisations):
        rng = generator_of(task.seed, FIELDS, slice_number(task.pixels_sha256), r)
        made = task.noise.new_fields(hu, task.spacing_mm, task.photons, rng)
        stored[r], hu_per_unit[r] = packed(made)
    return stored, hu_per_unit, made.at_floor


def packed(fields: Fields) -> tuple[np.ndarray, np.ndarray]:
    """(2, rows, columns) int16 of both fields, and the (2,) float32 HU of one unit of each."""
    both = np.stack([fields.quantum, fields.electronic])
    highest = np.maximum(np.abs(both).max((1, 2)).astype(float), 1e-9)
    hu_per_unit = (highest / TOP).astype(np.float32)
    return np.rint(both / hu_per_unit[:, None, None]).astype("<i2"), hu_per_unit


def _load(
    folder: Path, store: Store, indices: Sequence[int], photons: list[SlicePhotons]
) -> list[SliceNoise]:
    """Open the noise; its index and every slice are checked by their sums. Raises folders.DAMAGES.

    Of very much noise, evenly spaced slices are checked (store.first_changed).
    """
    index = read_sealed_json(folder / "index.json")
    names = {store.records[i].array for i in indices}
    arrays = {n: np.load(folder / n, mmap_mode="r", allow_pickle=False) for n in names}
    made, sums = [], []
    for i, p in zip(indices, photons, strict=True):
        record = store.records[i]
        kept = index["slices"][record.pixels_sha256]
        stored = arrays[record.array][kept["row"]]
        scales = np.array(kept["hu_per_unit"], np.float32)
        if stored.shape[1:] != (2, record.rows, record.columns) or len(scales) != len(stored):
            raise ValueError(f"{record.array} is not what the index says")
        if stored.dtype != np.dtype("<i2"):
            raise ValueError(f"{record.array} holds {stored.dtype}")
        made.append(SliceNoise(stored, scales, p.photons, p.sd_hu, kept["floored"]))
        sums.append(kept["sha256"])
    n_bytes = sum(each.stored.nbytes for each in made)
    if first_changed(lambda i: made[i].stored, sums, n_bytes) is not None:
        raise ValueError("the arrays hold other noise")
    return made
