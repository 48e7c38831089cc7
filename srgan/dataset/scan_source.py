"""Where the scans come from: the user's folder, or synthetic chests if it has no scans yet."""

import errno
import hashlib
import logging
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from srgan.dataset import catalogue
from srgan.dataset.list_files import files_below
from srgan.formats.csv_tables import MAX_TABLE
from srgan.formats.scan import Catalogue
from srgan.phantom import write_scans
from srgan.system import locks
from srgan.system.files import read_bounded, writing

log = logging.getLogger(__name__)

DEFAULT = Path("data")
SYNTHETIC = "synthetic"  # the folder's name, in data/ or in the store's folder
SEED = 0  # of the chests; --seed does not change the files on disk
READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)


@dataclass(frozen=True)
class DatasetPaths:
    """What the user names: the folder of scans, the folder of stores, two tables, which series."""

    data: Path = DEFAULT
    store_dir: Path = Path("store")
    split: Path | None = None  # CSV patient_id,role
    patients: Path | None = None  # CSV series_uid,patient_id
    series_filter: str | None = None  # TEXT or !TEXT
    pairs: bool = False  # use measured pairs of normal and low dose alone


@dataclass(frozen=True)
class Source:
    """A folder of scans; files in the `left_out` folders below it do not count."""

    folder: Path
    left_out: tuple[Path, ...] = ()
    synthetic: bool = False


def locate(paths: DatasetPaths) -> Source:
    """The folder to catalogue. Writes synthetic chests if the default folder has no scans.

    Raises UserError if they cannot be written.
    """
    data, store = paths.data, paths.store_dir
    if needs_synthetic(paths):
        return Source(_synthetic_chests(data, store), synthetic=True)
    left_out = []
    if (data / SYNTHETIC / write_scans.MANIFEST).is_file():
        left_out.append(data / SYNTHETIC)
    if store.resolve().is_relative_to(data.resolve()):
        left_out.append(data / store.resolve().relative_to(data.resolve()))
    return Source(data, tuple(left_out), (data / write_scans.MANIFEST).is_file())


def needs_synthetic(paths: DatasetPaths) -> bool:
    """Are there no scans yet? Of measured pairs there are no synthetic ones."""
    return not paths.pairs and has_no_scans(paths.data)


def has_no_scans(data: Path) -> bool:
    """Is it the default folder, with nothing in it but README.md, hidden files and synthetic/?"""
    if data != DEFAULT:
        return False
    try:
        names = os.listdir(data)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return all(name.startswith(".") or name in ("README.md", SYNTHETIC) for name in names)


def _synthetic_chests(data: Path, store: Path) -> Path:
    """The folder of the chests, written if needed: in data/, or with the stores if that fails."""
    places = (data / SYNTHETIC, store / SYNTHETIC)
    for folder in places:
        if write_scans.is_complete(folder, SEED):
            return folder
    waiting = "another run writes the synthetic chests: waiting for it"
    with locks.held(store / ".lock-synthetic", lambda: log.info(waiting)):
        for folder in places:
            if write_scans.is_complete(folder, SEED):
                return folder
        try:
            write_scans.write(places[0], SEED)
            return places[0]
        except OSError as error:
            if error.errno not in READ_ONLY:
                with writing(places[0]):
                    raise
        with writing(places[1]):
            write_scans.write(places[1], SEED)
        return places[1]


def catalogued(source: Source, paths: DatasetPaths, patients: dict[str, str] | None) -> Catalogue:
    """The catalogue of a source, without folders that are left out, of the series that are wanted.

    patients: the table of `paths.patients`. Raises UserError.
    """
    return catalogue.find(
        source.folder,
        patients,
        source.left_out,
        series_filter=paths.series_filter,
        pairs=paths.pairs,
    )


def fingerprint(source: Source, paths: DatasetPaths, version: int) -> dict:
    """Identify a dataset: {"fingerprint": 12 hexadecimal digits, "files": n, "bytes": n}.

    It depends on the names, sizes and times of the files, on the content of the two tables, on
    --series-filter and on whether pairs are wanted. No scan is opened.
    """
    digest = hashlib.sha256(f"{version} {source.synthetic}".encode())
    for table in (paths.split, paths.patients):
        content = b"" if table is None else read_bounded(table, MAX_TABLE)
        digest.update(b"%d:" % (-1 if table is None else len(content)) + content)
    digest.update(os.fsencode(f"{(paths.series_filter or '').casefold()}\n"))
    if paths.pairs:
        digest.update(b"pairs\n")
    n_files = n_bytes = 0
    files, skipped = files_below(source.folder, source.left_out)
    for path in sorted([*files, *(item.path for item in skipped)], key=os.fsencode):
        try:
            status = path.stat()
        except OSError:  # a broken link, which the catalogue reports
            continue
        if stat.S_ISDIR(status.st_mode):  # it cannot be read
            continue
        name = os.fsencode(path.relative_to(source.folder))
        digest.update(b"%b\0%d %d\n" % (name, status.st_size, status.st_mtime_ns))
        n_files += 1
        n_bytes += status.st_size
    return {"fingerprint": digest.hexdigest()[:12], "files": n_files, "bytes": n_bytes}
