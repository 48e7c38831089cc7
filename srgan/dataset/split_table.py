"""--split: a table that says which patients train, validate and test."""

import logging
import re
from collections.abc import Collection, Iterable
from pathlib import Path
from sys import intern

from srgan.dataset.patients_table import PATIENT
from srgan.formats import csv_tables
from srgan.formats.scan import MAX_ID, Scan, tidy_id
from srgan.system.errors import UserError, one_line

log = logging.getLogger(__name__)

ROLE = ("role", "split", "set", "subset", "partition")  # names of the column, ours first
ROLES = ("train", "validation", "test")
OTHER_ROLES = {"training": "train", "val": "validation", "valid": "validation", "testing": "test"}
MOST_COMPARED = 200  # ids that are absent, to find one that is written otherwise in the data


def read_split_csv(path: Path) -> dict[str, str]:
    """patient_id -> role from a CSV with these two columns.

    Raises UserError: no such file, another table, an unknown role, a patient with two roles.
    """
    roles: dict[str, str] = {}
    for line, cells in csv_tables.named("--split", path, (PATIENT, ROLE)):
        patient, role = _split_row(cells, f"--split {path}, line {line}")
        if roles.setdefault(patient, role) != role:
            raise UserError(
                f"--split {path}: overlap: patient {patient} is in {roles[patient]} "
                f"and in {role}; one patient has one role"
            )
    if not roles:
        raise UserError(f"--split {path}: the table is empty")
    return roles


def _split_row(cells: list[str], where: str) -> tuple[str, str]:
    patient, role = tidy_id(csv_tables.plain_id(cells[0].strip())), cells[1].strip().lower()
    if not patient:
        raise UserError(f"{where}: patient_id is empty")
    if len(patient) > MAX_ID:
        raise UserError(f"{where}: patient_id is longer than {MAX_ID} characters")
    role = OTHER_ROLES.get(role, role)
    if role not in ROLES:
        raise UserError(f"{where}: role {one_line(role)!r} is none of {', '.join(ROLES)}")
    return patient, intern(role)


def roles_in(split: dict[str, str], scans: Iterable[Scan], path: Path) -> dict[str, str]:
    """Scan.patient_id -> role of the patients of `scans` that the split names.

    A row names a patient by Scan.patient_id, or by any id that its files have (patients that share
    a study are joined). A warning shows an id that is not in the data. Raises UserError where none
    is, and where two ids of one patient have different roles.
    """
    roles: dict[str, str] = {}
    named_by: dict[str, str] = {}  # patient -> the id in the split
    known: set[str] = set()
    for scan in scans:
        ids = {scan.patient_id, *scan.patient_ids}
        known |= ids
        for name in sorted(ids & split.keys()):
            first = named_by.setdefault(scan.patient_id, name)
            if roles.setdefault(scan.patient_id, split[name]) != split[name]:
                raise UserError(
                    f"--split {path}: {_shown(first)} is in {split[first]} and {_shown(name)} in "
                    f"{split[name]}, but they are one patient: they share a study or a series, or "
                    f"--patients says so; give both one role"
                )
    absent = sorted(split.keys() - known)
    if known and absent:
        _report_absent(absent, len(split), known - split.keys(), path)
    return roles


def _report_absent(absent: list[str], n: int, unnamed: Collection[str], path: Path) -> None:
    """unnamed: patients of the data without a row. Raises UserError where all `n` are absent."""
    pair = _written_otherwise(absent, unnamed)
    if len(absent) == n:
        mine, here = pair or (absent[0], min(unnamed))
        raise UserError(
            f"--split {path} names no patient of the data: the table has {_shown(mine)}, the data "
            f"have {_shown(here)}"
        )
    text = f"--split: {len(absent)} of {n} patients are not in the data"
    if pair:
        log.warning(f"{text}: it names {_shown(pair[0])}, the data have {_shown(pair[1])}")
    else:
        log.warning(f"{text}, such as {_shown(absent[0])}")


def _shown(patient: str) -> str:
    return one_line(patient, 80)


def _written_otherwise(absent: list[str], unnamed: Collection[str]) -> tuple[str, str] | None:
    """An absent id and the id in the data that it most likely means; None if there is none.

    Spreadsheets drop leading zeros and add ".0"; people drop a prefix, blanks and capitals. This
    is only for a message: no patient is matched by it.
    """
    here = [(_parts(patient), patient) for patient in sorted(unnamed)]
    pairs = []
    for name in absent[:MOST_COMPARED]:
        parts = _parts(name)
        for other, patient in here:
            n = min(len(parts), len(other))
            if n and parts[-n:] == other[-n:]:
                pairs.append((len(parts) != len(other), name, patient))
    return min(pairs)[1:] if pairs else None


def _parts(patient: str) -> list[str]:
    """The words and numbers of an id, as they are compared: "LIDC-IDRI-0001" is lidc, idri, 1."""
    text = re.sub(r"^(\d+)\.0$", r"\1", patient).casefold()
    return [part.lstrip("0") or "0" for part in re.findall(r"[^\W\d_]+|\d+", text)]
