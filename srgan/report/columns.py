"""The columns of the tables by subject, once for the page and for the terminal."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby

from srgan.evaluation.slice_metrics import (
    BODY_PSNR,
    BODY_SSIM,
    EDGE,
    FLAT,
    NPS_DISTANCE,
    TEXTURE,
    TISSUES_HU,
    TTF50,
    VESSEL,
    VGG_DISTANCE,
)
from srgan.hounsfield import HU_MAX, HU_MIN, Windows

WIDEST = 100  # characters of a line
BESIDE = 4  # windows of which a figure and the same in the body fit side by side on the page


@dataclass(frozen=True)
class Column:
    name: str
    note: str = ""  # window and data range, or unit
    group: str = ""  # heading over neighbouring columns with the same
    key: str = ""  # where the value stands in summary.json: "psnr_db.lung"
    better: str = ""  # high or low: the best value is marked
    form: str = ""  # how the value is written


@dataclass(frozen=True)
class Subject:
    """One table of the page."""

    caption: str
    columns: tuple[Column, ...]
    notes: tuple[str, ...] = ()


def subjects(windows: Windows) -> tuple[Subject, ...]:
    """All of them, in the order in which they are read."""
    psnr = _by_window(windows, "psnr_db", "PSNR, dB", ".2f")
    in_body = _by_window(windows, BODY_PSNR, "PSNR in the body, dB", ".2f")
    ssim = _by_window(windows, "ssim", "SSIM", ".4f")
    ssim_in_body = _by_window(windows, BODY_SSIM, "SSIM in the body", ".4f")
    together = len(windows) <= BESIDE
    return (
        Subject(
            "PSNR against the normal dose",
            (*psnr, *(in_body if together else ())),
            (
                "Mean over a patient's slices, then over patients. Whole slices, and the body "
                "alone; the reference is the normal dose, clipped to -1024..3071 HU.",
                "Never compare PSNR or SSIM across windows.",
            ),
        ),
        *(() if together else (Subject("PSNR in the body", tuple(in_body)),)),
        Subject("SSIM against the normal dose", (*ssim, *(ssim_in_body if together else ()))),
        *(() if together else (Subject("SSIM in the body", tuple(ssim_in_body)),)),
        Subject("Errors against the normal dose", _ERRORS),
        Subject(
            "Texture and noise",
            _TEXTURE,
            (
                "Texture: SD of the slice less its Gaussian of 2 px, in lung and in flat soft "
                "tissue; nearest the normal dose's is best.",
                "NPS distance: how far the noise power in soft tissue is from the normal dose's: "
                "0 equal, 1 for an output without noise or anatomy.",
            ),
        ),
        Subject(
            "Sharpness",
            _SHARPNESS,
            (
                "Edge: in how many mm the mean edge between lung and soft tissue rises from 20 to "
                "80 %, at the same places in every output; nearest the normal dose's is best.",
                "Vessel: full width at half maximum of the mean small vessel in lung, likewise.",
                "TTF50: the frequency at which half of a disc's contrast is left, see the curves.",
            ),
        ),
        Subject("Mean error by tissue", _TISSUES),
        Subject(
            "What was invented",
            _INVENTED,
            (
                "chi2: the output's block means against the low dose, in expected noise; spots: "
                "connected areas beyond 4 expected SDs (in projection noise: of all noise); wide: "
                "of 2 pixels of the low dose or more (there: 5), which chance does not give. "
                "Invented: detail that rises with the output's own error.",
                "sFRC counts sharpness first and does not see invented texture: shown for "
                "comparison, never judged by. Normal dose: two copies of it that differ in noise.",
            ),
        ),
    )


def _by_window(windows: Windows, key: str, group: str, form: str) -> list[Column]:
    return [
        Column(name, str(window), group, f"{key}.{name}", "high", form)
        for name, window in windows.items()
    ]


_ERROR = f"error in {HU_MIN:g}..{HU_MAX:g} HU"
_ERRORS = (
    Column("RMSE", "HU", _ERROR, "rmse_hu", "low", ".1f"),
    Column("MAE", "HU", _ERROR, "mae_hu", "low", ".1f"),
    Column("mean", "HU", _ERROR, "bias_hu", "", "+.2f"),
    Column("VGG", "distance, 0: equal", "", VGG_DISTANCE, "low", ".3g"),
)
_NOISE = "texture and noise"
_TEXTURE = (
    Column("lung", "SD in HU", _NOISE, TEXTURE, "", ".1f"),
    Column("flat", "SD in HU", _NOISE, FLAT, "", ".1f"),
    Column("NPS", "distance, 0: equal", _NOISE, NPS_DISTANCE, "low", ".2f"),
)
_SHARPNESS = (
    Column("edge", "mm", "sharpness", EDGE, "", ".2f"),
    Column("vessel", "mm", "sharpness", VESSEL, "", ".2f"),
    Column("TTF50", "/mm", "sharpness", TTF50, "", ".3f"),
)
_TISSUES = tuple(
    Column(name, "HU", "mean error by tissue", f"bias_by_tissue_hu.{name}", "", "+.1f")
    for name in TISSUES_HU
)
_INVENTED = (
    Column("chi2", "1: truth", "against its input", "chi2", "", ".2f"),
    Column("spots", "a slice", "against its input", "spots", "", ".1f"),
    Column("wide", "spots, a slice", "against its input", "wide_spots", "", ".1f"),
    Column("share", "of body", "invented", "invented_share", "", ".3f"),
    Column("energy", "HU^2", "invented", "invented_energy_hu2", "", "+.0f"),
    Column("shift", "px", "", "shift_px", "", ".2f"),
    Column("sFRC", "share", "", "sfrc_share", "", ".2f"),
)


def figure_at(figures: dict, path: Iterable[str]) -> float | None:
    """A figure in nested ones; None where it is missing."""
    value = figures
    for name in path:
        value = value.get(name) if value is not None else None
    return value


def figure_of(figures: dict, column: Column) -> float | None:
    return figure_at(figures, column.key.split("."))


def written(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def looked_for(columns: Iterable[Column], figures: Mapping[str, dict]) -> list[Column]:
    """Without the columns that these figures have not: patches have no texture."""
    return [c for c in columns if any(c.key.split(".")[0] in of for of in figures.values())]


# ---- for a terminal ----


def lines(columns: Iterable[Column], figures: Mapping[str, dict]) -> list[str]:
    """Tables of at most 100 characters a line, an empty line before each.

    figures: of each method. A group of columns is split only where it is too wide by itself.
    """
    made, first = [], max(12, *(len(name) + 1 for name in figures))
    for part in _fitting(list(columns), WIDEST - first):
        widths = _widths(part)
        made += ["", *_heads(part, [first, *widths])]
        for name, of_method in figures.items():
            cells = [written(figure_of(of_method, c), c.form) for c in part]
            if any(cells):
                made.append(_line([name, *cells], [first, *widths]))
    return made


def _fitting(columns: list[Column], room: int) -> list[list[Column]]:
    """Neighbours that fit into as many characters."""
    parts = [[]]
    for _, group in groupby(columns, lambda c: c.group or c.name):
        group = list(group)
        if parts[-1] and sum(_widths(parts[-1] + group)) > room:
            parts.append([])
        for column in group:
            if parts[-1] and sum(_widths([*parts[-1], column])) > room:
                parts.append([])
            parts[-1].append(column)
    return parts


def _under(column: Column) -> list[str]:
    """The two lines below a column's name."""
    return [*column.note.split(", "), "", ""][:2]


def _widths(columns: list[Column]) -> list[int]:
    """Of the longest line of each head; a group's first column also has what its name needs."""
    widths = [max(6, *map(len, (c.name, *_under(c)))) + 1 for c in columns]
    start = 0
    for name, group in groupby(columns, lambda c: c.group):
        n = len(list(group))
        widths[start] += max(0, len(name) + 1 - sum(widths[start : start + n]))
        start += n
    return widths


def _heads(columns: list[Column], widths: list[int]) -> list[str]:
    """widths: also of the names, which come first."""
    above, start = " " * widths[0], 1
    for name, group in groupby(columns, lambda c: c.group):
        n = len(list(group))
        above += f"{name:>{sum(widths[start : start + n])}}"
        start += n
    rows = [c.name for c in columns], *zip(*map(_under, columns), strict=True)
    return [head for head in (above.rstrip(), *(_line(["", *r], widths) for r in rows)) if head]


def _line(cells: list[str], widths: list[int]) -> str:
    first, *others = zip(cells, widths, strict=True)
    return f"{first[0]:{first[1]}}{''.join(f'{c:>{width}}' for c, width in others)}".rstrip()
