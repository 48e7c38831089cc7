"""--patients: a table that says whose each series is."""

from collections.abc import Collection
from pathlib import Path
from sys import intern

from srgan.formats import csv_tables
from srgan.formats.scan import MAX_ID, tidy_id
from srgan.system.errors import UserError, one_line

SERIES = ("series_uid", "series_instance_uid")  # names of its columns, ours first
PATIENT = ("patient_id", "patient", "subject_id", "subject")


def read_patients_csv(path: Path) -> dict[str, str]:
    """series_uid -> patient_id from a CSV with these two columns. Raises UserError."""
    patients: dict[str, str] = {}
    for line, cells in csv_tables.named("--patients", path, (SERIES, PATIENT)):
        uid, patient = map(tidy_id, cells)
        where = f"--patients {path}, line {line}"
        if not uid or not patient:
            raise UserError(f"{where}: series_uid or patient_id is empty")
        if max(len(uid), len(patient)) > MAX_ID:
            raise UserError(f"{where}: longer than {MAX_ID} characters")
        if patients.setdefault(uid, intern(patient)) != patient:
            raise UserError(f"{where}: series {uid} has two patients")
    if not patients:
        raise UserError(f"--patients {path}: the table is empty")
    return patients


def check_names_some(table: dict[str, str], series_uids: Collection[str]) -> None:
    """Raises UserError where the table has rows and names none of the series of the data.

    Rows of series that are not here are normal: the table may be that of a larger collection. Data
    without any series are the catalogue's error.
    """
    if not table or not series_uids or not table.keys().isdisjoint(series_uids):
        return
    here, there = (one_line(min(uids), 80) for uids in (series_uids, table))
    raise UserError(
        f"--patients names no series of the data: the table has {there}, the data have {here}"
    )
