"""Measure the inserted noise, and compare it with the noise of a real low-dose scan.

python benchmarks/dose_metrics.py FOLDER [--dose 0.25] [--slices 3]
python benchmarks/dose_metrics.py --pair FULL LOW [--dose 0.25]

The first form takes slices evenly from each patient and measures low - full: projection noise with
matched photons, and image noise of the same SD in soft tissue. The second takes two folders, each
with one series of the same slices, at full and at low dose. It measures the real low - full beside
that of the model, which is given the full-dose slice only. The model is run four times a slice.

SD of low - full in HU, both clipped to [-1024, 3071] as in files. soft: the flatter half of the
soft tissue (lowdose/estimate_photons.py). core, rim: soft tissue more than 80 and less than 40 mm
from the skin. air: outside the body, without padding. 4x4: SD of 4x4 means over SD, in the body.
NPS in 1/mm (metrics/noise_power.py): half-overlapping boxes of 64 pixels inside the body, or of 32
where none fits. PSNR in dB, by window. All are means over the slices.
"""

import contextlib
import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
from scipy import ndimage

from benchmarks import common
from srgan.formats import readers
from srgan.hounsfield import HU_MAX, HU_MIN, HU_SPAN, WINDOWS, hu_to_fraction
from srgan.lowdose import estimate_photons, image_noise
from srgan.lowdose.projection_noise import low_dose, pixel_mm_of
from srgan.lowdose.scanner import Scanner
from srgan.masks import body_mask, lung_mask
from srgan.metrics import noise_power, similarity
from srgan.random_streams import FIELDS, generator_of
from srgan.resampling import area_mean
from srgan.system.errors import UserError
from srgan.whole_scans import single_scan

REALISATIONS = 4
CORE_MM, RIM_MM = 80, 40  # from the skin
FEWEST = 500  # pixels of a region
BOXES = 64, 32  # pixels across those of the NPS
SIGMA = 0.002  # Gaussian part of the image noise, of 4095 HU
SAME_PLACE_MM = 0.1
SCANNER = Scanner()
SDS = ("soft", "core", "rim", "lung", "air")
RATIOS = ("air:soft", "core:rim", "4x4")
NAMES = dict.fromkeys(SDS, ".1f") | dict.fromkeys(RATIOS, ".2f")


def regions(hu: np.ndarray, pixel_mm: float) -> dict[str, np.ndarray]:
    """Masks by name; some may be empty."""
    body = body_mask(hu)
    flat = estimate_photons.flat_soft_tissue(hu)
    smooth = ndimage.gaussian_filter(
        np.clip(hu, -1024, 400).astype(np.float32), estimate_photons.SMOOTH_PX
    )
    low, high = estimate_photons.SOFT_TISSUE_HU
    soft = body & ndimage.binary_erosion((smooth > low) & (smooth < high), iterations=3)
    depth = ndimage.distance_transform_edt(body) * pixel_mm
    outside = ~ndimage.binary_dilation(body, iterations=10)
    return {
        "soft": np.zeros_like(body) if flat is None else flat,
        "core": soft & (depth > CORE_MM),
        "rim": soft & (depth < RIM_MM),
        "lung": lung_mask(hu),
        "air": outside & (smooth < -950) & (smooth > -1022),
        "body": body,
    }


def sds(noise: np.ndarray, masks: dict[str, np.ndarray]) -> dict[str, float]:
    """SD by region, and their ratios; NaN where a region is too small."""
    found = {}
    for name in SDS:
        inside = noise[masks[name]]
        found[name] = float(inside.std()) if len(inside) >= FEWEST else np.nan
    rows, columns = (n // 4 * 4 for n in noise.shape)
    cut = noise[:rows, :columns]
    whole = area_mean(masks["body"][:rows, :columns].astype(np.float32), 4) == 1
    fine = cut[whole.repeat(4, 0).repeat(4, 1)]
    return found | {
        "air:soft": found["air"] / found["soft"],
        "core:rim": found["core"] / found["rim"],
        "4x4": float(area_mean(cut, 4)[whole].std() / fine.std()) if whole.any() else np.nan,
    }


class Noise:
    """The metrics of one kind of noise, collected over the slices of a scan."""

    def __init__(self, pixel_mm: float):
        self.pixel_mm = pixel_mm
        self.sds, self.psnr, self.images = [], [], []

    def add(self, full: np.ndarray, low: np.ndarray, masks: dict[str, np.ndarray]) -> None:
        low = np.clip(low, HU_MIN, HU_MAX).astype(np.float32)
        self.sds.append(sds(low - full, masks))
        self.images.append((low - full, masks["body"]))
        self.psnr.append(
            [similarity.psnr_db(output=low, reference=full, window=w) for w in WINDOWS.values()]
        )

    def mean(self) -> dict[str, float]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # no slice with that region
            return {name: float(np.nanmean([x[name] for x in self.sds])) for name in NAMES}

    def spectrum(self) -> tuple[float, float, float, int]:
        """Peak, half and mean of the mean NPS, 1/mm, and the box in pixels; NaN where none fits."""
        for box in BOXES:
            found = []
            for noise, body in self.images:
                with contextlib.suppress(ValueError):  # no box fits
                    found.append(noise_power.nps(noise, pixel_mm=self.pixel_mm, box=box, mask=body))
            if found:
                mean = found[0]._replace(power=np.mean([each.power for each in found], 0))
                # White noise has no peak.
                peak = np.nan if np.isnan(mean.half) else mean.peak
                return peak, mean.half, mean.mean, box
        return np.nan, np.nan, np.nan, 0

    def line(self, name: str) -> str:
        *frequencies, box = self.spectrum()
        text = common.line(f"  {name:11}", self.mean(), NAMES, 9)
        text += "".join(f"{f:7.3f}" for f in frequencies).replace("nan", "  -") + f"{box:5}"
        return text + "".join(f"{v:7.1f}" for v in np.mean(self.psnr, 0))


HEAD = f"{'':13}{'SD in HU':>45}{'':27}{'NPS in 1/mm':>21}{'':5}{'PSNR in dB':>21}\n{'':13}"
HEAD += "".join(f"{name:>9}" for name in NAMES)
HEAD += f"{'peak':>7}{'half':>7}{'mean':>7}{'box':>5}{'full':>7}{'lung':>7}{'medi.':>7}"


def compare(slices, spacing_mm: tuple[float, float], dose: float) -> None:
    """Print the metrics of slices of one scan: each (full, the real low dose or None) in HU."""
    real = slices[0][1] is not None
    kinds = ("real", "projection", "image") if real else ("projection", "image")
    noise = {kind: Noise(pixel_mm_of(spacing_mm)) for kind in kinds}
    estimates = []
    for k, (full, low) in enumerate(slices):
        estimate = estimate_photons.estimate(full, spacing_mm, SCANNER)
        if estimate.photons is not None:
            estimates.append(estimate)
            rng = generator_of(0, FIELDS, k)
            add_slice(noise, full, low, spacing_mm, dose, estimate.photons, rng)
    if not estimates:
        print("  no slice with enough flat soft tissue")
        return
    photons = np.array([e.photons for e in estimates])
    own = np.mean([e.sd_hu for e in estimates])
    print(
        f"  {len(estimates)} slices, {pixel_mm_of(spacing_mm):.3f} mm; photons "
        f"{np.median(photons):.2g} ({photons.min():.2g} to {photons.max():.2g}); estimated SD at "
        f"full dose {own:.1f} HU"
    )
    for kind in kinds:
        print(noise[kind].line(kind))
    if real:
        ours, theirs = noise["projection"].mean(), noise["real"].mean()
        ratios = {name: ours[name] / theirs[name] for name in NAMES}
        print(common.line(f"  {'model:real':11}", ratios, dict.fromkeys(NAMES, ".2f"), 9))
        expected = theirs["soft"] / np.sqrt(1 / dose - 1)
        print(
            f"  estimated SD at full dose : real one, if all the noise were quantum noise: "
            f"{own / expected:.2f}"
        )


def add_slice(noise: dict[str, Noise], full, low, spacing_mm, dose, photons, rng) -> None:
    """Add one slice to each kind of noise. low: the real low dose, or None."""
    masks = regions(full, noise["image"].pixel_mm)
    full = full.astype(np.float32)
    if low is not None:
        noise["real"].add(full, low, masks)
    for _ in range(REALISATIONS):
        modelled = low_dose(full, spacing_mm, dose, photons, SCANNER, rng)
        noise["projection"].add(full, modelled, masks)
    sd = np.mean([x["soft"] for x in noise["projection"].sds[-REALISATIONS:]])
    x = hu_to_fraction(full[masks["soft"]].mean())
    noise_lambda = x / ((sd / HU_SPAN) ** 2 - SIGMA**2)
    for _ in range(REALISATIONS):
        noise["image"].add(full, image_noise.add_noise(full, noise_lambda, SIGMA, rng), masks)


def by_patient(folder: Path, count: int, dose: float) -> None:
    print(HEAD)
    for patient, scan in common.largest_scans(folder).items():
        n = len(scan.slices)
        chosen = sorted({int((i + 0.5) * n / min(count, n)) for i in range(min(count, n))})
        read = readers.reader(scan)
        print(f"{patient}, {scan.kernel or 'kernel unknown'}", flush=True)
        compare([(read(i), None) for i in chosen], scan.spacing_mm, dose)


def by_pair(folders: list[Path], dose: float) -> None:
    full, low = (single_scan.find(folder)[0] for folder in folders)
    read_full, read_low = readers.reader(full), readers.reader(low)
    grids = [(s.kind, s.rows, s.columns, s.spacing_mm) for s in (full, low)]
    if grids[0] != grids[1] or full.kind != "dicom":
        raise UserError("give two DICOM series of one size and spacing")
    slices = [
        (read_full(i), read_low(j))
        for i, a in enumerate(full.slices)
        for j, b in enumerate(low.slices)
        if abs(a.z_mm - b.z_mm) < SAME_PLACE_MM
    ]
    if not slices:
        raise UserError("no slice of the two series lies in the same place")
    print(HEAD)
    compare(slices, full.spacing_mm, dose)


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--pair", type=Path, nargs=2, metavar=("FULL", "LOW"))
    parser.add_argument("--dose", type=float, default=0.25)
    parser.add_argument("--slices", type=int, default=3, help="of each patient")
    given = parser.parse_args()
    if (given.folder is None) == (given.pair is None):
        parser.error("give a folder of scans, or --pair")
    try:
        if given.pair:
            by_pair(given.pair, given.dose)
        else:
            by_patient(given.folder, given.slices, given.dose)
    except UserError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
