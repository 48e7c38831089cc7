"""The chosen slices of a folder of scans, kept in a memory map: opened, or built once."""

import dataclasses
import logging
import math
from pathlib import Path

from srgan.dataset import catalogue, scan_source
from srgan.dataset.scan_source import DatasetPaths
from srgan.dataset.select_slices import SelectedSlice, SelectionReport, select_slices
from srgan.dataset.split import assign_roles, hash_order, read_split_csv, slice_quotas
from srgan.dataset.store import (
    FORMAT,
    NAMES,
    Record,
    Store,
    append,
    array_name,
    finish,
    load,
    write_index,
)
from srgan.formats import readers
from srgan.formats.csv_tables import escaped_id
from srgan.formats.scan import Catalogue, Scan
from srgan.system import folders
from srgan.system.checksums import sha256_of_text
from srgan.system.errors import TRY_AGAIN, UserError
from srgan.system.files import write_csv, writing
from srgan.system.progress import progress

log = logging.getLogger(__name__)


def open_or_build(paths: DatasetPaths) -> Store:
    """The store of `paths.data`, built where it is not there yet or is corrupt.

    Raises UserError: bad tables, nothing usable, a folder that cannot be written (exit code 2),
    no space or files that change meanwhile (exit code 75).
    """
    split = read_split_csv(paths.split) if paths.split else None
    patients = catalogue.read_patients_csv(paths.patients) if paths.patients else None
    if scan_source.has_no_scans(paths.data):
        log.info(
            f"{paths.data} holds no scans: synthetic chests are used. For real CT, unpack LUNA16 "
            "there (Zenodo records 3723295 and 4121926), or name a folder with --data"
        )
    source = scan_source.locate(paths)
    prints = scan_source.fingerprint(source, paths, FORMAT)
    if not prints["files"]:
        catalogue.find(source.folder)  # raises where it is no folder, before one is made

    def build(part: Path) -> None:
        _build(part, paths, source, prints, split, patients)

    folder = paths.store_dir / prints["fingerprint"]
    store, was_there = folders.open_or_build(folder, load, build, NAMES)
    counts = f"{len(store.records)} slices of {len(store.patients)} patients in {folder}"
    log.info(f"store: reused {folder}" if was_there else f"store: {counts}")
    return store


def _build(
    part: Path, paths: DatasetPaths, source: scan_source.Source, prints: dict, split, patients
) -> None:
    """Catalogue, split, select and decode; write the store into the folder `part`."""
    found = scan_source.catalogued(source, patients)
    scans = sorted(found.scans, key=hash_order)
    report = SelectionReport({item.path: item for item in found.skipped})
    if split is not None:
        scans = _scans_in_split(scans, split, report)
    records, patient_roles = _fill(part, scans, split, report)
    if scan_source.fingerprint(source, paths, FORMAT) != prints:
        raise UserError(
            f"the files in {source.folder} changed while they were read: try again", TRY_AGAIN
        )
    if not records:
        raise UserError(_nothing_usable(paths.store_dir, found, report))
    with writing(part):
        _write_tables(part, patient_roles, report)
        write_index(part, records, prints, found.found, len(report.skipped), source.synthetic)
    _say_remarks(report, patient_roles)


def _scans_in_split(scans: list[Scan], split: dict, report: SelectionReport) -> list[Scan]:
    absent = set(split) - {scan.patient_id for scan in scans}
    if absent:
        log.warning(f"--split: {len(absent)} of {len(split)} patients are not in the data")
    for scan in scans:
        if scan.patient_id not in split:
            report.skip_files(scan.files, "patient is not in --split")
    return [scan for scan in scans if scan.patient_id in split]


def _nothing_usable(store_dir: Path, found: Catalogue, report: SelectionReport) -> str:
    skipped = tuple(sorted(report.skipped.values(), key=lambda item: str(item.path)))
    message = catalogue.nothing_usable_message(Catalogue(found.folder, (), skipped, found.found))
    path = store_dir / "skipped.csv"
    try:
        catalogue.write_skipped_csv(path, skipped)
    except OSError:  # the message stands without it
        return message
    return f"reasons by file in {path}; {message}"


def _fill(
    part: Path, scans: list[Scan], split: dict | None, report: SelectionReport
) -> tuple[list[Record], dict[str, str]]:
    """Write the arrays; returns the records in their order and patient_id -> role."""
    while True:
        roles = split if split is not None else assign_roles(scans)
        quotas = slice_quotas(scans, roles)
        taken: list[tuple[SelectedSlice, str, int]] = []
        rows: dict[str, int] = {}
        chosen = select_slices(scans, roles, quotas, readers.reader, report)
        for selected in progress(chosen, sum(quotas), "slices"):
            name = array_name(*selected.hu.shape)
            rows[name] = rows.get(name, -1) + 1
            with writing(part / name):
                append(part / name, selected.hu)
            taken.append((dataclasses.replace(selected, hu=None), name, rows[name]))
        alive = {selected.scan.patient_id for selected, _, _ in taken}
        left = [scan for scan in scans if scan.patient_id in alive]
        here = {roles[patient] for patient in alive}
        if split is not None or set(assign_roles(left).values()) == here:
            break
        # A role lost its only patient, whose slices cannot be read: divide the rest anew.
        scans = left
        report.start_again()
        for name in rows:
            (part / name).unlink()
    for name in rows:
        with writing(part / name):
            finish(part / name)
    return _records(taken, roles), {p: roles[p] for p in sorted(alive, key=sha256_of_text)}


def _records(taken: list[tuple[SelectedSlice, str, int]], roles: dict[str, str]) -> list[Record]:
    """In the order of patients' and series' hashes and of the positions."""
    taken = sorted(taken, key=lambda item: (hash_order(item[0].scan), item[0].position))
    names = _pseudonyms({selected.scan.patient_id for selected, _, _ in taken})
    records = []
    for selected, array, row in taken:
        patient = selected.scan.patient_id
        records.append(record_of(selected, names[patient], roles[patient], array, row))
    return records


def record_of(selected: SelectedSlice, pseudonym: str, role: str, array: str, row: int) -> Record:
    """What the index keeps of a slice that lies in row `row` of the file `array`."""
    scan = selected.scan
    return Record(
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
    )


def _pseudonyms(patients) -> dict[str, str]:
    """patient_id -> P0001 and so on, in hash order."""
    return {p: f"P{i:04}" for i, p in enumerate(sorted(patients, key=sha256_of_text), 1)}


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def _say_remarks(report: SelectionReport, patient_roles: dict[str, str]) -> None:
    if report.n_shared:
        names = _pseudonyms(patient_roles)
        pairs = ["/".join(sorted(names.get(p, "?") for p in pair)) for pair in report.shared]
        log.warning(
            f"{report.n_shared} slices have the pixels of another patient's slice and are "
            f"left out ({', '.join(sorted(pairs)[:5])}): one person under two ids?"
        )
    if report.n_without_body:
        log.info(
            f"{report.n_without_body} slices contain little of the body; no better neighbour was "
            f"found, so they are used"
        )


def _write_tables(part: Path, patient_roles: dict[str, str], report: SelectionReport) -> None:
    names = _pseudonyms(patient_roles)
    pairs = [(names[p], escaped_id(p)) for p in patient_roles]
    write_csv(part / "patients.csv", ("pseudonym", "patient_id"), pairs)
    pairs = [(escaped_id(p), role) for p, role in patient_roles.items()]
    write_csv(part / "split.csv", ("patient_id", "role"), pairs)
    skipped = sorted(report.skipped.values(), key=lambda item: str(item.path))
    catalogue.write_skipped_csv(part / "skipped.csv", skipped)
