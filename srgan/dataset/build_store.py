"""Open the store of a folder of scans, or build it: split the patients, select and read slices."""

import dataclasses
import logging
from collections.abc import Iterable
from pathlib import Path

from srgan.dataset import catalogue, gaps, low_dose_pairs, scan_source, slice_quotas
from srgan.dataset.patients_table import read_patients_csv
from srgan.dataset.scan_source import DatasetPaths
from srgan.dataset.select_slices import SelectedSlice, SelectionReport, select_slices
from srgan.dataset.slice_quotas import hash_order
from srgan.dataset.split import assign_roles
from srgan.dataset.split_table import read_split_csv, roles_in
from srgan.dataset.store import FORMAT, NAMES, Record, SliceWriter, Store, load, write_index
from srgan.formats import readers
from srgan.formats.csv_tables import escaped_id
from srgan.formats.scan import Catalogue, Scan, counted_reasons
from srgan.system import folders
from srgan.system.checksums import sha256_of_text
from srgan.system.errors import TRY_AGAIN, UserError, plural
from srgan.system.files import write_csv, writing
from srgan.system.progress import progress

log = logging.getLogger(__name__)

# A selected slice without its pixels, with the file and the row that they are in.
Written = tuple[SelectedSlice, str, int]


def open_or_build(paths: DatasetPaths) -> Store:
    """The store of `paths.data`, which is built if it is absent or corrupt.

    Raises UserError: bad tables, nothing usable, a folder that cannot be written (exit code 2);
    no space, or files that change meanwhile (exit code 75).
    """
    split = read_split_csv(paths.split) if paths.split else None
    patients = read_patients_csv(paths.patients) if paths.patients else None
    if scan_source.needs_synthetic(paths):
        log.info(
            f"{paths.data} holds no scans: synthetic chests are used. For real CT, unpack LUNA16 "
            "there (Zenodo records 3723295 and 4121926), or name a folder with --data"
        )
    source = scan_source.locate(paths)
    identity = scan_source.fingerprint(source, paths, FORMAT)
    if not identity["files"]:
        catalogue.find(source.folder)  # raises where it is no folder, before one is made

    def build(part: Path) -> None:
        _build(part, paths, source, identity, split, patients)

    folder = paths.store_dir / identity["fingerprint"]
    store, was_there = folders.open_or_build(folder, load, build, NAMES)
    counts = f"{len(store.records)} slices of {len(store.patients)} patients in {folder}"
    log.info(f"store: reused {folder}" if was_there else f"store: {counts}")
    return store


def _build(
    part: Path, paths: DatasetPaths, source: scan_source.Source, identity: dict, split, patients
) -> None:
    """Catalogue, split, select and decode the scans; write the store into the folder `part`."""
    found = scan_source.catalogued(source, paths, patients)
    scans = sorted(found.scans, key=hash_order)
    report = SelectionReport({item.path: item for item in found.skipped})
    if split is not None:
        split = roles_in(split, scans, paths.split)
        scans = _scans_in_split(scans, split, report)
    written, roles = _write_arrays(part, scans, split, report)
    if scan_source.fingerprint(source, paths, FORMAT) != identity:
        raise UserError(
            f"the files in {source.folder} changed while they were read: try again", TRY_AGAIN
        )
    if not written:
        raise UserError(_nothing_usable(paths, found, report))
    with writing(part):
        _write_tables(part, roles, report, _used(written).values())
        records = _records(written, roles)
        write_index(part, records, identity, found.found, len(report.skipped), source.synthetic)
    _report_selection(report, roles)
    for remark in found.remarks:
        log.info(remark)
    if report.skipped:
        reasons = counted_reasons(report.skipped.values())
        path = paths.store_dir / identity["fingerprint"] / "skipped.csv"
        log.info(f"skipped: {reasons}; each file and its reason: {path}")
    if remark := gaps.remark(_used(written).values()):
        log.info(remark)


def _scans_in_split(scans: list[Scan], split: dict, report: SelectionReport) -> list[Scan]:
    for scan in scans:
        if scan.patient_id not in split:
            report.skip_files(scan.files, "patient is not in --split")
    return [scan for scan in scans if scan.patient_id in split]


def _write_arrays(
    part: Path, scans: list[Scan], split: dict[str, str] | None, report: SelectionReport
) -> tuple[list[Written], dict[str, str]]:
    """Write the selected slices. Returns them, and the role of each of their patients.

    A scan without a usable slice must take no share of the slices and of the split: where it did,
    slices are selected again without it.
    """
    writer = SliceWriter(part)
    while True:
        roles = assign_roles(scans) if split is None else split
        written = _write_slices(writer, scans, roles, report)
        used = _used(written)
        left = [s for s in scans if id(s) in used or not report.skipped.keys() >= {*s.files}]
        n_useless = len(scans) - len(left)
        changed = split is None and assign_roles(left).items() - roles.items()
        if not n_useless or not (changed or len(written) < _most_slices(left, report)):
            break
        log.info(f"{plural(n_useless, 'scan')} gave no slice: slices are selected again without")
        scans = left
        report.start_again(left)
        writer.start_again()
    writer.finish()
    patients = {scan.patient_id for scan in used.values()}
    return written, {p: roles[p] for p in sorted(patients, key=sha256_of_text)}


def _used(written: list[Written]) -> dict[int, Scan]:
    """The scans that slices were selected from, by their id(): to hash a scan takes long."""
    return {id(selected.scan): selected.scan for selected, _, _ in written}


def _most_slices(scans: list[Scan], report: SelectionReport) -> int:
    """How many slices these scans can give, as far as is known."""
    of_volumes = sum(len(scan.slices) for scan in scans if scan.is_volume)
    files = (s.path for scan in scans if not scan.is_volume for s in scan.slices)
    return min(slice_quotas.TOTAL, of_volumes + sum(f not in report.skipped for f in files))


def _write_slices(
    writer: SliceWriter, scans: list[Scan], roles: dict[str, str], report: SelectionReport
) -> list[Written]:
    """The selected slices of all scans."""
    written = []
    quotas = slice_quotas.of_scans(scans, roles)
    chosen = select_slices(scans, roles, quotas, readers.reader, report)
    for selected in progress(chosen, sum(quotas), "slices"):
        place = writer.add(selected.hu, selected.low_hu)
        written.append((dataclasses.replace(selected, hu=None, low_hu=None), *place))
    return written


def _records(written: list[Written], roles: dict[str, str]) -> list[Record]:
    """In the order of patients' and series' hashes and of the positions."""
    written = sorted(written, key=lambda item: (hash_order(item[0].scan), item[0].position))
    names = _pseudonyms({selected.scan.patient_id for selected, _, _ in written})
    return [
        Record.of(selected, names[patient := selected.scan.patient_id], roles[patient], array, row)
        for selected, array, row in written
    ]


def _nothing_usable(paths: DatasetPaths, found: Catalogue, report: SelectionReport) -> str:
    skipped = tuple(sorted(report.skipped.values(), key=lambda item: str(item.path)))
    nothing = Catalogue(found.folder, (), skipped, found.found)
    where = str(paths.store_dir / "skipped.csv")
    try:
        catalogue.write_skipped_csv(Path(where), skipped)
    except OSError:  # the message stands without it
        where = ""
    return catalogue.nothing_usable_message(nothing, where, paths.pairs)


def _pseudonyms(patients) -> dict[str, str]:
    """patient_id -> P0001 and so on, in hash order."""
    return {p: f"P{i:04}" for i, p in enumerate(sorted(patients, key=sha256_of_text), 1)}


def _report_selection(report: SelectionReport, roles: dict[str, str]) -> None:
    if report.shared:
        names = _pseudonyms(roles)
        pairs = {"/".join(sorted(names.get(p, "?") for p in two)) for two in report.shared.values()}
        log.warning(
            f"{len(report.shared)} slices have the pixels of another patient's slice and are "
            f"left out ({', '.join(sorted(pairs)[:5])}): one person under two ids?"
        )
    if report.n_without_body:
        log.info(
            f"{report.n_without_body} slices contain little of the body; no better neighbour was "
            f"found, so they are used"
        )


def _write_tables(
    part: Path, roles: dict[str, str], report: SelectionReport, used: Iterable[Scan]
) -> None:
    names = _pseudonyms(roles)
    pairs = [(names[p], escaped_id(p)) for p in roles]
    write_csv(part / "patients.csv", ("pseudonym", "patient_id"), pairs)
    pairs = [(escaped_id(p), role) for p, role in roles.items()]
    write_csv(part / "split.csv", ("patient_id", "role"), pairs)
    low_dose_pairs.write_csv_of(part, [scan for scan in used if scan.low_dose])
    skipped = sorted(report.skipped.values(), key=lambda item: str(item.path))
    catalogue.write_skipped_csv(part / "skipped.csv", skipped)
