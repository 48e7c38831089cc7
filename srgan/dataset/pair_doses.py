"""--pairs: which of two series is the low dose, by names, exposure and noise."""

import logging
from dataclasses import replace

from srgan.dataset import pair_pixels
from srgan.dataset.low_dose_series import LESS, exposure
from srgan.dataset.pair_pixels import ONE_SIDE, Difference
from srgan.dataset.pair_places import Candidate, Series, names_vote
from srgan.dataset.slice_quotas import evenly_spaced
from srgan.formats import readers
from srgan.formats.scan import LowDose, Scan
from srgan.system.errors import Skip

log = logging.getLogger(__name__)

SAMPLE = 5  # pairs of slices whose pixels are compared
TOLD = 0.95  # of the normal exposure: more is the header of the normal dose itself


def judged(candidate: Candidate) -> tuple[Scan | None, str]:
    """The pair by its pixels, or None and why it is none."""
    a, b = candidate.a, candidate.b
    try:
        found = _compared(candidate)
    except Skip as skip:
        return None, f"{skip.reason} {skip.detail}".strip()
    if found.fault:
        return None, found.fault
    b_is_low, told_by = _which_is_low(a, b, found)
    if b_is_low is None:
        return None, told_by
    normal, low = (a, b) if b_is_low else (b, a)
    if normal.scan.made_by:
        return None, "the one with less noise was made by this program: no normal dose"
    at = candidate.at if b_is_low else tuple((j, i) for i, j in candidate.at)
    if "swapped" in told_by:
        log.warning(
            f"names are swapped: {low.shown} has more noise than {normal.shown} and is used as the "
            f"low dose"
        )
    return _pair(normal.scan, low.scan, at, found.sd_hu, told_by), ""


def _compared(candidate: Candidate) -> Difference:
    """The median of what some pairs of slices differ by. Raises Skip where none can be read."""
    reads = [readers.reader(each.scan) for each in (candidate.a, candidate.b)]
    found, faults = [], []
    for k in evenly_spaced(len(candidate.at), SAMPLE):
        try:
            two = [read(i) for read, i in zip(reads, candidate.at[k], strict=True)]
        except Skip as skip:
            faults.append(skip)
        else:
            found.append(pair_pixels.difference(*two))
    if not found:
        raise faults[0]
    return pair_pixels.median(found)


def _which_is_low(a: Series, b: Series, found: Difference) -> tuple[bool | None, str]:
    """Whether b is the low dose and what told it; None and why where nothing does.

    Noise decides where it is clear. Names against it were swapped; exposure against it means that
    the two were not reconstructed alike.
    """
    words = names_vote(a, b)
    exposures = exposure(a.scan), exposure(b.scan)
    header = 0
    if None not in exposures:
        header = (exposures[1] < LESS * exposures[0]) - (exposures[0] < LESS * exposures[1])
    noise = (found.balance > ONE_SIDE) - (found.balance < -ONE_SIDE)
    if noise and header == -noise:
        return None, "less exposure and less noise: another reconstruction"
    if noise and words == -noise:
        return noise > 0, "noise (names swapped)"
    if words and header == -words:
        return None, "names and exposure tell opposite doses, and the noise is equal"
    side = words or header or noise
    if not side:
        return None, "nothing tells which is the low dose: names, exposure and noise are equal"
    told = [name for name, vote in (("names", words), ("exposure", header), ("noise", noise))
            if vote]  # fmt: skip
    return side > 0, ", ".join(told)


def _pair(normal: Scan, low: Scan, at, noise_hu: float, told_by: str) -> Scan:
    """The normal dose with the slices that both have, and its low dose."""
    kept = []
    for side, scan in enumerate((normal, low)):
        slices = tuple(scan.slices[positions[side]] for positions in at)
        files = scan.files if scan.is_volume else tuple(item.path for item in slices)
        kept.append(replace(scan, slices=slices, files=files))
    doses = exposure(low), exposure(normal)
    share = doses[0] / doses[1] if None not in doses else None
    low_dose = LowDose(kept[1], share if share and share < TOLD else None, noise_hu, told_by)
    return replace(kept[0], files=kept[0].files + kept[1].files, low_dose=low_dose)
