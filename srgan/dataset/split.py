"""Which patients train, validate and test: from the hashes of their ids, or from --split."""

from collections.abc import Iterable
from itertools import accumulate
from pathlib import Path
from sys import intern

from srgan.dataset import slice_quotas
from srgan.formats import csv_tables
from srgan.formats.scan import MAX_ID, Scan, tidy_id
from srgan.system.checksums import sha256_of_text
from srgan.system.errors import UserError, one_line

ROLES = ("train", "validation", "test")


def read_split_csv(path: Path) -> dict[str, str]:
    """patient_id -> role from a CSV with these two columns.

    Raises UserError: no such file, another table, an unknown role, a patient with two roles.
    """
    roles: dict[str, str] = {}
    for line, cells in csv_tables.named("--split", path, ("patient_id", "role")):
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
    if role not in ROLES:
        raise UserError(f"{where}: role {one_line(role)!r} is none of {', '.join(ROLES)}")
    return patient, intern(role)


def assign_roles(scans: Iterable[Scan]) -> dict[str, str]:
    """patient_id -> role, from the hashes of the patients' ids alone.

    In hash order, the first patients are held out: as many as bring their share of the scans
    nearest to 2000/5335. The first of these validate, up to a tenth of the held-out slices; the
    others test. With three patients or more each role gets at least one. With fewer, all train.
    """
    scans = list(scans)
    patients = sorted({scan.patient_id for scan in scans}, key=sha256_of_text)
    if len(patients) < 3:
        return dict.fromkeys(patients, "train")
    n_scans = dict.fromkeys(patients, 0)
    for scan in scans:
        n_scans[scan.patient_id] += 1
    ideal = len(scans) * slice_quotas.HELD_OUT / slice_quotas.TOTAL
    sums = list(accumulate(n_scans[patient] for patient in patients))
    n_held = min(range(2, len(patients)), key=lambda k: abs(sums[k - 1] - ideal))
    roles = {p: "test" if i < n_held else "train" for i, p in enumerate(patients)}

    slices = dict.fromkeys(patients, 0)
    for scan, quota in zip(scans, slice_quotas.of_scans(scans, roles), strict=True):
        slices[scan.patient_id] += quota
    sums = list(accumulate(slices[patient] for patient in patients[:n_held]))
    n_validation = sum(10 * s <= sums[-1] for s in sums)
    for patient in patients[: min(max(n_validation, 1), n_held - 1)]:
        roles[patient] = "validation"
    return roles
