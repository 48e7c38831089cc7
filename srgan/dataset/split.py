"""Who is on which side: patients to roles, and how many slices each scan gives.

Everything here depends on patient ids, series UIDs and counts alone, never on file order.
"""

from collections.abc import Iterable, Sequence
from itertools import accumulate
from pathlib import Path
from sys import intern

from srgan.formats import csv_tables
from srgan.formats.scan import MAX_ID, Scan, tidy_id
from srgan.system.checksums import sha256_of_text
from srgan.system.errors import UserError, one_line

ROLES = ("train", "validation", "test")
TOTAL = 5335  # slices in all: 3,335 to train on, 2,000 held out
HELD_OUT = 2000
# A held-out share of the scans this near to 2000/5335 gets exactly that share of the slices.
NEAR = 0.02


def hash_order(scan: Scan) -> tuple:
    """The sort key of a scan: patient's hash, series' hash, then what tells copies apart."""
    size = (scan.rows, scan.columns)
    return (sha256_of_text(scan.patient_id), sha256_of_text(scan.series_uid), scan.kind, *size)


def read_split_csv(path: Path) -> dict[str, str]:
    """patient_id -> role from a CSV with these two columns.

    Raises UserError: no such file, not such a table, an unknown role, a patient on two sides.
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
    """patient_id -> role, all from the patients' hashes.

    Held out is the prefix in hash order whose share of the scans is nearest 2000/5335; of these the
    first are for validation, up to a tenth of the held-out slices. With three patients or more each
    role has one at least; under three all of them train.
    """
    scans = list(scans)
    patients = sorted({scan.patient_id for scan in scans}, key=sha256_of_text)
    if len(patients) < 3:
        return dict.fromkeys(patients, "train")
    n_scans = dict.fromkeys(patients, 0)
    for scan in scans:
        n_scans[scan.patient_id] += 1
    ideal = len(scans) * HELD_OUT / TOTAL
    sums = list(accumulate(n_scans[patient] for patient in patients))
    n_held = min(range(2, len(patients)), key=lambda k: abs(sums[k - 1] - ideal))
    roles = {p: "test" if i < n_held else "train" for i, p in enumerate(patients)}

    slices = dict.fromkeys(patients, 0)
    for scan, quota in zip(scans, slice_quotas(scans, roles), strict=True):
        slices[scan.patient_id] += quota
    sums = list(accumulate(slices[patient] for patient in patients[:n_held]))
    n_validation = sum(10 * s <= sums[-1] for s in sums)
    for patient in patients[: min(max(n_validation, 1), n_held - 1)]:
        roles[patient] = "validation"
    return roles


def slice_quotas(scans: Sequence[Scan], roles: dict[str, str]) -> list[int]:
    """How many slices each scan gives, in the order of `scans`: 5,335 in all, or all there are.

    The held-out side gets 2,000 of 5,335 where about that share of the scans is held out, else its
    share of the scans; what one side lacks the other gives. Within a side every scan gives as many,
    the remainder one each in hash order, and what a short scan lacks the next ones give.
    """
    order = sorted(range(len(scans)), key=lambda i: hash_order(scans[i]))
    train = [i for i in order if roles[scans[i].patient_id] == "train"]
    held = [i for i in order if roles[scans[i].patient_id] != "train"]
    room_train = sum(len(scans[i].slices) for i in train)
    room_held = sum(len(scans[i].slices) for i in held)
    total = min(TOTAL, room_train + room_held)

    share = len(held) / max(len(scans), 1)
    if abs(share - HELD_OUT / TOTAL) < NEAR:
        share = HELD_OUT / TOTAL
    for_held = min(room_held, max(round(total * share), total - room_train))
    quotas = [0] * len(scans)
    for side, amount in ((train, total - for_held), (held, for_held)):
        dealt = _deal(amount, [len(scans[i].slices) for i in side])
        for i, quota in zip(side, dealt, strict=True):
            quotas[i] = quota
    return quotas


def _deal(amount: int, room: list[int]) -> list[int]:
    """`amount` (at most sum(room)) over places in order: equal shares, the remainder one each."""
    dealt = [0] * len(room)
    while amount:
        free = [i for i, r in enumerate(room) if dealt[i] < r]
        share, rest = divmod(amount, len(free))
        for k, i in enumerate(free):
            more = min(share + (k < rest), room[i] - dealt[i])
            dealt[i] += more
            amount -= more
    return dealt


def choose(n_slices: int, quota: int) -> list[int]:
    """`quota` positions, at most all, evenly over 0 ... n_slices - 1: middles of equal parts."""
    quota = min(quota, n_slices)
    return [(2 * k + 1) * n_slices // (2 * quota) for k in range(quota)]
