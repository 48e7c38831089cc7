"""What does the inserted noise look like in figures, and is it that of a real low-dose scan?

python benchmarks/dose_figures.py FOLDER [--dose 0.25] [--slices 3]
python benchmarks/dose_figures.py --pair FULL LOW [--dose 0.25]

The first takes slices of each patient, evenly, and tells of low - full: projection noise of matched
photons, and image noise of the same SD in soft tissue. The second takes two folders of one series
each, the same slices at full and at low dose, and tells of the real low - full beside the model's,
which knows the full-dose slice alone. Model noise is drawn four times a slice.

SD of low - full in HU, both clipped to [-1024, 3071] as files are. soft: the flatter half of the
soft tissue (lowdose/estimate_photons.py); core, rim: soft tissue over 80 and under 40 mm from the
skin; air: outside the body, no padding. 4x4: SD of 4x4 means over SD, in the body. NPS in 1/mm:
boxes inside the body, 64 pixels across (32 where none fits), half overlapping, less their mean;
peak by a parabola through three bins; half: where it has fallen to half behind the peak; mean: of
the frequency over the plane (metrics/noise_power.py). PSNR in dB, by window. Means over the slices.
"""

import argparse
import contextlib
import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
from scipy import ndimage

from srgan.dataset import catalogue
from srgan.formats import readers
from srgan.formats.scan import Scan
from srgan.hounsfield import HU_MAX, HU_MIN, HU_SPAN, WINDOWS, hu_to_fraction
from srgan.lowdose import estimate_photons, image_noise
from srgan.lowdose.projection_noise import Scanner, low_dose, pixel_mm_of
from srgan.masks import body_mask, lung_mask
from srgan.metrics import noise_power, similarity
from srgan.random_streams import FIELDS, generator_of
from srgan.resampling import area_mean
from srgan.system.errors import UserError

REALISATIONS = 4
CORE_MM, RIM_MM = 80, 40  # from the skin
FEWEST = 500  # pixels of a region
BOXES = 64, 32  # pixels across those of the NPS
SIGMA = 0.002  # Gaussian part of the image noise, of 4095 HU
SAME_PLACE_MM = 0.1
COLUMNS = ("soft", "core", "rim", "lung", "air", "air:soft", "core:rim", "4x4")


def regions(hu: np.ndarray, pixel_mm: float) -> dict[str, np.ndarray]:
    """Masks by name; some may be empty."""
    body = body_mask(hu)
    flat = estimate_photons.flat_soft_tissue(hu)
    calm = ndimage.gaussian_filter(
        np.clip(hu, -1024, 400).astype(np.float32), estimate_photons.SMOOTH_PX
    )
    low, high = estimate_photons.SOFT_TISSUE_HU
    soft = body & ndimage.binary_erosion((calm > low) & (calm < high), iterations=3)
    depth = ndimage.distance_transform_edt(body) * pixel_mm
    outside = ~ndimage.binary_dilation(body, iterations=10)
    return {
        "soft": np.zeros_like(body) if flat is None else flat,
        "core": soft & (depth > CORE_MM),
        "rim": soft & (depth < RIM_MM),
        "lung": lung_mask(hu),
        "air": outside & (calm < -950) & (calm > -1022),
        "body": body,
    }


def figures(noise: np.ndarray, masks: dict[str, np.ndarray]) -> dict[str, float]:
    """SD by region and what follows from it; NaN where a region is too small."""

    def sd(name: str) -> float:
        inside = noise[masks[name]]
        return float(inside.std()) if len(inside) >= FEWEST else np.nan

    found = {name: sd(name) for name in ("soft", "core", "rim", "lung", "air")}
    found["air:soft"] = found["air"] / found["soft"]
    found["core:rim"] = found["core"] / found["rim"]
    rows, columns = (n // 4 * 4 for n in noise.shape)
    cut = noise[:rows, :columns]
    whole = area_mean(masks["body"][:rows, :columns].astype(np.float32), 4) == 1
    fine = cut[whole.repeat(4, 0).repeat(4, 1)]
    found["4x4"] = float(area_mean(cut, 4)[whole].std() / fine.std()) if whole.any() else np.nan
    return found


class Noise:
    """Figures of one kind of noise, gathered over the slices of a scan."""

    def __init__(self, pixel_mm: float):
        self.pixel_mm = pixel_mm
        self.found, self.psnr, self.images = [], [], []

    def add(self, full: np.ndarray, low: np.ndarray, masks: dict[str, np.ndarray]) -> None:
        low = np.clip(low, HU_MIN, HU_MAX).astype(np.float32)
        self.found.append(figures(low - full, masks))
        self.images.append((low - full, masks["body"]))
        self.psnr.append(
            [similarity.psnr_db(output=low, reference=full, window=w) for w in WINDOWS.values()]
        )

    def mean(self) -> dict[str, float]:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # no slice with that region
            return {name: float(np.nanmean([f[name] for f in self.found])) for name in COLUMNS}

    def spectrum(self) -> tuple[float, float, float, int]:
        """Peak, half and mean of the mean NPS, 1/mm, and the boxes' side; NaN where none fits."""
        for box in BOXES:
            found = []
            for noise, body in self.images:
                with contextlib.suppress(ValueError):  # no box fits
                    found.append(noise_power.nps(noise, pixel_mm=self.pixel_mm, box=box, mask=body))
            if found:
                power = np.mean([one.power for one in found], 0)
                mean = found[0]._replace(power=power)
                return mean.peak, mean.half, mean.mean, box
        return np.nan, np.nan, np.nan, 0

    def line(self, name: str) -> str:
        numbers = self.mean()
        peak, half, mean, box = self.spectrum()
        peak = np.nan if np.isnan(half) else peak  # white noise has none
        text = f"  {name:11}" + "".join(f"{numbers[c]:9.1f}" for c in COLUMNS[:5])
        text += "".join(f"{numbers[c]:9.2f}" for c in COLUMNS[5:])
        text += f"{peak:7.3f}{half:7.3f}{mean:7.3f}{box:5}"
        text += "".join(f"{v:7.1f}" for v in np.mean(self.psnr, 0))
        return text.replace("nan", "  -")


HEAD = f"{'':13}{'SD in HU':>45}{'':27}{'NPS in 1/mm':>21}{'':5}{'PSNR in dB':>21}\n{'':13}"
HEAD += "".join(f"{name:>9}" for name in COLUMNS)
HEAD += f"{'peak':>7}{'half':>7}{'mean':>7}{'box':>5}{'full':>7}{'lung':>7}{'medi.':>7}"


def compare(slices, spacing_mm: tuple[float, float], dose: float, scanner: Scanner) -> None:
    """Print the figures of slices of one scan: (full, None or the real low dose) in HU each."""
    pixel_mm = pixel_mm_of(spacing_mm)
    masks = [regions(full, pixel_mm) for full, _ in slices]
    real = slices[0][1] is not None
    kinds = ("real", "projection", "image") if real else ("projection", "image")
    noise = {kind: Noise(pixel_mm) for kind in kinds}
    estimates = []
    for k, ((full, low), inside) in enumerate(zip(slices, masks, strict=True)):
        estimate = estimate_photons.estimate(full, spacing_mm, scanner)
        if estimate.photons is None:
            continue
        estimates.append(estimate)
        rng = generator_of(0, FIELDS, k)
        full = full.astype(np.float32)
        if real:
            noise["real"].add(full, low, inside)
        for _ in range(REALISATIONS):
            modelled = low_dose(full, spacing_mm, dose, estimate.photons, scanner, rng)
            noise["projection"].add(full, modelled, inside)
        sd = np.mean([found["soft"] for found in noise["projection"].found[-REALISATIONS:]])
        x = hu_to_fraction(full[inside["soft"]].mean())
        photons = x / ((sd / HU_SPAN) ** 2 - SIGMA**2)
        for _ in range(REALISATIONS):
            noise["image"].add(full, image_noise.add_noise(full, photons, SIGMA, rng), inside)
    if not estimates:
        print("  no slice with enough flat soft tissue")
        return
    photons = np.array([e.photons for e in estimates])
    own = np.mean([e.sd_hu for e in estimates])
    print(
        f"  {len(estimates)} slices, {pixel_mm:.3f} mm; photons {np.median(photons):.2g} "
        f"({photons.min():.2g} to {photons.max():.2g}); estimated SD at full dose {own:.1f} HU"
    )
    for kind in kinds:
        print(noise[kind].line(kind))
    if real:
        ours, theirs = noise["projection"].mean(), noise["real"].mean()
        ratios = "".join(f"{ours[c] / theirs[c]:9.2f}" for c in COLUMNS)
        print(f"  {'model:real':11}{ratios}".replace("nan", "  -"))
        expected = theirs["soft"] / np.sqrt(1 / dose - 1)
        print(
            f"  estimated SD at full dose : real one, had all the noise been quantum noise: "
            f"{own / expected:.2f}"
        )


def by_patient(folder: Path, count: int, dose: float, scanner: Scanner) -> None:
    largest: dict[str, Scan] = {}
    for scan in catalogue.find(folder).scans:
        kept = largest.setdefault(scan.patient_id, scan)
        if len(scan.slices) > len(kept.slices):
            largest[scan.patient_id] = scan
    print(HEAD)
    for patient, scan in sorted(largest.items()):
        n = len(scan.slices)
        chosen = sorted({int((i + 0.5) * n / min(count, n)) for i in range(min(count, n))})
        read = readers.reader(scan)
        print(f"{patient}, {scan.kernel or 'kernel unknown'}", flush=True)
        compare([(read(i), None) for i in chosen], scan.spacing_mm, dose, scanner)


def series_of(folder: Path) -> Scan:
    found = catalogue.find(folder)
    if not found.scans:
        raise UserError(catalogue.nothing_usable_message(found))
    if len(found.scans) > 1:
        raise UserError(f"{folder} holds {len(found.scans)} series: give a folder with one")
    return found.scans[0]


def by_pair(folders: list[Path], dose: float, scanner: Scanner) -> None:
    full, low = (series_of(folder) for folder in folders)
    read_full, read_low = readers.reader(full), readers.reader(low)
    places = [[(s.rows, s.columns, s.spacing_mm), s.kind] for s in (full, low)]
    if places[0] != places[1] or full.kind != "dicom":
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
    compare(slices, full.spacing_mm, dose, scanner)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--pair", type=Path, nargs=2, metavar=("FULL", "LOW"))
    parser.add_argument("--dose", type=float, default=0.25)
    parser.add_argument("--slices", type=int, default=3, help="of each patient")
    given = parser.parse_args()
    if (given.folder is None) == (given.pair is None):
        parser.error("give a folder of scans, or --pair")
    try:
        if given.pair:
            by_pair(given.pair, given.dose, Scanner())
        else:
            by_patient(given.folder, given.slices, given.dose, Scanner())
    except UserError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
