"""How many slices each scan gives to the store, and at which positions.

The result depends on patient ids, series UIDs and counts alone, never on the order of files.
"""

from collections.abc import Sequence

from srgan.formats.scan import Scan
from srgan.system.checksums import sha256_of_text

TOTAL = 5335  # slices in all: 3,335 to train on, 2,000 held out
HELD_OUT = 2000
# A held-out share of the scans this near to 2000/5335 gets exactly that share of the slices.
NEAR = 0.02


def hash_order(scan: Scan) -> tuple:
    """The sort key of a scan: patient's hash, series' hash, then what tells copies apart."""
    size = (scan.rows, scan.columns, *scan.spacing_mm)
    return (sha256_of_text(scan.patient_id), sha256_of_text(scan.series_uid), scan.kind, *size)


def of_scans(scans: Sequence[Scan], roles: dict[str, str]) -> list[int]:
    """How many slices each scan gives, in the order of `scans`: 5,335 in all, or all there are.

    The held-out scans give 2,000 of 5,335 if about that share of the scans is held out, else their
    share of the scans. What one part of the split lacks, the other gives. Within a part every scan
    gives the same number; the remainder is dealt one each in hash order, and what a short scan
    lacks the next ones give.
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
    for part, amount in ((train, total - for_held), (held, for_held)):
        dealt = _deal(amount, [len(scans[i].slices) for i in part])
        for i, quota in zip(part, dealt, strict=True):
            quotas[i] = quota
    return quotas


def _deal(amount: int, room: list[int]) -> list[int]:
    """Deal `amount` (at most sum(room)) in order: equal shares, the remainder one each."""
    dealt = [0] * len(room)
    while amount:
        free = [i for i, r in enumerate(room) if dealt[i] < r]
        share, rest = divmod(amount, len(free))
        for k, i in enumerate(free):
            more = min(share + (k < rest), room[i] - dealt[i])
            dealt[i] += more
            amount -= more
    return dealt


def evenly_spaced(n_slices: int, quota: int) -> list[int]:
    """`quota` positions, at most all, evenly over 0 ... n_slices - 1: middles of equal parts."""
    quota = min(quota, n_slices)
    return [(2 * k + 1) * n_slices // (2 * quota) for k in range(quota)]
