"""The slices of test patients through annotated nodules, in a small store of their own.

They are kept in `nodules/` in the store's folder and in no other store: nothing is trained on them.
"""

import dataclasses
import hashlib
import logging
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from srgan.dataset import annotations, scan_source
from srgan.dataset.annotations import TABLE, Annotation
from srgan.dataset.coordinates import Place, locate
from srgan.dataset.patients_table import read_patients_csv
from srgan.dataset.scan_source import DatasetPaths
from srgan.dataset.select_slices import SelectedSlice, pixels_sha256
from srgan.dataset.slice_quotas import hash_order
from srgan.dataset.store import NAMES, Record, SliceWriter, Store, load, write_index
from srgan.formats import csv_tables, readers
from srgan.formats.csv_tables import escaped_id
from srgan.formats.scan import Scan
from srgan.system import folders
from srgan.system.checksums import read_sealed_json, sha256_of_text, write_sealed_json
from srgan.system.errors import Skip, reason
from srgan.system.files import read_bounded, write_csv, writing
from srgan.system.progress import progress

log = logging.getLogger(__name__)

FORMAT = 1
_NAMES = re.compile(rf"{NAMES.pattern}|nodules\.json")


@dataclass(frozen=True)
class Nodule:
    """A nodule in a slice of `NoduleSlices.store`; pixel centres have whole coordinates."""

    slice: int  # index into the store's records
    number: int  # within the patient, from 1
    row_px: float
    column_px: float
    diameter_mm: float


@dataclass(frozen=True)
class NoduleSlices:
    """The slices of test patients through nodules, and where the nodules lie in them."""

    store: Store
    nodules: tuple[Nodule, ...]
    rows: int  # of annotations.csv
    left_out: dict[str, int]  # rows that are not used, by reason


@dataclass(frozen=True)
class _Found:
    """A nodule in a slice that was written."""

    slice: SelectedSlice  # without its pixels
    file: str
    row: int
    place: Place
    diameter_mm: float


def open_or_build(
    paths: DatasetPaths, store: Store, patients: Iterable[str]
) -> NoduleSlices | None:
    """The nodules of the patients with these pseudonyms; None if there is no annotations.csv.

    The slices are read once, and again for another table, for other patients, or if the folder is
    damaged. A line says how many nodules are used and why others are not. Raises UserError if the
    store's folder cannot be written.
    """
    source = scan_source.locate(paths)
    path = annotations.find(source)
    if path is None:
        return None
    try:
        content = read_bounded(path, csv_tables.MAX_TABLE)
        rows, left_out = annotations.read(content)
    except Skip as skip:
        log.warning(f"{TABLE} is not used: {skip.reason}, {skip.detail}")
        return None
    except OSError as error:
        log.warning(f"{TABLE} is not used: {reason(error)}")
        return None
    key = {
        "annotations": hashlib.sha256(content).hexdigest(),
        "patients": sorted(set(patients)),
    }

    def build(part: Path) -> None:
        table = read_patients_csv(paths.patients) if paths.patients else None
        scans = scan_source.catalogued(source, paths, table).scans
        _build(part, store, key, scans, rows, left_out)

    folder = store.folder / "nodules"
    made, _ = folders.open_or_build(folder, lambda path: _load(path, key), build, _NAMES)
    log.info(_counts(made))
    return made


def _load(folder: Path, key: dict) -> NoduleSlices | None:
    """What was kept under this key; None for another key. Raises one of folders.DAMAGES."""
    content = read_sealed_json(folder / "nodules.json")
    if content["format"] != FORMAT:
        raise ValueError(f"format {content['format']} is not known")
    if content["key"] != key:
        return None
    store = load(folder)
    nodules = tuple(Nodule(**each) for each in content["nodules"])
    if not all(0 <= nodule.slice < len(store.records) for nodule in nodules):
        raise ValueError("nodules.json names a slice that is not there")
    return NoduleSlices(store, nodules, content["rows"], content["left_out"])


def _counts(made: NoduleSlices) -> str:
    left_out = ", ".join(f"{n} {why}" for why, n in made.left_out.items() if n)
    text = f"nodules: {len(made.nodules)} of {made.rows} rows of {TABLE} are used"
    return f"{text}; left out: {left_out}" if left_out else text


# ---- building ----


def _build(
    part: Path, store: Store, key: dict, scans: Iterable[Scan], rows: list[Annotation], left_out
) -> None:
    """Find and read the slices, and write them into the folder `part`. Counts into `left_out`."""
    n_rows = len(rows) + sum(left_out.values())
    wanted = _by_scan(store, key["patients"], scans, rows, left_out)
    writer, found = SliceWriter(part), []
    order = sorted(wanted, key=hash_order)
    for scan in progress(order, len(order), "scans with nodules"):
        found += _in_scan(writer, scan, wanted[scan], left_out)
    writer.finish()
    records, nodules = _numbered(store, found)
    pairs = [(r, escaped_id(store.patients[r])) for r in sorted({r.pseudonym for r in records})]
    content = {
        "format": FORMAT,
        "key": key,
        "rows": n_rows,
        "left_out": dict(left_out),
        "nodules": [dataclasses.asdict(nodule) for nodule in nodules],
    }
    with writing(part):
        write_csv(part / "patients.csv", ("pseudonym", "patient_id"), pairs)
        write_index(part, records, key, len(records), 0, store.synthetic)
        write_sealed_json(part / "nodules.json", content)


def _by_scan(
    store: Store, patients: list[str], scans: Iterable[Scan], rows: list[Annotation], left_out
) -> dict[Scan, list[Annotation]]:
    """The annotations of each scan of a wanted patient."""
    owners = {(store.patients[r.pseudonym], r.series_hash): r.pseudonym for r in store.records}
    known = {}
    # Of a series in parts (two sizes) the largest one counts.
    for scan in sorted(scans, key=lambda scan: len(scan.slices)):
        owner = owners.get((scan.patient_id, sha256_of_text(scan.series_uid)))
        if owner is not None:
            known[scan.series_uid] = scan, owner
    wanted: dict[Scan, list[Annotation]] = {}
    for row in rows:
        scan, owner = known.get(row.series_uid, (None, None))
        if scan is None:
            left_out["of scans that are not here"] += 1
        elif owner not in patients:
            left_out["of patients that are not tested"] += 1
        else:
            wanted.setdefault(scan, []).append(row)
    return wanted


def _in_scan(
    writer: SliceWriter, scan: Scan, rows: list[Annotation], left_out: Counter
) -> list[_Found]:
    """The nodules of a scan, ordered by place; their slices are written."""
    try:
        read_slice = readers.reader(scan)
        places = [(locate(scan, row.point_mm), row.diameter_mm) for row in rows]
    except Skip:
        left_out["in slices that cannot be read"] += len(rows)
        return []
    # A slice farther from the centre of a sphere than its radius does not cut it.
    here = [(p, mm) for p, mm in places if p is not None and abs(p.off_mm) <= mm / 2]
    left_out["outside their scan's slices"] += len(places) - len(here)
    here.sort(key=lambda item: (item[0].position, item[0].row_px, item[0].column_px))
    found, written = [], {}
    for place, diameter_mm in here:
        try:
            if place.position not in written:
                written[place.position] = _write_slice(writer, scan, read_slice, place.position)
        except Skip:
            left_out["in slices that cannot be read"] += 1
            continue
        found.append(_Found(*written[place.position], place, diameter_mm))
    return found


def _write_slice(
    writer: SliceWriter, scan: Scan, read_slice, position: int
) -> tuple[SelectedSlice, str, int]:
    """A slice without its pixels, with the file and the row that they are in. Raises Skip."""
    hu = read_slice(position)
    return SelectedSlice(scan, position, None, pixels_sha256(hu)), *writer.add(hu)


def _numbered(store: Store, found: list[_Found]) -> tuple[list[Record], list[Nodule]]:
    """The slices' records, and the nodules numbered within each patient."""
    pseudonyms = {patient: pseudonym for pseudonym, patient in store.patients.items()}
    indices: dict[tuple[str, int], int] = {}  # of the record at a row of a file
    records, nodules, counts = [], [], Counter()
    for each in found:
        pseudonym = pseudonyms[each.slice.scan.patient_id]
        if (each.file, each.row) not in indices:
            indices[each.file, each.row] = len(records)
            records.append(Record.of(each.slice, pseudonym, "test", each.file, each.row))
        counts[pseudonym] += 1
        index, place = indices[each.file, each.row], each.place
        nodules.append(
            Nodule(index, counts[pseudonym], place.row_px, place.column_px, each.diameter_mm)
        )
    return records, nodules
