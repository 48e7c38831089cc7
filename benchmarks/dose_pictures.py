"""Draw a slice at a half, a quarter and a tenth of its dose, and its noise.

python benchmarks/dose_pictures.py FOLDER --patient ID [--slice K] --output OUT
python benchmarks/dose_pictures.py --synthetic --output OUT     (docs/dose.png)

Photons are matched to the slice. Above: the slice at each dose in two windows (of the synthetic
slice the body only, in the mediastinum window). Below: the SD of the noise that a quarter of the
dose adds, by formula, and the noise alone (low - full). Keep pictures of patients to yourself; only
the synthetic one may be passed on.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np

from benchmarks import common
from srgan.formats import readers
from srgan.hounsfield import WINDOWS
from srgan.lowdose import estimate_photons
from srgan.lowdose.projection_noise import low_dose, noise_sd_hu, pixel_mm_of
from srgan.lowdose.scanner import Scanner
from srgan.masks import body_mask
from srgan.phantom import chest
from srgan.random_streams import FIELDS, generator_of
from srgan.system.errors import UserError
from srgan.system.png import figure_to_png

DOSES = {"full dose": 1.0, "1/2 dose": 0.5, "1/4 dose": 0.25, "1/10 dose": 0.1}
MAPPED = 0.25  # dose of the SD map
NOISE_HU = 150.0  # the noise alone is shown from -150 to 150 HU
GAP, HEAD, LINE, DPI = 6, 68, 24, 100  # dots
SIDE, SYNTHETIC_SIDE = 512, 250  # dots of a panel


def slice_of(folder: Path, patient: str, number: int | None):
    """(HU, spacing in mm, title); by default the middle slice of the longest scan."""
    scan = common.largest_scans(folder).get(patient)
    if scan is None:
        raise UserError(f"{folder} holds no usable scan of patient {patient}")
    n = len(scan.slices)
    k = n // 2 + 1 if number is None else number
    if not 1 <= k <= n:
        raise UserError(f"--slice {k}: {patient} has slices 1 to {n}")
    title = f"{patient}, slice {k} of {n} from the feet"
    return readers.reader(scan)(k - 1), scan.spacing_mm, title


def synthetic_slice(number: int | None):
    """The same of a synthetic chest; by default at the shoulders, where the streaks are."""
    k = 6 if number is None else number
    if not 1 <= k <= 6:
        raise UserError(f"--slice {k}: the synthetic chest has slices 1 to 6")
    volume, (x, y, _) = chest.chest(0, 1, 6)
    return volume[k - 1], (y, x), f"SYNTHETIC chest, slice {k} of 6 from the feet"


class Panels:
    """A black figure of panels of equal size, placed in dots."""

    def __init__(self, rows: int, columns: int, side: int, tall: int):
        from matplotlib.figure import Figure

        self.side, self.tall = side, tall
        self.wide = columns * (side + GAP) + GAP
        self.high = HEAD + rows * (tall + LINE) + LINE
        size = self.wide / DPI, self.high / DPI
        self.figure = Figure(size, dpi=DPI, facecolor="black")

    def text(self, x: float, y: float, words: str, size: float = 10, **more) -> None:
        place = x / self.wide, 1 - y / self.high
        self.figure.text(*place, words, color="white", size=size, **more)

    def panel(self, row: int, column: int, words: str, pixels: np.ndarray, **more):
        """Returns the axes and the image."""
        left, top = GAP + column * (self.side + GAP), HEAD + row * (self.tall + LINE)
        self.text(left, top + LINE - 7, words)
        bottom = 1 - (top + LINE + self.tall) / self.high
        box = left / self.wide, bottom, self.side / self.wide, self.tall / self.high
        axes = self.figure.add_axes(box)
        axes.set_axis_off()
        smooth = "nearest" if self.side >= max(pixels.shape) else "antialiased"
        return axes, axes.imshow(pixels, interpolation=smooth, **more)


def draw(hu, spacing_mm: tuple[float, float], title: str, rows: slice, side: int, windows):
    """A matplotlib Figure with a column for each dose, and a row for each window and the noise.

    hu: (rows, columns). rows: those to show. side: dots across a panel.
    """
    scanner = Scanner()
    estimate = estimate_photons.estimate(hu, spacing_mm, scanner)
    photons = estimate.photons or estimate_photons.DEFAULT_PHOTONS
    if estimate.photons:
        source = f"{photons:.2g} photons matched, estimated noise {estimate.sd_hu:.0f} HU"
    else:
        source = f"{photons:.2g} photons, the default: too little soft tissue to match"
    images = {
        name: low_dose(hu, spacing_mm, dose, photons, scanner, generator_of(0, FIELDS, 0))
        for name, dose in DOSES.items()
    }
    sd_map = noise_sd_hu(hu, spacing_mm, photons, scanner, MAPPED)
    soft = estimate_photons.flat_soft_tissue(hu)
    last = len(windows)
    panels = Panels(last + 1, len(images), side, round(side * len(hu[rows]) / hu.shape[1]))
    panels.text(GAP, 20, title, 13, weight="bold")
    panels.text(GAP, 42, f"{source} at full dose; pixel {pixel_mm_of(spacing_mm):.3f} mm", 11)
    shades = [f"{w} {WINDOWS[w].low:g} to {WINDOWS[w].high:g} HU" for w in windows]
    shades = ", ".join([*shades, f"noise alone ±{NOISE_HU:g} HU"])
    panels.text(GAP, 62, f"grey: {shades}; SD: in flat soft tissue", 11)
    for column, (name, image) in enumerate(images.items()):
        for row, window in enumerate(windows):
            low, high = WINDOWS[window]
            words = f"{name}, {window}"
            panels.panel(row, column, words, image[rows], cmap="gray", vmin=low, vmax=high)
        if column:
            noise = image - hu
            added = "" if soft is None else f": SD {noise[soft].std():.0f} HU"
            grey = {"cmap": "gray", "vmin": -NOISE_HU, "vmax": NOISE_HU}
            panels.panel(last, column, f"{name} - full{added}", noise[rows], **grey)
    heat = {"cmap": "inferno", "vmin": 0}
    axes, image = panels.panel(last, 0, "SD that 1/4 dose adds, HU", sd_map[rows], **heat)
    place = axes.inset_axes((0.05, 0.15, 0.6, 0.03))
    bar = panels.figure.colorbar(image, cax=place, location="bottom")
    bar.ax.tick_params(colors="white", labelsize=9)
    bar.outline.set_edgecolor("white")
    panels.text(GAP, panels.high - 8, "Research use only, not a medical device.", 9)
    return panels.figure


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--patient")
    parser.add_argument("--slice", type=int)
    parser.add_argument("--synthetic", action="store_true")
    parser.add_argument("--output", type=Path, required=True)
    given = parser.parse_args()
    if given.synthetic == bool(given.folder and given.patient):
        parser.error("give a folder and --patient, or --synthetic")
    try:
        if given.synthetic:
            found = synthetic_slice(given.slice)
            body = np.flatnonzero(body_mask(found[0]).any(1))
            rows = slice(max(body[0] - 10, 0), body[-1] + 10)
            figure = draw(*found, rows, SYNTHETIC_SIDE, ["mediastinum"])
        else:
            found = slice_of(given.folder, given.patient, given.slice)
            figure = draw(*found, slice(None), SIDE, ["lung", "mediastinum"])
    except UserError as error:
        sys.exit(str(error))
    figure_to_png(figure, given.output)


if __name__ == "__main__":
    main()
