"""Draw a slice at a half, a quarter and a tenth of its dose, and its noise.

python benchmarks/dose_pictures.py FOLDER --patient ID --output OUT
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


def middle_slice(folder: Path, patient: str):
    """(HU, spacing in mm, title) of the patient's longest scan."""
    scan = common.largest_scans(folder).get(patient)
    if scan is None:
        raise UserError(f"{folder} holds no usable scan of patient {patient}")
    n = len(scan.slices)
    title = f"{patient}, slice {n // 2 + 1} of {n} from the feet"
    return readers.reader(scan)(n // 2), scan.spacing_mm, title


def synthetic_slice():
    """The same of a synthetic chest at the shoulders, where the streaks are."""
    volume, (x, y, _) = chest.chest(0, 1, 6)
    return volume[5], (y, x), "SYNTHETIC chest, slice 6 of 6 from the feet"


def panels(rows: int, columns: int, side: int, tall: int):
    """A black figure and its axes, each of side x tall dots with a line of text above."""
    from matplotlib.figure import Figure

    wide, high = columns * (side + GAP) + GAP, HEAD + rows * (tall + LINE) + LINE
    figure = Figure((wide / DPI, high / DPI), dpi=DPI, facecolor="black")
    place = {"left": GAP / wide, "right": 1 - GAP / wide, "wspace": GAP / side}
    place |= {"top": 1 - (HEAD + LINE) / high, "bottom": LINE / high, "hspace": LINE / tall}
    return figure, figure.subplots(rows, columns, gridspec_kw=place)


def show(axes, words: str, pixels: np.ndarray, **shades):
    axes.set_axis_off()
    axes.set_title(words, loc="left", color="white", size=10, pad=5)
    return axes.imshow(pixels, **shades)


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
    tall = round(side * len(hu[rows]) / hu.shape[1])
    figure, axes = panels(len(windows) + 1, len(images), side, tall)
    shades = [f"{w} {WINDOWS[w].low:g} to {WINDOWS[w].high:g} HU" for w in windows]
    shades = ", ".join([*shades, f"noise alone ±{NOISE_HU:g} HU"])
    head = f"{source} at full dose; pixel {pixel_mm_of(spacing_mm):.3f} mm\n"
    head += f"grey: {shades}; SD: in flat soft tissue"
    figure.text(0.006, 0.985, title, color="white", size=13, weight="bold", va="top")
    figure.text(0.006, 1 - HEAD / figure.bbox.height, head, color="white", size=11)
    figure.text(0.006, 0.02, "Research use only, not a medical device.", color="white", size=9)
    for (*above, below), (name, image) in zip(axes.T, images.items(), strict=True):
        for panel, window in zip(above, windows, strict=True):
            low, high = WINDOWS[window]
            show(panel, f"{name}, {window}", image[rows], cmap="gray", vmin=low, vmax=high)
        if image is not hu:
            noise = image - hu
            added = "" if soft is None else f": SD {noise[soft].std():.0f} HU"
            grey = {"cmap": "gray", "vmin": -NOISE_HU, "vmax": NOISE_HU}
            show(below, f"{name} - full{added}", noise[rows], **grey)
    corner = axes[-1, 0]
    heat = show(corner, "SD that 1/4 dose adds, HU", sd_map[rows], cmap="inferno", vmin=0)
    place = corner.inset_axes((0.05, 0.15, 0.6, 0.03))
    bar = figure.colorbar(heat, cax=place, location="bottom")
    bar.ax.tick_params(colors="white", labelsize=9)
    bar.outline.set_edgecolor("white")
    return figure


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--patient")
    parser.add_argument("--synthetic", action="store_true")
    parser.add_argument("--output", type=Path, required=True)
    given = parser.parse_args()
    if given.synthetic == bool(given.folder and given.patient):
        parser.error("give a folder and --patient, or --synthetic")
    try:
        if given.synthetic:
            found = synthetic_slice()
            body = np.flatnonzero(body_mask(found[0]).any(1))
            rows = slice(max(body[0] - 10, 0), body[-1] + 10)
            figure = draw(*found, rows, SYNTHETIC_SIDE, ["mediastinum"])
        else:
            found = middle_slice(given.folder, given.patient)
            figure = draw(*found, slice(None), SIDE, ["lung", "mediastinum"])
    except UserError as error:
        sys.exit(str(error))
    figure_to_png(figure, given.output)


if __name__ == "__main__":
    main()
