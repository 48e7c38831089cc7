"""The columns of the tables of metrics, once for the page and for the terminal."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from srgan.hounsfield import WINDOWS, Windows
from srgan.metrics import registry
from srgan.metrics.registry import Metric, value_at

GREAT = 1e6  # more digits than anybody reads: chi2 where there is no noise
BESIDE = 4  # windows of which a metric and the same in the body fit side by side on the page
NOTES = {  # below a table, by its caption
    "PSNR against the normal dose": (
        "Mean over a patient's slices, then over patients. Whole slices, and the body alone; the "
        "reference is the normal dose, clipped to -1024..3071 HU.",
        "Never compare PSNR or SSIM across windows.",
    ),
    "Texture and noise": (
        "Texture: SD of the slice less its Gaussian of 2 px, in lung and in flat soft tissue; "
        "nearest the normal dose's is best.",
        "NPS distance: how far the noise power in soft tissue is from the normal dose's: 0 equal, "
        "1 for an output without noise or anatomy.",
    ),
    "Sharpness": (
        "Edge: in how many mm the mean edge between lung and soft tissue rises from 20 to 80 %, "
        "at the same places in every output; nearest the normal dose's is best.",
        "Vessel: full width at half maximum of the mean small vessel in lung, likewise.",
        "TTF50: the frequency at which half of a disc's contrast is left, see the curves.",
    ),
    "What was invented": (
        "chi2: the output's block means against the low dose, in expected noise. Invented: detail "
        "that rises with the output's own error.",
        "sFRC counts sharpness first and does not see invented texture: shown for comparison, "
        "never used in a check. Normal dose: two copies of it that differ in noise.",
    ),
}
NOTES_OF_COLUMNS = {  # below a table that has this column, by its key
    "spots": "Spots: connected areas beyond 4 expected SDs (in projection noise and real pairs: of "
    "all noise); wide: of 2 pixels of the low dose or more (there: 5), which chance does not give.",
    "removed_share": "At scale 1 blocks are pixels: chi2 is 0 for the input, 1 where as much was "
    "removed as was added. Removed: the share of fine edges and vessels that the output lacks, 0 "
    "where noise alone was removed; spot: the strongest spot in what was removed, in SDs of its "
    "noise. Noise that was left counts as invented: compare with the input.",
}


@dataclass(frozen=True)
class Column:
    name: str
    note: str = ""  # window and data range, or unit
    group: str = ""  # heading over neighbouring columns with the same
    key: str = ""  # where the value stands in summary.json: "psnr_db.lung"
    better: str = ""  # "high", "low", "zero" or "one": the best value is marked
    form: str = ""  # how the value is written


IN_LUNG = f"lung window {WINDOWS['lung']}"
MAIN = (  # what most readers want, on the terminal's one screen and at the top of the page
    Column("PSNR, dB", "lung window", "", "psnr_db.lung", "high", ".2f"),
    Column("SSIM", "lung window", "", "ssim.lung", "high", ".4f"),
    Column("RMSE", "HU", "", "rmse_hu", "low", ".1f"),
    Column("error", "mean HU", "", "bias_hu", "zero", "+.1f"),
)


@dataclass(frozen=True)
class Subject:
    """One table of the page."""

    caption: str
    columns: tuple[Column, ...]
    notes: tuple[str, ...] = ()


def subjects(windows: Windows) -> tuple[Subject, ...]:
    """The tables of the registry's metrics, in its order."""
    tables: dict[str, list[Column]] = {}
    for metric in registry.METRICS:
        caption = metric.table
        if caption in tables and metric.parts == "windows" and len(windows) > BESIDE:
            caption = metric.name  # too wide beside the others
        if caption:
            tables.setdefault(caption, []).extend(columns_of(metric, windows))
    return tuple(Subject(name, tuple(of), NOTES.get(name, ())) for name, of in tables.items())


def columns_of(metric: Metric, windows: Windows) -> list[Column]:
    """A column for each of its parts, or one."""
    how = {"better": metric.better, "form": metric.digits}
    if not metric.parts:
        return [Column(metric.name, metric.unit, metric.group, metric.key, **how)]
    parts = zip(metric.parts_in(windows), metric.paths(windows), strict=True)
    if metric.parts == "tissues":
        return [Column(part, metric.unit, metric.name, path, **how) for part, path in parts]
    group = ", ".join(filter(None, (metric.name, metric.unit)))
    return [Column(part, str(windows[part]), group, path, **how) for part, path in parts]


def notes_of(subject: Subject, columns: Iterable[Column]) -> tuple[str, ...]:
    """The notes below a table that shows these of its columns."""
    own = (NOTES_OF_COLUMNS[c.key] for c in columns if c.key in NOTES_OF_COLUMNS)
    return (*subject.notes, *own)


def value_of(metrics: dict, column: Column) -> float | None:
    return value_at(metrics, column.key)


def written(value: float | None, form: str) -> str:
    """As the form says; from GREAT on with four digits and an exponent."""
    if value is None:
        return ""
    if form.endswith("f") and GREAT <= abs(value) < math.inf:
        form = "+.4g" if form.startswith("+") else ".4g"
    return format(value, form)


def measured_columns(columns: Iterable[Column], metrics: Mapping[str, dict]) -> list[Column]:
    """The columns that any of these has: patches have no texture, for one."""
    return [c for c in columns if any(c.key.split(".")[0] in of for of in metrics.values())]
