"""The page's viewer of one slice: before and after a divide, windows in HU, maps on top.

Pictures are packed without loss at 1 HU and unpacked by page.js: no canvas is read back, so that
neither colour management nor a browser's guard against fingerprints changes a value. Packed are
the differences to the median edge predictor of JPEG-LS (ISO/IEC 14495-1), deflated: 162 kB for a
noisy chest of 512 x 512, where its PNG with 12 bits in two channels has 231 kB. Where scripts are
off, and in print, there is a still picture.
"""

import base64
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from srgan.evaluation.study import crop
from srgan.hounsfield import HU_MAX, HU_MIN, WINDOWS, Window, Windows
from srgan.report.html.markup import text
from srgan.resampling import area_mean, nearest
from srgan.system.errors import one_line

HU_BITS, MAP_BITS = 12, 8
SHOWN = {  # the usual presets; the first is shown at the start and in print
    "lung": WINDOWS["lung"],
    "mediastinum": WINDOWS["mediastinum"],
    "bone": Window(-450.0, 1050.0),
    "full": WINDOWS["full"],
}
STILL = 512  # pixels at most, of a side of a still picture
GAP = 8  # pixels between the two halves of the still picture
ERROR = "error"  # the map that the browser makes itself


@dataclass(frozen=True)
class Map:
    """Values to lay over one picture; kept in 254 steps, NaN is left clear.

    ends: the value that is left clear, and the one whose colour is strongest (the first may be the
    larger: (0.3, -1) colours a correlation below 0.3). diverging: ends are the two strongest and
    their middle is clear. The shape divides that of the pictures.
    """

    name: str  # "consistency", equal for the same map of another picture
    of: str  # the picture's name
    values: np.ndarray
    unit: str  # "expected SDs"
    ends: tuple[float, float]
    diverging: bool = False


@dataclass(frozen=True)
class Viewer:
    """One slice by every method. A smaller picture, such as the low dose, is enlarged by nearest.

    pictures: name to HU, the normal dose first; kept at 1 HU within -1024 to 3071. shown: the
    names at the start, left and right; without, the first and the last. detail: rows and columns
    worth enlarging (examples.region). main: the names that stay where the page would be too large;
    without, those of the start. error_hu: the strongest colour of the error map, which is
    made in the browser, of each picture less the first. windows: presets, the first shown first.
    """

    title: str
    words: str
    pictures: Mapping[str, np.ndarray]
    maps: tuple[Map, ...] = ()
    shown: tuple[str, str] | None = None
    detail: tuple[slice, slice] | None = None
    main: tuple[str, ...] = ()
    spacing_mm: tuple[float, float] = (1.0, 1.0)  # between rows, between columns
    error_hu: float = 100.0
    windows: Windows = field(default_factory=lambda: SHOWN)

    def __post_init__(self):
        for name, picture in self.pictures.items():
            if not np.isfinite(picture).all():
                raise ValueError(f"{name}: HU that are not finite")
        for array in (*self.pictures.values(), *(each.values for each in self.maps)):
            _factor(self.shape, array.shape)
        unknown = {*(self.shown or ()), *(each.of for each in self.maps)} - set(self.pictures)
        if unknown:
            raise ValueError(f"no picture of {', '.join(sorted(unknown))}")

    @property
    def shape(self) -> tuple[int, int]:
        return next(iter(self.pictures.values())).shape

    @property
    def first_shown(self) -> tuple[str, str]:
        names = list(self.pictures)
        return self.shown or (names[0], names[-1])

    @property
    def kept(self) -> set[str]:
        """Names that stay; the first picture is what errors are against."""
        return {next(iter(self.pictures)), *self.main, *self.first_shown}


def _factor(shape: tuple[int, int], smaller: tuple[int, int]) -> int:
    factor = shape[0] // smaller[0]
    if (smaller[0] * factor, smaller[1] * factor) != tuple(shape):
        raise ValueError(f"{smaller} does not divide {shape}")
    return factor


# ---- packing ----


def pack(values: np.ndarray, bits: int) -> str:
    """(rows, columns) of 0 to 2^bits - 1, at most 16 bits, as base64 text for page.js' `unpack`.

    A pixel is predicted from its left, upper and upper left neighbours (0 outside), and the
    difference, modulo 2^bits and with its sign in the lowest bit, is deflated: high bytes first.
    """
    values = values.astype(np.int32)
    padded = np.pad(values, ((1, 0), (1, 0)))
    left, above, corner = padded[1:, :-1], padded[:-1, 1:], padded[:-1, :-1]
    low, high = np.minimum(left, above), np.maximum(left, above)
    half = 1 << (bits - 1)
    difference = (values - np.clip(left + above - corner, low, high) + half) % (2 * half) - half
    folded = (difference << 1) ^ (difference >> 31)
    planes = np.stack([folded >> 8, folded & 255]).astype(np.uint8)
    deflate = zlib.compressobj(6, zlib.DEFLATED, 15, 9, zlib.Z_FILTERED)
    return base64.b64encode(deflate.compress(planes.tobytes()) + deflate.flush()).decode()


def hu_steps(hu: np.ndarray) -> np.ndarray:
    """HU as whole steps from -1024: 0 to 4095."""
    return np.rint(np.clip(hu, HU_MIN, HU_MAX) - HU_MIN).astype(np.int32)


def _map_steps(each: Map) -> np.ndarray:
    """1 to 255 from the first end to the second; 0 is clear."""
    first, second = each.ends
    fraction = (np.asarray(each.values, float) - first) / (second - first)
    return np.where(
        np.isnan(fraction), 0, 1 + np.rint(254 * np.clip(np.nan_to_num(fraction), 0, 1))
    )


def _data(viewer: Viewer) -> str:
    """What page.js reads, as JSON that may stand in a script element."""
    detail = [[int(part.start), int(part.stop)] for part in viewer.detail or ()]
    made = {
        "shape": viewer.shape,
        "windows": {name: list(window) for name, window in viewer.windows.items()},
        "detail": detail,
        "error": float(viewer.error_hu),
        "pictures": [
            {"name": _name(name), "shape": hu.shape, "data": pack(hu_steps(hu), HU_BITS)}
            for name, hu in viewer.pictures.items()
        ],
        "maps": [
            {
                "name": _name(each.name),
                "of": _name(each.of),
                "unit": one_line(each.unit),
                "ends": [float(end) for end in each.ends],
                "diverging": each.diverging,
                "shape": each.values.shape,
                "data": pack(_map_steps(each), MAP_BITS),
            }
            for each in viewer.maps
        ],
    }
    return json.dumps(made, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _name(name: str) -> str:
    return one_line(name)


# ---- what stands in the page ----


def still(viewer: Viewer) -> str:
    """The two pictures of the start side by side in the first window, as a PNG's data URI.

    Means over blocks where they have more than STILL rows or columns.
    """
    import imageio.v3 as imageio

    low, high = next(iter(viewer.windows.values()))
    halves, smaller = [], -(-max(viewer.shape) // STILL)
    for name in viewer.first_shown:
        hu = viewer.pictures[name]
        grey = np.clip((nearest(hu, _factor(viewer.shape, hu.shape)) - low) / (high - low), 0, 1)
        halves.append(np.rint(255 * area_mean(crop(grey, smaller), smaller)).astype(np.uint8))
    gap = np.full((len(halves[0]), GAP), 255, np.uint8)
    png = imageio.imwrite("<bytes>", np.hstack([halves[0], gap, halves[1]]), extension=".png")
    return "data:image/png;base64," + base64.b64encode(png).decode()


def viewer_html(viewer: Viewer, key: str) -> str:
    """The figure. key: a word of this page alone, for ids."""
    names = list(map(_name, viewer.pictures))
    before, after = map(_name, viewer.first_shown)
    maps = list(dict.fromkeys([ERROR, *(_name(each.name) for each in viewer.maps)]))
    window, (low, high) = next(iter(viewer.windows.items()))
    rows, columns = viewer.shape
    wide, tall = columns * viewer.spacing_mm[1], rows * viewer.spacing_mm[0]
    detail = _choices("Show", f"part-{key}", {"whole": "whole slice", "detail": "detail"})
    return f"""
<figure class="viewer" id="{key}" style="--shape: {wide:g} / {tall:g}">
<figcaption><h3>{text(viewer.title)}</h3><p>{text(viewer.words)}</p>
<p class="of-still">Left: {text(before)}; right: {text(after)}; {window} window, \
{low:g} to {high:g} HU.</p></figcaption>
<div class="controls" hidden>
{_select("Left", "before", names, before)}
{_select("Right", "after", names, after)}
{_select("Map", "map", ["", *maps], "")}
{_choices("Window", f"window-{key}", {name: name for name in viewer.windows})}
{detail if viewer.detail else ""}
</div>
<div class="stage" hidden>
<canvas role="img" aria-label="{text(viewer.title)}"></canvas>
<span class="divide" aria-hidden="true"></span>
<span class="name left" aria-hidden="true"></span>
<span class="name right" aria-hidden="true"></span>
</div>
<div class="under" hidden>
<input type="range" name="divide" min="0" max="100" value="50" aria-label="Divide">
<p class="legend" hidden></p>
<p class="values">Point at a pixel for its values.</p>
</div>
<img class="still" src="{still(viewer)}" alt="\
{text(f"{viewer.title}: {before} on the left, {after} on the right, {window} window")}">
<script type="application/json">{_data(viewer)}</script>
</figure>"""


def _select(label: str, name: str, values: list[str], chosen: str) -> str:
    options = "".join(
        f'<option value="{text(value)}"{" selected" if value == chosen else ""}>'
        f"{text(value) or 'none'}</option>"
        for value in values
    )
    return f'<label><span>{label}</span> <select name="{name}">{options}</select></label>'


def _choices(legend: str, name: str, values: dict[str, str]) -> str:
    """Radio buttons, the first chosen."""
    buttons = "".join(
        f'<label><input type="radio" name="{name}" value="{value}"{"" if i else " checked"}>'
        f"<span>{text(words)}</span></label>"
        for i, (value, words) in enumerate(values.items())
    )
    return f"<fieldset><legend>{legend}</legend>{buttons}</fieldset>"
