"""A scan, its slices, and the files that are not used: what every format is read into."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from srgan.system.errors import Skip, visible

MAX_ID = 1024  # characters of a patient's id or a series UID; DICOM allows 64
OWN_MODEL = "srgan-ct"  # names this program in the files that it writes
OWN_OUTPUT = "output of this program"  # why such a file is not used
SIMULATED = "low dose simulated"  # what such a file says after --run simulate


@dataclass(frozen=True, slots=True)
class Slice:
    """Where one axial slice lies: a DICOM file, or slice `index` of a MetaImage volume."""

    path: Path
    index: int = 0
    z_mm: float | None = None  # along the slice normal; None where the header has no position
    uid: str = ""  # SOPInstanceUID; empty for a volume
    instance: int = 0  # InstanceNumber; 0 where there is none


@dataclass(frozen=True)
class Scan:
    """One series of axial CT slices of one size, in order along the slice normal."""

    kind: str  # a key of `readers.FORMATS`
    series_uid: str
    patient_id: str  # stripped, never empty
    slices: tuple[Slice, ...]
    rows: int
    columns: int
    spacing_mm: tuple[float, float]  # between rows, between columns
    files: tuple[Path, ...]  # every file of the scan (header and data file of a MetaImage)
    kvp: float | None = None
    tube_current_ma: float | None = None
    exposure_mas: float | None = None
    kernel: str = ""
    description: str = ""  # SeriesDescription
    study_uids: tuple[str, ...] = ()
    patient_ids: tuple[str, ...] = ()  # as the files have them, before patients are joined
    made_by: str = ""  # see check_maker
    low_dose: "LowDose | None" = None  # with --pairs

    def doses(self) -> "tuple[Scan, ...]":
        """The scan itself, and with --pairs its low dose."""
        return (self,) if self.low_dose is None else (self, self.low_dose.scan)

    @property
    def is_volume(self) -> bool:
        """One file holds all slices; else each slice is a file of its own."""
        return self.kind != "dicom"


@dataclass(frozen=True)
class LowDose:
    """The measured low dose of a scan: a slice for each slice of it, in the same order."""

    scan: Scan
    dose: float | None  # share of the normal dose by exposure and voltage; None where not told
    noise_hu: float  # SD of low dose - normal dose in flat parts of the body
    told_by: str  # what said which of the two is the low dose


def pixels_text(scan: Scan) -> str:
    """The size of a scan's slices and of their pixels: "512 x 512 pixels of 0.7 x 0.7 mm"."""
    row_mm, column_mm = scan.spacing_mm
    return f"{scan.rows} x {scan.columns} pixels of {row_mm:.6g} x {column_mm:.6g} mm"


@dataclass(frozen=True)
class Place:
    """A point in a scan; pixel centres have whole coordinates."""

    position: int  # in Scan.slices
    row_px: float
    column_px: float
    off_mm: float  # from the slice to the point, along the normal


@dataclass(frozen=True)
class Skipped:
    """A file that is not used, and why."""

    path: Path
    reason: str
    detail: str = ""


def counted_reasons(skipped: Iterable[Skipped]) -> str:
    """How many are skipped for each reason, the commonest first: "2 localizer, 1 truncated"."""
    counts = Counter(item.reason for item in skipped)
    return ", ".join(f"{n} {reason}" for reason, n in counts.most_common())


@dataclass(frozen=True)
class Catalogue:
    """What a folder holds, from headers alone. files found = files of scans + skipped files."""

    folder: Path
    scans: tuple[Scan, ...]
    skipped: tuple[Skipped, ...]
    found: int
    remarks: tuple[str, ...] = ()  # lines for the user


def check_maker(made_by: str, simulated_too: bool) -> None:
    """Raises Skip for a scan that this program made; simulated_too: of those, allow low doses.

    made_by: what the file says about it, "" where this program did not make it.
    """
    if made_by and not (simulated_too and SIMULATED in made_by):
        raise Skip(OWN_OUTPUT)


def tidy_id(text: str) -> str:
    """An id as it is compared, stored and shown: stripped, control characters escaped."""
    return visible(text.strip(" \0\t\r\n"))
