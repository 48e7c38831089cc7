"""One slice at each position of a series: copies are left out, then passes are told apart."""

import math
import os
from dataclasses import replace
from hashlib import sha256
from itertools import groupby

import numpy as np

from srgan.formats.dicom.header import PASS_TAGS, Header, read_slice, stored_bytes
from srgan.formats.dicom.parse import DEFLATED
from srgan.formats.scan import Skipped
from srgan.hu_check import check_series
from srgan.masks import flat_shares
from srgan.system.errors import Skip, one_line, reason

SAME_POSITION_MM = 0.01
MASKED = 0.2  # more pixels have the value of the one before, by this share, where slices differ
# What may tell passes: each tag alone, or all but the times together (two phases, two kernels).
TELLING = [(i,) for i in range(len(PASS_TAGS))]
TELLING += [tuple(i for i, tag in enumerate(PASS_TAGS) if not tag.endswith("Time"))]


def places(headers: list[Header]) -> list[list[Header]]:
    """The slices of each position, in order along the normal; of one, by instance and path."""
    found: list[list[Header]] = []
    for header in sorted(headers, key=lambda h: h.z_mm):
        if found and header.z_mm - found[-1][0].z_mm < SAME_POSITION_MM:
            found[-1].append(header)
        else:
            found.append([header])
    return [sorted(place, key=lambda h: (h.instance, str(h.path))) for place in found]


# ---- copies ----


def take_out_copies(place: list[Header]) -> list[Skipped]:
    """Take slices with the pixels of an earlier one, and unreadable ones, out of their place.

    What is not HU goes too, where something else is; of masked copies and their source, the source
    comes first.
    """
    skipped, first, kept, known = [], {}, [], {}
    # How the pixels are stored, but for where: bytes can be compared if that is equal.
    stored = {replace(header.pixel_data, parts=()) for header in place}
    as_stored = len(stored) == 1 and place[0].pixel_data.syntax != DEFLATED
    for header in place:
        try:
            file = _file(header)  # links to one file need no reading
            if file not in known:
                pixels = stored_bytes(header) if as_stored else read_slice(header.path)[1].tobytes()
                known[file] = sha256(pixels).digest()
        except Skip as skip:
            skipped.append(Skipped(header.path, skip.reason, skip.detail))
            continue
        same = first.setdefault(known[file], header)
        if same is header:
            kept.append(header)
        else:
            skipped.append(_skipped(header, "duplicate", f"same pixels as {same.path}"))
    place[:] = kept
    return skipped + (_put_scan_first(place) if len(place) > 1 else [])


def _put_scan_first(place: list[Header]) -> list[Skipped]:
    """Take what is not HU out of a place where something is, and put masked copies behind.

    A mask, a picture or a masked copy is often written with all the UIDs of its source.
    """
    not_hu, first, first_hu = {}, None, None
    for header in place:
        try:
            hu = read_slice(header.path)[1]
            check_series([hu])
        except Skip as skip:
            not_hu[header.path] = Skipped(header.path, skip.reason, skip.detail)
            continue
        if first is None or _is_masked(first_hu, hu):
            first, first_hu = header, hu
    if first is None:  # all may be of air: whether the series is HU is judged later
        return []
    others = [h for h in place if h is not first and h.path not in not_hu]
    place[:] = [first, *others]
    return list(not_hu.values())


def _is_masked(hu: np.ndarray, source: np.ndarray) -> bool:
    """Whether `hu` has one value where it differs from `source`, which has noise there."""
    flat = flat_shares(hu, source)
    return flat[0] > flat[1] + MASKED


def _file(header: Header) -> tuple[int, int]:
    """What tells a file from others, whatever its name."""
    try:
        status = os.stat(header.path)
    except OSError as error:
        raise Skip("cannot be read", reason(error)) from None
    return status.st_dev, status.st_ino


def _skipped(header: Header, reason: str, detail: str) -> Skipped:
    return Skipped(header.path, reason, one_line(detail, 1000))


# ---- passes ----


def one_at_each_place(series: list[list[Header]]) -> tuple[list[Header], list[Skipped]]:
    """The slices of the largest pass, those of others that lie elsewhere, and what is left out.

    series: without copies, in order along the normal. A pass is a sweep along the series: a phase,
    an echo, a second reconstruction. Where no tag tells passes apart, the first slice stays.
    """
    if all(len(place) == 1 for place in series):
        return [place[0] for place in series], []
    telling = _telling(series)
    if telling is None:
        kept, skipped = [place[0] for place in series], []
        for place in series:
            detail = f"other pixels at the position of {place[0].path}"
            skipped += [_skipped(header, "duplicate position", detail) for header in place[1:]]
        return kept, skipped
    # The largest first, of equal ones the one with the lower value.
    largest, *others = sorted(_passes(series, telling), key=len, reverse=True)
    used, skipped = dict(largest), []
    for other in others:
        shared = other.keys() & used.keys()
        is_another = 2 * len(shared) > len(other)
        why = "has more slices" if len(other) < len(largest) else "comes first"
        for at in other if is_another else shared:
            instead = used.get(at) or next(iter(largest.values()))
            left_out, taken = _differing(other[at], instead, telling)
            detail = f"{left_out}; {taken} {why} and is used"
            skipped.append(_skipped(other[at], "another pass of its series", detail))
        if not is_another:
            used = other | used
    return [used[at] for at in sorted(used)], skipped


def _telling(series: list[list[Header]]) -> tuple[int, ...] | None:
    """Which of PASS_TAGS have no value twice at any position; of several, those of fewest values.

    A tag that differs on every slice tells too, but less plainly than one that differs by pass.
    """
    fewest, found = math.inf, None
    for tags in TELLING:
        if all(len({_value(h, tags) for h in place}) == len(place) for place in series):
            n_values = len({_value(h, tags) for place in series for h in place})
            if n_values < fewest:
                fewest, found = n_values, tags
    return found


def _value(header: Header, tags: tuple[int, ...]) -> tuple[tuple[float, str], ...]:
    """The values of some of PASS_TAGS, to be compared and put in order: numbers before words."""
    return tuple(_as_number(header.pass_values[tag]) for tag in tags)


def _as_number(text: str) -> tuple[float, str]:
    try:
        number = float(text or "-inf")
    except ValueError:
        return math.inf, text
    return (math.inf, text) if math.isnan(number) else (number, "")


def _passes(series: list[list[Header]], tags: tuple[int, ...]) -> list[dict[int, Header]]:
    """Passes in the order of their values: the slice at each index into `series`.

    Slices of one value stay together: a pass ends before the value with which a position repeats.
    """
    slices = [(_value(h, tags), at, h) for at, place in enumerate(series) for h in place]
    slices.sort(key=lambda item: item[:2])
    passes: list[dict[int, Header]] = [{}]
    for _, run in groupby(slices, key=lambda item: item[0]):
        of_value = {at: header for _, at, header in run}
        if passes[-1].keys() & of_value.keys():
            passes.append({})
        passes[-1] |= of_value
    return passes


def _differing(one: Header, other: Header, tags: tuple[int, ...]) -> tuple[str, str]:
    """The tags in which two slices differ, with their values: `AcquisitionNumber 2`."""
    differ = [i for i in tags if _value(one, (i,)) != _value(other, (i,))]
    return tuple(
        ", ".join(f"{PASS_TAGS[i]} {header.pass_values[i] or 'missing'}" for i in differ)
        for header in (one, other)
    )
