"""A scan in, a function of its slices, a scan out: what simulate and enhance have in common.

The new scan is written slice by slice into a hidden folder that takes its name at the end, so it is
complete or absent. Only a few slices are in memory at a time.
"""

import logging
import shutil
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from srgan import hu_check
from srgan.formats import readers, writers
from srgan.formats.derived import Derived, SourceSlice, Target
from srgan.formats.scan import Scan, Skipped
from srgan.formats.volumes.write import VolumeTarget
from srgan.system.errors import TRY_AGAIN, Skip, UserError
from srgan.system.files import writing
from srgan.whole_scans import single_scan
from srgan.whole_scans.output_folder import new_folder

log = logging.getLogger(__name__)

SCRATCH = "inflated"  # folder beside the slices, for a compressed volume
AHEAD = 2  # slices that are read before their turn, and that wait to be written


@dataclass(frozen=True)
class Copy:
    """One scan that is being copied. It can be pickled."""

    scan: Scan
    derived: Derived
    read_source: Callable[[int], SourceSlice]
    target: Target
    part: Path  # the folder that is written
    output: Path  # the name that it takes at the end

    @property
    def is_whole(self) -> bool:
        """No slice can be left out: one file holds all of them, before or after."""
        return self.scan.is_volume or isinstance(self.target, VolumeTarget)


def check_paths(source: Path | None, output: Path | None, verb: str) -> None:
    """Raises UserError unless both are given and the output lies outside the input."""
    if source is None or output is None:
        given, missing = ("--output", "--input") if source is None else ("--input", "--output")
        if output is None and source is None:
            raise UserError(f"--run {verb} needs --input SCAN and --output DIR")
        raise UserError(f"{given} needs {missing}")
    if output.resolve().is_relative_to(source.resolve()):
        raise UserError(f"--output {output} lies in --input: name a folder elsewhere")


@contextmanager
def begun(scan: Scan, derived: Derived, output: Path, format: str | None) -> Iterator[Copy]:
    """A new scan in the folder `output`, complete at the end of the block, absent on an error.

    format: a value of writers.FORMATS; None for the source's. Raises UserError.
    """
    format = format or writers.FORMATS[scan.kind]
    with new_folder(output) as part:
        try:
            _check_space(part, output, writers.bytes_needed(format, scan, derived))
            with writing(output):
                (part / SCRATCH).mkdir()
                read_source = readers.FORMATS[scan.kind].source_reader(scan, part / SCRATCH)
                target = writers.begin(format, scan, derived, part)
            if scan.is_volume and format == "dicom":
                log.info("patient and study are made up: a volume file has none")
        except Skip as skip:
            raise UserError(f"{scan.files[0]}: {single_scan.reason(skip)}") from None
        yield Copy(scan, derived, read_source, target, part, output)
        with writing(output):
            shutil.rmtree(part / SCRATCH)


def _check_space(part: Path, output: Path, need: int) -> None:
    with writing(output):
        free = shutil.disk_usage(part).free
    if need > free:
        raise UserError(
            f"--output {output} needs {need / 1e9:.2f} GB, {free / 1e9:.2f} GB are free",
            TRY_AGAIN,
        )


# ---- one slice ----


def read(copy: Copy, index: int) -> SourceSlice:
    """Slice `index` of the source. Raises Skip where it can be left out, else UserError."""
    try:
        return copy.read_source(index)
    except Skip as skip:
        if not copy.is_whole:
            raise
        path, reason = copy.scan.slices[index].path, single_scan.reason(skip)
        if copy.scan.is_volume:
            raise UserError(f"slice {index + 1} of {path}: {reason}") from None
        raise UserError(
            f"{path}: {reason}: a volume cannot leave the slice out, --format dicom can"
        ) from None


def write(copy: Copy, index: int, source: SourceSlice, new_hu: np.ndarray, how: str) -> None:
    """Write a slice of the new scan. Raises UserError, and Skip: its header cannot be copied."""
    with writing(copy.output):
        copy.target.write(index, source, new_hu, how)


def made(
    copy: Copy, index: int, function: Callable[[np.ndarray], np.ndarray], how: str
) -> Skipped | None:
    """Read a slice, put it through the function, and write it; or why that cannot be done.

    A slice of a volume that is not HU (padding) is written unchanged; else it is left out.
    """
    try:
        source = read(copy, index)
        new_hu, skipped = changed(copy, index, source, function)
        if new_hu is not None:
            write(copy, index, source, new_hu, how)
    except Skip as skip:
        return Skipped(copy.scan.slices[index].path, skip.reason, skip.detail)
    return skipped


def changed(
    copy: Copy, index: int, source: SourceSlice, function: Callable[[np.ndarray], np.ndarray]
) -> tuple[np.ndarray | None, Skipped | None]:
    """function(source.hu), or why the slice stays as it is or is left out (None)."""
    try:
        hu_check.check_slice(source.hu)
    except Skip as skip:
        skipped = Skipped(copy.scan.slices[index].path, skip.reason, skip.detail)
        return (unchanged(source, copy.derived) if copy.is_whole else None), skipped
    return function(source.hu), None


def unchanged(source: SourceSlice, derived: Derived) -> np.ndarray:
    """The slice itself, each pixel as often as the new grid has it."""
    n = derived.enlargement
    return source.hu.repeat(n, 0).repeat(n, 1)


# ---- all slices, where the function runs in this process ----


def streamed(
    copy: Copy, function: Callable[[int, np.ndarray], np.ndarray], how: str
) -> Iterator[Skipped | None]:
    """`made` for every slice in order, read ahead and written behind in threads.

    function: of the index and (rows, columns) int16 HU; it runs in the caller's thread.
    """
    n = len(copy.scan.slices)
    with ThreadPoolExecutor(1) as reading, ThreadPoolExecutor(1) as writing_:
        ahead = deque(reading.submit(_or_skip, read, copy, k) for k in range(min(AHEAD, n)))
        behind: deque = deque()
        for index in range(n):
            source = ahead.popleft().result()
            if index + AHEAD < n:
                ahead.append(reading.submit(_or_skip, read, copy, index + AHEAD))
            behind.append(_finished(copy, index, source, function, how, writing_))
            if len(behind) > AHEAD:
                yield behind.popleft()()
        while behind:
            yield behind.popleft()()


def _finished(copy, index, source, function, how, pool) -> Callable[[], Skipped | None]:
    """Compute a slice and begin to write it; the result waits until it is written."""
    path = copy.scan.slices[index].path
    if isinstance(source, Skip):
        return lambda: Skipped(path, source.reason, source.detail)
    new_hu, skipped = changed(copy, index, source, lambda hu: function(index, hu))
    if new_hu is None:
        return lambda: skipped
    task = pool.submit(_or_skip, write, copy, index, source, new_hu, how)

    def result() -> Skipped | None:
        fault = task.result()
        return skipped if fault is None else Skipped(path, fault.reason, fault.detail)

    return result


def _or_skip(function, *arguments):
    try:
        return function(*arguments)
    except Skip as skip:
        return skip


def check_usable(skipped: Sequence[Skipped], n: int) -> None:
    """Raises UserError if more than half of n slices cannot be used."""
    if 2 * len(skipped) > n:
        first = single_scan.reason(skipped[0])
        raise UserError(f"{len(skipped)} of {n} slices cannot be used: {first}")


def skipped_line(copy: Copy, skipped: Sequence[Skipped]) -> str:
    """What became of the slices that could not be used; there are some."""
    if copy.is_whole:
        return f"slices that stay as they are: {single_scan.counted_reasons(skipped)}"
    return single_scan.counted(skipped)
