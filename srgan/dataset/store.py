"""The store: the selected slices of a dataset on disk, as memory-mapped arrays of int16 HU.

`store/<fingerprint>/` holds slices.npy (n, 512, 512), one such file for every other size, and
index.json; of pairs also low-slices.npy and so on, with the same rows. patients.csv, split.csv,
pairs.csv and skipped.csv name patients and files: they are for local use.
"""

import csv
import dataclasses
import math
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from srgan.dataset.select_slices import SelectedSlice, pixels_sha256
from srgan.dataset.slice_quotas import evenly_spaced
from srgan.formats.csv_tables import plain_id
from srgan.system import mapped
from srgan.system.checksums import (
    read_sealed_json,
    sha256_of_file,
    sha256_of_text,
    write_sealed_json,
)
from srgan.system.files import sync, writing
from srgan.system.processes import cpus
from srgan.system.progress import progress

FORMAT = 2  # of the index and of the rules by which slices are selected
NPY_HEADER = 128  # bytes; room for any shape
CHECKED_BYTES = 4 << 30  # hashed when a store or its noise is opened: all of 5,335 slices
# The files that the program writes into a store or a folder of noise:
NAMES = re.compile(r"index\.json|(low-)?slices(-\d+x\d+)?\.npy|(patients|split|skipped|pairs)\.csv")
LOW = "low-"  # begins the name of the array of low doses beside that of normal doses


@dataclass(frozen=True, slots=True)
class Record:
    """One slice of the store."""

    pseudonym: str
    series_hash: str  # SHA-256 of the series UID
    z_mm: float | None
    spacing_mm: tuple[float, float]  # between rows, between columns
    kvp: float | None
    tube_current_ma: float | None
    kernel: str
    role: str
    rows: int
    columns: int
    array: str  # file name
    row: int  # index into that array
    pixels_sha256: str
    # Of a pair; None where the low dose is simulated:
    low_dose_sha256: str | None = None
    dose: float | None = None  # share of the normal dose by the headers' exposure, where told
    noise_hu: float | None = None  # SD of low dose - normal dose in the body, of the series
    simulated: bool = False  # its low dose was made by this program's simulate

    @classmethod
    def of(cls, selected: SelectedSlice, pseudonym: str, role: str, array: str, row: int):
        scan, low = selected.scan, selected.scan.low_dose
        return cls(
            pseudonym=pseudonym,
            series_hash=sha256_of_text(scan.series_uid),
            z_mm=_finite(scan.slices[selected.position].z_mm),
            spacing_mm=tuple(map(float, scan.spacing_mm)),
            kvp=_finite(scan.kvp),
            tube_current_ma=_finite(scan.tube_current_ma),
            kernel=scan.kernel,
            role=role,
            rows=scan.rows,
            columns=scan.columns,
            array=array,
            row=row,
            pixels_sha256=selected.sha256,
            low_dose_sha256=selected.low_sha256,
            dose=low and low.dose,
            noise_hu=low and low.noise_hu,
            simulated=bool(low and low.scan.made_by),
        )


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def known_by(record: Record, patients: dict[str, str]) -> tuple[str, str, str]:
    """What identifies a slice in another store: its patient, its series, its pixels."""
    return (
        "patient:" + patients[record.pseudonym],
        "series:" + record.series_hash,
        "pixels:" + record.pixels_sha256,
    )


@dataclass(frozen=True)
class Store:
    """An opened store. found = used + skipped counts the files of the dataset."""

    folder: Path
    records: tuple[Record, ...]
    found: int
    used: int
    skipped: int
    synthetic: bool
    patients: dict[str, str]  # pseudonym -> patient_id
    arrays: dict[str, np.ndarray] = field(repr=False, compare=False)

    def hu(self, i: int) -> np.ndarray:
        """Slice i: (rows, columns) int16 HU, read-only, memory-mapped."""
        record = self.records[i]
        return self.arrays[record.array][record.row]

    def low_hu(self, i: int) -> np.ndarray:
        """The measured low dose of slice i of a store of pairs: as `hu`."""
        record = self.records[i]
        return self.arrays[LOW + record.array][record.row]

    @property
    def has_simulated_pairs(self) -> bool:
        """Were low doses of pairs made by this program, not measured?"""
        return any(record.simulated for record in self.records)

    def with_role(self, role: str) -> list[int]:
        """The indices of the slices whose patient has this role."""
        return [i for i, record in enumerate(self.records) if record.role == role]


def load(folder: Path) -> Store:
    """Open a complete store. Raises one of folders.DAMAGES for a damaged one.

    Every byte is checked: the index and the tables by their sums; the arrays by their sizes, their
    headers and the hash of each slice (of evenly spaced slices above CHECKED_BYTES).
    """
    index = read_sealed_json(folder / "index.json")
    if index["format"] != FORMAT:
        raise ValueError(f"format {index['format']} is not known")
    arrays = {}
    for name, expected in index["arrays"].items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != expected["bytes"]:
            raise ValueError(f"{name} is missing or not complete")
        with open(path, "rb") as file:
            if file.read(NPY_HEADER) != npy_header(tuple(expected["shape"])):
                raise ValueError(f"{name} is not what the index says")
        arrays[name] = np.load(path, mmap_mode="r", allow_pickle=False)
    for name, expected in index["tables"].items():
        if sha256_of_file(folder / name) != expected:
            raise ValueError(f"{name} was changed")
    with open(folder / "patients.csv", newline="", encoding="utf-8") as file:
        patients = {r["pseudonym"]: plain_id(r["patient_id"]) for r in csv.DictReader(file)}
    records = tuple(
        Record(**{**record, "spacing_mm": tuple(record["spacing_mm"])})
        for record in index["slices"]
    )
    counts = (index["found"], index["used"], index["skipped"], index["synthetic"])
    store = Store(folder, records, *counts, patients, arrays)
    n_bytes = sum(a.nbytes for a in arrays.values())
    for read, sums in (
        (store.hu, [record.pixels_sha256 for record in records]),
        (store.low_hu, [r.low_dose_sha256 for r in records if r.low_dose_sha256]),
    ):
        changed = first_changed(read, sums, n_bytes)
        if changed is not None:
            raise ValueError(f"{records[changed].array} or its low doses hold other pixels")
    return store


def first_changed(
    array: Callable[[int], np.ndarray], sums: Sequence[str], n_bytes: int
) -> int | None:
    """The first i for which the SHA-256 of array(i), int16, is not sums[i]; None if there is none.

    n_bytes: of all the arrays. Above CHECKED_BYTES, evenly spaced ones are checked.
    """
    share = min(1.0, CHECKED_BYTES / max(n_bytes, 1))
    chosen = evenly_spaced(len(sums), max(1, int(len(sums) * share)))
    with ThreadPoolExecutor(min(cpus(), 4)) as pool:  # hashing lets other threads run
        found = pool.map(lambda i: pixels_sha256(array(i)) == sums[i], chosen)
        checked = zip(chosen, found, strict=True)
        for i, is_whole in progress(checked, len(chosen), "slices of the store checked"):
            if i % 64 == 0:
                mapped.forget(mapped.files_of([array(i)]))
            if not is_whole:
                pool.shutdown(cancel_futures=True)
                return i
    return None


# ---- writing ----


class SliceWriter:
    """Write the arrays of a store, slice by slice: a .npy file for each size of slice.

    With plain writes: the pages of a memory map would count as memory of the process.
    """

    def __init__(self, part: Path):
        self.part = part
        self.shapes: dict[str, tuple[int, int, int]] = {}  # of each file so far

    def add(self, hu: np.ndarray, low_hu: np.ndarray | None = None) -> tuple[str, int]:
        """Append (rows, columns) HU; returns the file's name and the row in it. UserError.

        low_hu: the low dose of a pair, for the file beside it.
        """
        rows, columns = hu.shape
        name = "slices.npy" if rows == columns == 512 else f"slices-{rows}x{columns}.npy"
        if low_hu is not None:
            self._append(LOW + name, low_hu)
        return name, self._append(name, hu)

    def _append(self, name: str, hu: np.ndarray) -> int:
        row = self.shapes.get(name, (0,))[0]
        with writing(self.part / name), open(self.part / name, "ab") as file:
            if row == 0:
                file.write(bytes(NPY_HEADER))
            file.write(np.ascontiguousarray(hu, "<i2"))
        self.shapes[name] = (row + 1, *hu.shape)
        return row

    def finish(self) -> None:
        """Write the headers, now that the numbers of slices are known. Raises UserError."""
        for name, shape in self.shapes.items():
            with writing(self.part / name):
                with open(self.part / name, "r+b") as file:
                    file.write(npy_header(shape))
                sync(self.part / name)

    def start_again(self) -> None:
        for name in self.shapes:
            (self.part / name).unlink()
        self.shapes.clear()


def npy_header(shape: tuple[int, int, int]) -> bytes:
    """The first NPY_HEADER bytes of a .npy file of little-endian int16."""
    text = f"{{'descr': '<i2', 'fortran_order': False, 'shape': {shape}, }}".encode()
    start = b"\x93NUMPY\x01\x00" + (NPY_HEADER - 10).to_bytes(2, "little")
    return start + text.ljust(NPY_HEADER - 11) + b"\n"


def write_index(
    part: Path, records: Sequence[Record], source: dict, found: int, skipped: int, synthetic: bool
) -> None:
    """Write index.json for the arrays and tables in `part`. Raises OSError.

    source: what the slices were read from, as JSON values. found, skipped: numbers of files.
    """
    arrays = {}
    for path in sorted(part.glob("*.npy")):
        shape = np.load(path, mmap_mode="r", allow_pickle=False).shape
        arrays[path.name] = {"shape": shape, "dtype": "int16", "bytes": path.stat().st_size}
    index = {
        "format": FORMAT,
        "sources": source,
        "found": found,
        "used": found - skipped,
        "skipped": skipped,
        "synthetic": synthetic,
        "arrays": arrays,
        "tables": {p.name: sha256_of_file(p) for p in sorted(part.glob("*.csv"))},
        "slices": [dataclasses.asdict(record) for record in records],
    }
    write_sealed_json(part / "index.json", index)
