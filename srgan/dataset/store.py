"""The store on disk: arrays of int16 HU, an index, and tables for local use.

`store/<fingerprint>/` holds slices.npy (n, 512, 512), one such file for every other size,
index.json, and for local use alone patients.csv, split.csv and skipped.csv.
"""

import csv
import dataclasses
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from srgan.dataset.select_slices import pixels_sha256
from srgan.dataset.split import choose
from srgan.formats.csv_tables import plain_id
from srgan.system.checksums import read_sealed_json, sha256_of_file, write_sealed_json
from srgan.system.files import sync
from srgan.system.processes import cpus
from srgan.system.progress import progress

FORMAT = 1  # of the index and of the rules by which slices are chosen
NPY_HEADER = 128  # bytes; room for any shape
CHECKED_BYTES = 4 << 30  # are hashed when a store or its noise is opened: all of 5,335 slices
NAMES = re.compile(r"index\.json|slices(-\d+x\d+)?\.npy|(patients|split|skipped)\.csv")


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


def known_by(record: Record, patients: dict[str, str]) -> tuple[str, str, str]:
    """What a slice is recognised by in another store: its patient, its series, its pixels."""
    return (
        "patient:" + patients[record.pseudonym],
        "series:" + record.series_hash,
        "pixels:" + record.pixels_sha256,
    )


@dataclass(frozen=True)
class Store:
    """An opened store; counts are of files, used + skipped = found."""

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

    def with_role(self, role: str) -> list[int]:
        """The indices of the slices whose patient has this role."""
        return [i for i, record in enumerate(self.records) if record.role == role]


def load(folder: Path) -> Store:
    """Open a complete store. Raises ValueError (or what a damaged index leads to) with a reason.

    Every byte is checked: the index and the tables by their sums, the arrays by their sizes, their
    headers and the hash of each slice (evenly chosen ones in a store of more than CHECKED_BYTES).
    """
    index = read_sealed_json(folder / "index.json")
    if index["format"] != FORMAT:
        raise ValueError(f"format {index['format']} is not known")
    arrays = {}
    for name, said in index["arrays"].items():
        if not (folder / name).is_file() or (folder / name).stat().st_size != said["bytes"]:
            raise ValueError(f"{name} is missing or not whole")
        with open(folder / name, "rb") as file:
            if file.read(NPY_HEADER) != npy_header(tuple(said["shape"])):
                raise ValueError(f"{name} is not what the index says")
        arrays[name] = np.load(folder / name, mmap_mode="r", allow_pickle=False)
    for name, said in index["tables"].items():
        if sha256_of_file(folder / name) != said:
            raise ValueError(f"{name} was changed")
    with open(folder / "patients.csv", newline="", encoding="utf-8") as file:
        patients = {r["pseudonym"]: plain_id(r["patient_id"]) for r in csv.DictReader(file)}
    records = tuple(
        Record(**{**record, "spacing_mm": tuple(record["spacing_mm"])})
        for record in index["slices"]
    )
    counts = (index["found"], index["used"], index["skipped"], index["synthetic"])
    store = Store(folder, records, *counts, patients, arrays)
    sums = [record.pixels_sha256 for record in records]
    wrong = first_changed(store.hu, sums, sum(a.nbytes for a in arrays.values()))
    if wrong is not None:
        raise ValueError(f"{records[wrong].array} holds other pixels")
    return store


def first_changed(
    array: Callable[[int], np.ndarray], sums: Sequence[str], n_bytes: int
) -> int | None:
    """The first i whose array(i), int16, has not the SHA-256 sums[i]; None where all are whole.

    Of arrays of more than CHECKED_BYTES in all, evenly chosen ones are looked at. Hashing lets
    threads run side by side.
    """
    share = min(1.0, CHECKED_BYTES / max(n_bytes, 1))
    chosen = choose(len(sums), max(1, int(len(sums) * share)))
    with ThreadPoolExecutor(min(cpus(), 4)) as pool:
        found = pool.map(lambda i: pixels_sha256(array(i)) == sums[i], chosen)
        checked = zip(chosen, found, strict=True)
        for i, is_whole in progress(checked, len(chosen), "slices of the store checked"):
            if not is_whole:
                pool.shutdown(cancel_futures=True)
                return i
    return None


# ---- writing ----


def array_name(rows: int, columns: int) -> str:
    return "slices.npy" if rows == columns == 512 else f"slices-{rows}x{columns}.npy"


def append(path: Path, hu: np.ndarray) -> None:
    """Add a slice behind the room for a header; plain writes, as mapped pages count as memory."""
    with open(path, "ab") as file:
        if not file.tell():
            file.write(bytes(NPY_HEADER))
        file.write(np.ascontiguousarray(hu, "<i2"))


def finish(path: Path) -> None:
    """Write the header of the .npy file, now that its length is known."""
    rows, columns = (512, 512) if path.stem == "slices" else _size_of(path)
    shape = ((path.stat().st_size - NPY_HEADER) // (2 * rows * columns), rows, columns)
    with open(path, "r+b") as file:
        file.write(npy_header(shape))
    sync(path)


def npy_header(shape: tuple[int, int, int]) -> bytes:
    """The first NPY_HEADER bytes of a .npy file of little-endian int16."""
    text = f"{{'descr': '<i2', 'fortran_order': False, 'shape': {shape}, }}".encode()
    start = b"\x93NUMPY\x01\x00" + (NPY_HEADER - 10).to_bytes(2, "little")
    return start + text.ljust(NPY_HEADER - 11) + b"\n"


def _size_of(path: Path) -> tuple[int, int]:
    rows, columns = path.stem.removeprefix("slices-").split("x")
    return int(rows), int(columns)


def write_index(part: Path, records, prints: dict, found: int, skipped: int, synthetic) -> None:
    arrays = {}
    for path in sorted(part.glob("*.npy")):
        shape = np.load(path, mmap_mode="r", allow_pickle=False).shape
        arrays[path.name] = {"shape": shape, "dtype": "int16", "bytes": path.stat().st_size}
    tables = {p.name: sha256_of_file(p) for p in sorted(part.glob("*.csv"))}
    index = {
        "format": FORMAT,
        "sources": prints,
        "found": found,
        "used": found - skipped,
        "skipped": skipped,
        "synthetic": synthetic,
        "arrays": arrays,
        "tables": tables,
        "slices": [dataclasses.asdict(record) for record in records],
    }
    write_sealed_json(part / "index.json", index)
