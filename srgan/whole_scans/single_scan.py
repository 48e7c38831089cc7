"""Find the one scan at a path: a folder, the header of a volume, or a single DICOM file."""

import logging
from collections.abc import Sequence
from pathlib import Path

from srgan import hu_check
from srgan.dataset import catalogue, hu_sample
from srgan.dataset.catalogue import nothing_usable_message
from srgan.formats import readers
from srgan.formats.data_place import check_place
from srgan.formats.dicom import header as dicom_header
from srgan.formats.dicom import series
from srgan.formats.scan import (
    OWN_OUTPUT,
    Catalogue,
    Scan,
    Skipped,
    check_maker,
    counted_reasons,
    pixels_text,
)
from srgan.system.errors import Skip, UserError, plural, visible

log = logging.getLogger(__name__)

OTHER_PART = "another field of view in its series"
MOST_LISTED = 40  # series in a message


def find(
    path: Path, series_uid: str | None = None, simulated_too: bool = False
) -> tuple[Scan, tuple[Skipped, ...]]:
    """The one scan at `path`, and the files below it that are left out.

    A single DICOM file is a scan of one slice. Of a series in parts (of several sizes or pixel
    spacings) the largest is the scan. series_uid: which series of a folder with several; of a
    volume the name of its file. simulated_too: may it be a low dose that this program made?
    Raises UserError where there is none, or more, and where the pixels cannot be HU.
    """
    scan, skipped = _find(Path(path), series_uid, simulated_too)
    _check_hu(scan)
    return scan, skipped


def _find(
    path: Path, series_uid: str | None, simulated_too: bool
) -> tuple[Scan, tuple[Skipped, ...]]:
    try:
        if path.is_dir():
            return _in_folder(path, series_uid, simulated_too)
        if not path.is_file():
            fault = "is neither a file nor a folder" if path.exists() else "does not exist"
            raise UserError(f"--input {path} {fault}")
    except (OSError, ValueError) as error:
        fault = getattr(error, "strerror", None) or "not a usable name"
        raise UserError(f"--input {path} cannot be read ({fault})") from None
    try:
        if volume := readers.volume_format(path):
            header, name = volume.read_header(path), readers.volume_name(path)
            check_place(header.path, header.data_path, path.parent)
            check_maker(header.made_by, simulated_too)
            return _wanted(path, volume.scan_of(header, name, "unknown"), series_uid), ()
        header = dicom_header.read_header(path)
        check_maker(header.made_by, simulated_too)
        scans, _ = series.group([header])
        return _wanted(path, scans[0], series_uid), ()
    except Skip as skip:
        hint = ": give the scan it was made from" if skip.reason == OWN_OUTPUT else ""
        if readers.is_volume_data(path):
            hint = ": give its header, the .mhd or .nhdr"
        raise UserError(f"--input {path}: {reason(skip)}{hint}") from None


def _wanted(path: Path, scan: Scan, series_uid: str | None) -> Scan:
    if series_uid not in (None, scan.series_uid):
        raise UserError(f"--series {series_uid}: {path} is of the series {scan.series_uid}")
    return scan


def _in_folder(
    folder: Path, series_uid: str | None, simulated_too: bool
) -> tuple[Scan, tuple[Skipped, ...]]:
    found = catalogue.find(folder, for_training=False, simulated_too=simulated_too)
    if not found.scans:
        if any(item.reason == OWN_OUTPUT for item in found.skipped):
            raise UserError(f"--input {folder} is {OWN_OUTPUT}: give the scan it was made from")
        raise UserError(f"--input: {nothing_usable_message(found)}")
    uids = list(dict.fromkeys(scan.series_uid for scan in found.scans))
    if series_uid not in (None, *uids):
        _list(found)
        raise UserError(f"--series {series_uid} is not in {folder}: its series are listed above")
    if series_uid is None and len(uids) > 1:
        _list(found)
        raise UserError(
            f"--input {folder} holds {len(uids)} series, listed above: take one by --series UID"
        )
    wanted = series_uid or uids[0]
    parts = [scan for scan in found.scans if scan.series_uid == wanted]
    scan, *others = sorted(parts, key=lambda s: -len(s.slices))
    left_out = [Skipped(p, OTHER_PART, pixels_text(part)) for part in others for p in part.files]
    return scan, (*found.skipped, *left_out)


def _list(found: Catalogue) -> None:
    """Log the series of a folder, a line each: UID, description, slices, size, kernel."""
    for scan in found.scans[:MOST_LISTED]:
        slices = f"{plural(len(scan.slices), 'slice')} of {pixels_text(scan)}"
        known = [scan.description or "no description", slices]
        known += [f"kernel {scan.kernel}"] if scan.kernel else []
        log.info(visible(f"  {scan.series_uid}  {', '.join(known)}"))
    if (rest := len(found.scans) - MOST_LISTED) > 0:
        log.info(f"  and {rest} more")


def _check_hu(scan: Scan) -> None:
    """Raises UserError unless the pixels of a sample of slices can be HU; damage is told later."""
    try:
        hu_sample.checked(scan, readers.reader(scan), range(len(scan.slices)))
    except Skip as skip:
        if skip.reason == hu_check.REASON:
            raise UserError(f"--input: the pixels are {reason(skip)}") from None


def reason(skip: Skip | Skipped) -> str:
    return f"{skip.reason} ({skip.detail})" if skip.detail else skip.reason


def counted(skipped: Sequence[Skipped]) -> str:
    """How many files are left out, and why: `3 files are left out: 2 localizer, 1 truncated`."""
    files = "1 file is" if len(skipped) == 1 else f"{len(skipped)} files are"
    return f"{files} left out: {counted_reasons(skipped)}"
