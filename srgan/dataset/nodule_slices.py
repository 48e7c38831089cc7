"""LUNA16's nodules: the slices of test patients through them, in a small store of their own.

annotations.csv has the columns seriesuid, coordX, coordY, coordZ and diameter_mm, in mm. The slices
are kept in `nodules/` in the store's folder, which is complete or absent, and are in no other
store: nothing is ever trained on them.
"""

import dataclasses
import hashlib
import logging
import math
import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from srgan.dataset import catalogue, scan_source
from srgan.dataset.build_store import record_of
from srgan.dataset.coordinates import locate
from srgan.dataset.scan_source import DatasetPaths
from srgan.dataset.select_slices import SelectedSlice, pixels_sha256
from srgan.dataset.split import hash_order
from srgan.dataset.store import NAMES, Store, append, array_name, finish, load, write_index
from srgan.formats import csv_tables, readers
from srgan.formats.csv_tables import escaped_id
from srgan.formats.scan import Scan, tidy_id
from srgan.system import folders
from srgan.system.checksums import read_sealed_json, sha256_of_text, write_sealed_json
from srgan.system.errors import Skip, reason
from srgan.system.files import read_bounded, write_csv, writing
from srgan.system.progress import progress

log = logging.getLogger(__name__)

FORMAT = 1
TABLE = "annotations.csv"
COLUMNS = ("coordX", "coordY", "coordZ", "diameter_mm")
_NAMES = re.compile(rf"{NAMES.pattern}|nodules\.json")
LEAST_MM, MOST_MM = 3.0, 100.0  # LUNA16 has nodules of 3 to 33 mm


@dataclass(frozen=True)
class Annotation:
    """One row of annotations.csv."""

    series_uid: str
    point_mm: tuple[float, float, float]
    diameter_mm: float


@dataclass(frozen=True)
class Nodule:
    """A nodule in a slice of `Kept.store`; pixel centres have whole coordinates."""

    slice: int  # index into the store's records
    number: int  # within the patient, from 1
    row_px: float
    column_px: float
    diameter_mm: float


@dataclass(frozen=True)
class Kept:
    """The slices through nodules of test patients, and where the nodules lie in them."""

    store: Store
    nodules: tuple[Nodule, ...]


def find(source: scan_source.Source) -> Path | None:
    """annotations.csv in the folder of scans or in a folder right below it; None without one."""
    try:
        below = sorted(p for p in source.folder.iterdir() if not p.name.startswith("."))
    except OSError:
        return None
    folders = [source.folder, *(p for p in below if p not in source.left_out)]
    return next((f / TABLE for f in folders if os.path.isfile(f / TABLE)), None)


def read(content: bytes) -> tuple[list[Annotation], Counter]:
    """The rows of the table that can be used, each once, and how many cannot, by reason.

    Raises Skip where it is another table.
    """
    found, left_out = {}, Counter()
    try:
        for _, cells in csv_tables.rows(content, ("seriesuid", *COLUMNS), strict=False):
            made = _annotation(*cells)
            if isinstance(made, str):
                left_out[made] += 1
            elif found.setdefault(made, made) is not made:
                left_out["listed twice"] += 1
    except ValueError:
        raise Skip("not LUNA16's", "it is no CSV") from None
    return list(found), left_out


def _annotation(uid: str, *numbers: str) -> Annotation | str:
    """A row, or why it cannot be used."""
    try:
        x, y, z, diameter = map(float, numbers)
    except ValueError:
        return "without numbers"
    uid = tidy_id(uid)
    if not uid or not all(map(math.isfinite, (x, y, z, diameter))) or diameter > MOST_MM:
        return "without numbers"
    if diameter < LEAST_MM:
        return f"under {LEAST_MM:g} mm"
    return Annotation(uid, (x, y, z), diameter)


def open_or_build(
    paths: DatasetPaths,
    store: Store,
    patients: Iterable[str],
) -> Kept | None:
    """The nodules of the patients with these pseudonyms; None where there is no annotations.csv.

    The slices are read once, and again where the table or the patients are other ones or the
    folder is damaged. One line says what is judged and what is left out. Raises UserError where
    the store's folder cannot be written.
    """
    source = scan_source.locate(paths)
    path = find(source)
    if path is None:
        return None
    try:
        content = read_bounded(path, csv_tables.MAX_TABLE)
        annotations, left_out = read(content)
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
    folder = store.folder / "nodules"

    def build(part: Path) -> None:
        table = catalogue.read_patients_csv(paths.patients) if paths.patients else {}
        scans = scan_source.catalogued(source, table).scans
        _build(part, store, key, scans, annotations, left_out)

    kept, _ = folders.open_or_build(folder, lambda path: _load(path, key), build, _NAMES)
    log.info(_told(folder))
    return kept


def _load(folder: Path, key: dict) -> Kept | None:
    """What is kept under this key; None for another key. Raises folders.DAMAGES."""
    said = _content(folder)
    if said["key"] != key:
        return None
    store = load(folder)
    found = tuple(Nodule(**each) for each in said["nodules"])
    if not all(0 <= nodule.slice < len(store.records) for nodule in found):
        raise ValueError("nodules.json names a slice that is not there")
    return Kept(store, found)


def _content(folder: Path) -> dict:
    said = read_sealed_json(folder / "nodules.json")
    if said["format"] != FORMAT:
        raise ValueError(f"format {said['format']} is not known")
    return said


def _told(folder: Path) -> str:
    """The counts in a line."""
    said = _content(folder)
    left_out = ", ".join(f"{n} {reason}" for reason, n in said["left_out"].items() if n)
    text = f"nodules: {len(said['nodules'])} of {said['rows']} rows of {TABLE} are judged"
    return f"{text}; left out: {left_out}" if left_out else text


# ---- building ----


def _build(
    part: Path, store: Store, key: dict, scans, annotations: list[Annotation], left_out: Counter
) -> None:
    """Find and read the slices, and write them into the folder `part`."""
    rows = len(annotations) + sum(left_out.values())
    owners = {(store.patients[r.pseudonym], r.series_hash): r.pseudonym for r in store.records}
    hashes = {scan.series_uid: sha256_of_text(scan.series_uid) for scan in scans}
    known = {s.series_uid: s for s in scans if (s.patient_id, hashes[s.series_uid]) in owners}
    wanted: dict[str, list[Annotation]] = {}
    for annotation in annotations:
        scan = known.get(annotation.series_uid)
        if scan is None:
            left_out["of scans that are not here"] += 1
        elif owners[scan.patient_id, hashes[scan.series_uid]] not in key["patients"]:
            left_out["of patients that are not tested"] += 1
        else:
            wanted.setdefault(annotation.series_uid, []).append(annotation)
    taken = []
    order = sorted((known[uid] for uid in wanted), key=hash_order)
    for scan in progress(order, len(order), "scans with nodules"):
        taken += _of_scan(part, scan, wanted[scan.series_uid], left_out)
    with writing(part):
        _finish(part, store, key, taken, (rows, left_out))


def _of_scan(part: Path, scan: Scan, annotations, left_out: Counter) -> list[tuple]:
    """(slice, place, diameter in mm) of each nodule, by place; the slices' pixels are written."""
    try:
        read_slice = readers.reader(scan)
        places = [(locate(scan, each.point_mm), each.diameter_mm) for each in annotations]
    except Skip:
        left_out["in slices that cannot be read"] += len(annotations)
        return []
    # A sphere's slice: further off than its radius the nodule is not on it.
    here = [(p, mm) for p, mm in places if p is not None and abs(p.off_mm) <= mm / 2]
    left_out["outside their scan's slices"] += len(places) - len(here)
    here.sort(key=lambda item: (item[0].position, item[0].row_px, item[0].column_px))
    found, slices = [], {}
    for place, diameter_mm in here:
        try:
            if place.position not in slices:
                hu = read_slice(place.position)
                if hu.shape != (scan.rows, scan.columns):
                    raise Skip("size differs from the header")
                with writing(part):
                    append(part / array_name(*hu.shape), hu)
                selected = SelectedSlice(scan, place.position, hu, pixels_sha256(hu))
                slices[place.position] = dataclasses.replace(selected, hu=None)
        except Skip:
            left_out["in slices that cannot be read"] += 1
            continue
        found.append((slices[place.position], place, diameter_mm))
    return found


def _finish(part: Path, store: Store, key: dict, taken: list[tuple], counts) -> None:
    """The index, and nodules.json: nodules numbered within each patient."""
    names = {patient: pseudonym for pseudonym, patient in store.patients.items()}
    at, records, numbers, found = {}, [], Counter(), []
    in_file = Counter()
    for selected, place, diameter_mm in taken:
        pseudonym = names[selected.scan.patient_id]
        slice_key = (selected.scan.series_uid, selected.position)
        if slice_key not in at:
            array = array_name(selected.scan.rows, selected.scan.columns)
            records.append(record_of(selected, pseudonym, "test", array, in_file[array]))
            in_file[array] += 1
            at[slice_key] = len(at)
        numbers[pseudonym] += 1
        place_px = (place.row_px, place.column_px)
        found.append(Nodule(at[slice_key], numbers[pseudonym], *place_px, diameter_mm))
    for array in in_file:
        finish(part / array)
    pairs = [(r, escaped_id(store.patients[r])) for r in sorted({r.pseudonym for r in records})]
    write_csv(part / "patients.csv", ("pseudonym", "patient_id"), pairs)
    write_index(part, records, key, len(records), 0, store.synthetic)
    rows, left_out = counts
    said = {
        "format": FORMAT,
        "key": key,
        "rows": rows,
        "left_out": dict(left_out),
        "nodules": [dataclasses.asdict(nodule) for nodule in found],
    }
    write_sealed_json(part / "nodules.json", said)
