"""The photons of a store's slices: given, or estimated for each series and kept in the store."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from srgan.dataset.store import Record, Store
from srgan.lowdose import estimate_photons
from srgan.lowdose.estimate_photons import Estimate
from srgan.lowdose.projection_noise import ProjectionNoise, pixel_mm_of
from srgan.system import folders, processes
from srgan.system.checksums import read_sealed_json, sha256_of_text, write_sealed_json
from srgan.system.files import writing
from srgan.system.progress import progress

FORMAT = 1


@dataclass(frozen=True)
class SlicePhotons:
    """The photons that a slice is assumed to have been acquired with."""

    photons: float  # of a reading at 360 views and 0.70 mm
    sd_hu: float | None  # estimated noise in soft tissue at full dose; None where not estimated


def has_square_pixels(record: Record) -> bool:
    """Are rows and columns equally far apart, within 1 %? Only such a slice can be projected."""
    try:
        return pixel_mm_of(record.spacing_mm) > 0
    except ValueError:
        return False


def of_slices(store: Store, indices: Sequence[int], noise: ProjectionNoise) -> list[SlicePhotons]:
    """The photons of each slice: the given number, or a running median of its series' estimates.

    Estimates are made once, by several processes, and kept in the store's folder. Raises UserError
    if they cannot be written or a process is lost.
    """
    if noise.photons is not None:
        return [SlicePhotons(noise.photons, None)] * len(indices)
    estimates = _estimates(store, indices, noise)
    photons = {}
    for members in _series(store, indices):
        default = default_photons(noise, store.records[members[0]].spacing_mm)
        z_mm = [store.records[i].z_mm for i in members]
        of_series = estimate_photons.along_series([estimates[i] for i in members], default, z_mm)
        photons.update(zip(members, of_series, strict=True))
    return [SlicePhotons(photons[i], estimates[i].sd_hu) for i in indices]


def default_photons(noise: ProjectionNoise, spacing_mm: tuple[float, float]) -> float:
    """For a series in which no slice shows enough soft tissue."""
    if noise.noise_hu is None:
        return estimate_photons.DEFAULT_PHOTONS
    return estimate_photons.of_water(noise.noise_hu, noise.scanner, pixel_mm_of(spacing_mm))


def _series(store: Store, indices: Sequence[int]) -> list[list[int]]:
    """The indices of each series, in the order of its slices."""
    found: dict[tuple[str, str], list[int]] = {}
    for i in sorted(indices):
        record = store.records[i]
        found.setdefault((record.pseudonym, record.series_hash), []).append(i)
    return list(found.values())


def _estimates(store, indices, noise: ProjectionNoise) -> dict[int, Estimate]:
    model = {**asdict(noise.scanner), "noise_hu": noise.noise_hu}
    path = store.folder / f"photons-{sha256_of_text(json.dumps(model))[:12]}.json"
    known = _read(path)
    missing = [i for i in indices if store.records[i].pixels_sha256 not in known]
    tasks = [(*place_of(store, i), noise.scanner, noise.noise_hu) for i in missing]
    results = zip(missing, processes.in_order(_estimate, tasks), strict=True)
    for i, made in progress(results, len(missing), "slices' noise"):
        known[store.records[i].pixels_sha256] = made
    if missing:
        slices = {name: [made.photons, made.sd_hu] for name, made in known.items()}
        with writing(path):
            write_sealed_json(path, {"format": FORMAT, "model": model, "slices": slices})
    return {i: known[store.records[i].pixels_sha256] for i in indices}


def _read(path: Path) -> dict[str, Estimate]:
    """The estimates kept in a file, by the hash of the pixels; none if it is absent or damaged."""
    try:
        kept = read_sealed_json(path)
        numbers = (int, float, type(None))
        if kept["format"] != FORMAT or not all(
            len(pair) == 2 and isinstance(pair[0], numbers) and isinstance(pair[1], numbers)
            for pair in kept["slices"].values()
        ):
            return {}
        return {name: Estimate(*pair) for name, pair in kept["slices"].items()}
    except folders.DAMAGES:
        return {}


def place_of(store: Store, i: int) -> tuple[Path, int, tuple[float, float]]:
    """Where another process finds slice i: the file, the row in it, and the spacing in mm."""
    record = store.records[i]
    return store.folder / record.array, record.row, record.spacing_mm


def _estimate(task) -> Estimate:
    path, row, spacing_mm, scanner, noise_hu = task
    return estimate_photons.estimate(
        np.load(path, mmap_mode="r", allow_pickle=False)[row], spacing_mm, scanner, noise_hu
    )


def summary(slices: Sequence) -> dict:
    """Median and range of the photons, and the median of the estimated noise; JSON values.

    slices: of SlicePhotons or SliceNoise.
    """
    photons = [m.photons for m in slices]
    noise = [m.sd_hu for m in slices if m.sd_hu is not None]
    return {
        "median": float(np.median(photons)),
        "low": min(photons),
        "high": max(photons),
        "sd_hu": float(np.median(noise)) if noise else None,
    }


def summary_text(found: dict) -> str:
    """A `summary` in one line."""
    text = f"photons a reading: median {found['median']:.2g} ({found['low']:.2g} to "
    text += f"{found['high']:.2g})"
    return text if found["sd_hu"] is None else f"{text}, noise at full dose {found['sd_hu']:.1f} HU"
