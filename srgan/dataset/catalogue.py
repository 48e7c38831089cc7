"""Find the scans in a folder, and why every other file is skipped.

Headers alone are read, and some pixels where several files may be one scan.
"""

import os
from collections.abc import Collection, Iterable
from pathlib import Path

from srgan.dataset import copies, low_dose_pairs, low_dose_series
from srgan.dataset.list_files import files_below
from srgan.dataset.patients import name_patients
from srgan.dataset.patients_table import check_names_some
from srgan.dataset.series_filter import parted
from srgan.formats import csv_tables, readers
from srgan.formats.data_place import check_place
from srgan.formats.dicom import header as dicom_header
from srgan.formats.dicom import series
from srgan.formats.readers import VolumeHeader
from srgan.formats.scan import (
    Catalogue,
    Scan,
    Skipped,
    check_maker,
    counted_reasons,
    pixels_text,
    tidy_id,
)
from srgan.system.errors import Skip, UserError, one_line, plural
from srgan.system.files import write_csv
from srgan.system.progress import progress

ARCHIVES = (
    ".zip", ".gz", ".tgz", ".tar", ".bz2", ".tbz2", ".xz", ".txz", ".7z", ".rar", ".zst",
)  # fmt: skip
PAIRS = (".hdr", ".img", ".img.gz")  # of Analyze and of NIfTI in two files
NOT_AN_IMAGE = "not DICOM, MetaImage, NIfTI or NRRD"
EXPECTED = (
    "expected: axial CT as DICOM in any tree of folders, MetaImage (.mhd with its .raw or .zraw), "
    "NIfTI (.nii, .nii.gz) or NRRD (.nrrd)"
)

EXPECTED_PAIRS = (
    "expected: of each patient a normal-dose and a low-dose series of axial CT with slices at the "
    "same positions"
)


def find(
    folder: Path,
    patients_csv: dict[str, str] | None = None,
    left_out: Collection[Path] = (),
    for_training: bool = True,
    series_filter: str | None = None,
    pairs: bool = False,
    simulated_too: bool = False,
) -> Catalogue:
    """Catalogue a folder and everything below it.

    patients_csv: series_uid to patient_id (see patients_table.py). left_out: folders that do not
    count, like hidden files. for_training: skip DICOM files that name no patient, and low-dose
    series beside normal-dose ones. series_filter: see series_filter.py. pairs: only normal-dose
    scans with their measured low dose (see low_dose_pairs.py). simulated_too: use low doses that
    this program made; other scans that it made are skipped. Every file is in a scan or skipped:
    together they are `found`. Raises UserError if `folder` cannot be read, if the table names no
    series in it, or if the filter leaves none.
    """
    folder, table = Path(folder), patients_csv or {}
    _check_folder(folder)
    files, skipped = files_below(folder, left_out)
    found = len(files) + len(skipped)
    slices, volumes, unusable = _headers(files, folder, simulated_too or pairs)
    skipped += unusable
    scans = []
    for part in low_dose_pairs.by_dose(slices, folder) if pairs else [slices]:
        grouped, unusable = series.group(part)
        scans += grouped
        skipped += unusable
    of_volumes = list(map(_scan_of_volume, volumes))
    scans += low_dose_pairs.named(of_volumes, folder) if pairs else of_volumes
    uids = {scan.series_uid for scan in scans}
    scans, unusable = copies.choose(scans, folder)
    skipped += unusable
    check_names_some(table, uids.union(scan.series_uid for scan in scans))
    scans, unusable, remarks = name_patients(scans, table, for_training)
    skipped += unusable
    # Before doses are compared: a series that is not wanted displaces none.
    scans, unusable = parted(scans, series_filter)
    skipped += unusable
    if pairs:
        scans, unusable, lines = low_dose_pairs.match(scans, folder)
        skipped += unusable
        remarks += lines
    elif for_training:
        scans, unusable = low_dose_series.leave_out(scans, folder)
        skipped += unusable
    scans.sort(key=lambda scan: (scan.series_uid, str(scan.files[0])))
    skipped.sort(key=lambda item: str(item.path))
    remarks += _series_in_parts(scans)
    return Catalogue(folder, tuple(scans), tuple(skipped), found, tuple(remarks))


def _series_in_parts(scans: list[Scan]) -> list[str]:
    """One line where slices of a series differ in size or pixel spacing, with the first series."""
    parts: dict[str, list[Scan]] = {}
    for scan in scans:
        parts.setdefault(scan.series_uid, []).append(scan)
    several = [each for each in parts.values() if len(each) > 1]
    if not several:
        return []
    sizes = ", ".join(f"{len(scan.slices)} of {pixels_text(scan)}" for scan in several[0][:3])
    return [
        f"{plural(len(several), 'series', 'series')} with slices of several sizes, all used; the "
        f"first has {sizes}"
    ]


# ---- one file after another ----


def _check_folder(folder: Path) -> None:
    try:
        if not folder.is_dir():
            fault = "is not a folder" if folder.exists() else "does not exist"
            raise UserError(f"{folder} {fault}: give the folder that holds the scans")
        os.listdir(folder)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a usable name"
        raise UserError(f"{folder} cannot be read ({reason})") from None


def _read_dicom(path: Path) -> dicom_header.Header:
    """Raises Skip, with a hint for an archive and for a pair of Analyze or NIfTI."""
    try:
        return dicom_header.read_header(path)
    except Skip as skip:
        if skip.reason == NOT_AN_IMAGE and path.name.lower().endswith(PAIRS):
            raise Skip("Analyze or NIfTI in two files", "convert the pair to one .nii.gz") from None
        if skip.reason == NOT_AN_IMAGE and path.name.lower().endswith(ARCHIVES):
            raise Skip("archive", "unpack it") from None
        raise


def _headers(
    files: list[Path], folder: Path, simulated_too: bool
) -> tuple[list[dicom_header.Header], list[VolumeHeader], list[Skipped]]:
    """Headers of DICOM slices and of volumes, and the files that are neither, nor their data."""
    slices: list[dicom_header.Header] = []
    volumes: list[VolumeHeader] = []
    skipped, data_files, claimed = [], [], {}
    could_be_data = {path for path in files if readers.volume_format(path) is None}
    # Headers of volumes come first: they name their data files.
    order = sorted(files, key=lambda path: path in could_be_data)
    for path in progress(order, len(order), "headers"):
        if path in claimed:
            pass
        elif readers.is_volume_data(path):
            data_files.append(path)
        else:
            try:
                if volume := readers.volume_format(path):
                    header = volume.read_header(path)
                    check_place(header.path, header.data_path, folder)
                    check_maker(header.made_by, simulated_too)
                    volumes.append(_claim(header, claimed, could_be_data))
                else:
                    header = _read_dicom(path)
                    check_maker(header.made_by, simulated_too)
                    slices.append(header)
            except Skip as skip:
                skipped.append(Skipped(path, skip.reason, skip.detail))
    return slices, volumes, skipped + _without_header(data_files, skipped)


# ---- volumes ----


def _claim(
    header: VolumeHeader, claimed: dict[Path, Path], could_be_data: set[Path]
) -> VolumeHeader:
    """Note which header a data file belongs to.

    Raises Skip for a data file that is hidden or has a header already.
    """
    if header.data_path in claimed:
        detail = f"{claimed[header.data_path]} has the same data file"
        raise Skip("duplicate header", detail)
    if header.data_path != header.path:
        if header.data_path not in could_be_data:
            raise Skip("data file is missing", "the named file is hidden or another header")
        claimed[header.data_path] = header.path
    return header


def _without_header(data_files: list[Path], skipped: Iterable[Skipped]) -> list[Skipped]:
    """Data files that no usable header names, with the reason why a header was skipped."""
    reasons = {
        s.path.with_name(readers.volume_name(s.path)): f"{s.path}: {s.reason}"
        for s in skipped
        if s.path.suffix.lower() in (".mhd", ".nhdr")
    }
    left_out = []
    for path in data_files:
        name = readers.volume_name(path)
        reason = reasons.get(path.with_name(name)) if name else None
        if reason:
            left_out.append(Skipped(path, "its header is skipped", reason))
        else:
            ending = path.name[len(name) :].lower()
            left_out.append(Skipped(path, f"a {ending} without a header"))
    return left_out


def _scan_of_volume(header: VolumeHeader) -> Scan:
    """A scan without a patient, named by its file."""
    uid = tidy_id(readers.volume_name(header.path)) or "_"
    return readers.volume_format(header.path).scan_of(header, uid, "")


# ---- messages ----


def nothing_usable_message(catalogue: Catalogue, where: str = "", pairs: bool = False) -> str:
    """One line for a folder without a usable scan: what to do, then the reasons.

    where: the reasons by file are. pairs: of normal and low dose were looked for.
    """
    if not catalogue.found:
        return one_line(f"{catalogue.folder} holds no files; {EXPECTED}", 2000)
    reasons = counted_reasons(catalogue.skipped)
    has_archive = any(item.reason == "archive" for item in catalogue.skipped)
    hint = "unpack archives first; " if has_archive else ""
    where = f"reasons by file: {where}; " if where else ""
    files = "1 file" if catalogue.found == 1 else f"{catalogue.found} files"
    if pairs:
        text = f"no pairs of normal and low dose among {files} in {catalogue.folder}: {hint}"
        return one_line(f"{text}{EXPECTED_PAIRS}; {where}{reasons}", 2000)
    text = (
        f"no usable CT scan among {files} in {catalogue.folder}: {hint}{EXPECTED}; {where}{reasons}"
    )
    return one_line(text, 2000)


def write_skipped_csv(path: Path, skipped: Iterable[Skipped]) -> None:
    """Write path, reason and detail of each file; no cell is a formula, no name breaks a row."""
    rows = (map(csv_tables.visible_cell, (s.path, s.reason, s.detail)) for s in skipped)
    write_csv(path, ("path", "reason", "detail"), rows)
