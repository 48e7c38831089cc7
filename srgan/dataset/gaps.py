"""Slices that are missing within a scan: its positions are not at even distances."""

from collections.abc import Iterable
from itertools import pairwise
from statistics import median_low

from srgan.formats.scan import Scan
from srgan.system.errors import plural

LEAST = 1.5  # times the scan's median step, the lower one of two


def missing_slices(scan: Scan) -> int:
    """How many slices fit into the gaps between the slices; 0 where positions are not known."""
    positions = [each.z_mm for each in scan.slices]
    if None in positions:
        return 0
    steps = [abs(b - a) for a, b in pairwise(positions)]
    usual = median_low(steps) if steps else 0.0
    return sum(round(step / usual) - 1 for step in steps if step > LEAST * usual > 0)


def remark(scans: Iterable[Scan]) -> str:
    """One line about all scans, or "" where none has gaps."""
    missing = [missing_slices(scan) for scan in scans]
    with_gaps = [n for n in missing if n]
    if not with_gaps:
        return ""
    return (
        f"{len(with_gaps)} of {plural(len(missing), 'scan')} "
        f"{'has' if len(with_gaps) == 1 else 'have'} gaps: {plural(sum(with_gaps), 'slice')} "
        f"{'is' if sum(with_gaps) == 1 else 'are'} missing between their slices"
    )
