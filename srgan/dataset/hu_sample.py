"""Judge by a few slices whether a whole scan is HU, and keep them so that none is decoded twice."""

from collections.abc import Callable, Sequence

import numpy as np

from srgan import hu_check
from srgan.dataset.slice_quotas import evenly_spaced
from srgan.formats.scan import Scan
from srgan.system.errors import Skip

SAMPLE = 8  # slices that are judged together
Reader = Callable[[int], np.ndarray]


def checked(scan: Scan, read: Reader, wanted: Sequence[int]) -> Reader:
    """`read`, which gives (rows, columns) int16 HU, after a sample of the wanted slices is judged.

    Raises Skip where the sample is not HU as a whole, or half of it for a reason that is most
    likely the whole scan's: not HU, or any fault of a volume. A few bad slices (a padded end) are
    the caller's.
    """
    sample: dict[int, np.ndarray | Skip] = {}
    for k in evenly_spaced(len(wanted), SAMPLE):
        try:
            sample[wanted[k]] = read(wanted[k])
        except Skip as skip:
            sample[wanted[k]] = skip
    slices = [made for made in sample.values() if not isinstance(made, Skip)]
    faults = [made for made in sample.values() if isinstance(made, Skip)]
    whole = [fault for fault in faults if scan.is_volume or fault.reason == hu_check.REASON]
    if whole and 2 * len(whole) >= len(sample):
        raise whole[0].with_traceback(None)
    if slices:
        hu_check.check_series(slices)

    def read_once(position: int) -> np.ndarray:
        made = sample.pop(position, None)
        if isinstance(made, Skip):
            raise made.with_traceback(None)
        return read(position) if made is None else made

    return read_once
