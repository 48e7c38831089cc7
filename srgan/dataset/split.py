"""Which patients train, validate and test: from the hashes of their ids."""

from collections.abc import Iterable
from itertools import accumulate

from srgan.dataset import slice_quotas
from srgan.formats.scan import Scan
from srgan.system.checksums import sha256_of_text


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
