"""What does a slice look like at a half, a quarter and a tenth of its dose, and where is the noise?

python benchmarks/dose_pictures.py FOLDER --patient ID [--slice K] --output OUT
python benchmarks/dose_pictures.py --synthetic --output OUT     (docs/dose.png)

Photons are matched to the slice. Above: both windows at each dose (of the synthetic slice the body
alone, in the mediastinum window); below: the SD of the noise that a quarter of the dose adds, by
formula, and the noise alone (low - full). Pictures of patients stay with you: only the synthetic
one may be passed on.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np

from srgan.dataset import catalogue
from srgan.formats import readers
from srgan.hounsfield import WINDOWS
from srgan.lowdose import estimate_photons
from srgan.lowdose.projection_noise import Scanner, low_dose, noise_sd_hu, pixel_mm_of
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
    """(HU, spacing in mm, what to call it); by default the middle slice of the longest scan."""
    scans = [s for s in catalogue.find(folder).scans if s.patient_id == patient]
    if not scans:
        raise UserError(f"{folder} holds no usable scan of patient {patient}")
    scan = max(scans, key=lambda s: len(s.slices))
    n = len(scan.slices)
    k = n // 2 + 1 if number is None else number
    if not 1 <= k <= n:
        raise UserError(f"--slice {k}: {patient} has slices 1 to {n}")
    name = f"{patient}, slice {k} of {n} from the feet"
    return readers.reader(scan)(k - 1), scan.spacing_mm, name


def synthetic_slice(number: int | None):
    """The same of a synthetic chest; by default at the shoulders, where the streaks are."""
    k = 6 if number is None else number
    if not 1 <= k <= 6:
        raise UserError(f"--slice {k}: the synthetic chest has slices 1 to 6")
    volume, (x, y, _) = chest.chest(0, 1, 6)
    return volume[k - 1], (y, x), f"SYNTHETIC chest, slice {k} of 6 from the feet"


def draw(hu, spacing_mm: tuple[float, float], title: str, rows: slice, side: int, windows):
    """A matplotlib Figure: a column a dose, a row a window and one of the noise.

    hu: (rows, columns); rows: those shown; side: dots across a panel.
    """
    from matplotlib.figure import Figure

    scanner = Scanner()
    estimate = estimate_photons.estimate(hu, spacing_mm, scanner)
    photons = estimate.photons or estimate_photons.DEFAULT_PHOTONS
    if estimate.photons:
        whose = f"{photons:.2g} photons matched, estimated noise {estimate.sd_hu:.0f} HU"
    else:
        whose = f"{photons:.2g} photons, the default: too little soft tissue to match"
    images = {
        said: low_dose(hu, spacing_mm, dose, photons, scanner, generator_of(0, FIELDS, 0))
        for said, dose in DOSES.items()
    }
    spread = noise_sd_hu(hu, spacing_mm, photons, scanner, MAPPED)
    soft = estimate_photons.flat_soft_tissue(hu)
    last = len(windows)
    tall = round(side * len(hu[rows]) / hu.shape[1])
    wide, high = len(images) * (side + GAP) + GAP, HEAD + (last + 1) * (tall + LINE) + LINE
    figure = Figure((wide / DPI, high / DPI), dpi=DPI, facecolor="black")

    def text(x: float, y: float, words: str, size: float = 10, **more) -> None:
        figure.text(x / wide, 1 - y / high, words, color="white", size=size, **more)

    def panel(row: int, column: int, words: str, pixels: np.ndarray, **more):
        left, top = GAP + column * (side + GAP), HEAD + row * (tall + LINE)
        text(left, top + LINE - 7, words)
        box = (left / wide, 1 - (top + LINE + tall) / high, side / wide, tall / high)
        axes = figure.add_axes(box)
        axes.set_axis_off()
        smooth = "nearest" if side >= max(pixels.shape) else "antialiased"
        return axes, axes.imshow(pixels[rows], interpolation=smooth, **more)

    text(GAP, 20, title, 13, weight="bold")
    text(GAP, 42, f"{whose} at full dose; pixel {pixel_mm_of(spacing_mm):.3f} mm", 11)
    shades = [f"{w} {WINDOWS[w].low:g} to {WINDOWS[w].high:g} HU" for w in windows]
    shades = ", ".join([*shades, f"noise alone ±{NOISE_HU:g} HU"])
    text(GAP, 62, f"grey: {shades}; SD: in flat soft tissue", 11)
    for column, (said, image) in enumerate(images.items()):
        for row, window in enumerate(windows):
            shown = WINDOWS[window]
            words = f"{said}, {window}"
            panel(row, column, words, image, cmap="gray", vmin=shown.low, vmax=shown.high)
        if column:
            noise = image - hu
            added = "" if soft is None else f": SD {noise[soft].std():.0f} HU"
            words = f"{said} - full{added}"
            panel(last, column, words, noise, cmap="gray", vmin=-NOISE_HU, vmax=NOISE_HU)
    axes, shown = panel(last, 0, "SD that 1/4 dose adds, HU", spread, cmap="inferno", vmin=0)
    bar = figure.colorbar(shown, cax=axes.inset_axes((0.05, 0.15, 0.6, 0.03)), location="bottom")
    bar.ax.tick_params(colors="white", labelsize=9)
    bar.outline.set_edgecolor("white")
    text(GAP, high - 8, "Research use only, not a medical device.", 9)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
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
            inside = np.flatnonzero(body_mask(found[0]).any(1))
            rows = slice(max(inside[0] - 10, 0), inside[-1] + 10)
            drawn = draw(*found, rows, SYNTHETIC_SIDE, ["mediastinum"])
        else:
            found = slice_of(given.folder, given.patient, given.slice)
            drawn = draw(*found, slice(None), SIDE, ["lung", "mediastinum"])
    except UserError as error:
        sys.exit(str(error))
    figure_to_png(drawn, given.output)


if __name__ == "__main__":
    main()
