"""Check the projection noise on phantoms where the right answer is known.

python benchmarks/dose_phantoms.py [--realisations 24]

Pixels of 0.70 mm. Water: a cylinder of 30 cm. Thorax: 340 x 230 mm. Counted: a scan made photon by
photon, with electronic noise, before the logarithm. Inserted: the noise of the model on top of a
counted full-dose scan, which also gives the path lengths.
"""

import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
from scipy import ndimage

from benchmarks import common
from srgan.lowdose import estimate_photons, projection_noise
from srgan.lowdose.projector import filtered, projector
from srgan.lowdose.scanner import Scanner
from srgan.metrics import noise_power
from srgan.resampling import area_mean
from tests.helpers import dose_phantoms
from tests.helpers.dose_phantoms import SPACING, counted, sd_over

MM = SPACING[0]
DEFAULT, QUIET = Scanner(), Scanner(electronic_noise=0.0)


def distance(pixel_mm: float = MM) -> np.ndarray:
    """Of each pixel from the centre, mm."""
    return np.hypot(*(np.mgrid[:512, :512] - 255.5)) * pixel_mm


def water_without_noise(hu: np.ndarray) -> None:
    lines = projection_noise.attenuation(hu, MM, replace(QUIET, bowtie=0.0))[None]
    back = filtered(projector(512, 360), lines, QUIET.filter_cutoff * MM)[0]
    error = back * QUIET.hu_per_line(MM) - 1000
    print(
        f"water without noise: centre {error[distance() < 50].mean():+.2f} HU, "
        f"worst pixel within 140 mm {np.abs(error[distance() < 140]).max():.1f} HU"
    )


def noise_level_of_water(hu: np.ndarray, n: int, rng) -> None:
    centre = distance() < 50
    quantum, _ = projection_noise.unit_variance(hu, SPACING, QUIET)
    for photons in (1e6, 1e5):
        images = np.array([counted(hu, MM, photons, QUIET, rng)[0] for _ in range(n)])
        formula = np.sqrt(quantum[centre].mean() / photons)
        print(
            f"water, {photons:g} photons: SD in the centre by counting "
            f"{sd_over(images, centre):.1f} HU, by formula {formula:.1f} HU; mean of counting "
            f"{images[:, centre].mean():+.2f} HU"
        )
    sds = {1.0: sd_over(images, centre)}
    for dose in (0.5, 0.25, 0.1):
        low = [projection_noise.low_dose(x, SPACING, dose, photons, QUIET, rng) for x in images]
        sds[dose] = sd_over(low, centre)
    slope = np.polyfit(np.log(list(sds)), np.log(list(sds.values())), 1)[0]
    print(f"water, {photons:g} photons, inserted: log SD on log dose has slope {slope:.3f}")


def geometry_of_water() -> None:
    print("water, 1e6 photons: SD that half the dose adds in the centre, HU")
    for mm, views in ((0.6, 360), (0.8, 360), (0.95, 360), (0.7, 180), (0.7, 720)):
        scanner, hu = replace(QUIET, views=views), dose_phantoms.water(pixel_mm=mm)
        sd = projection_noise.noise_sd_hu(hu, (mm, mm), 1e6, scanner, 0.5)
        print(f"  {mm:g} mm, {views} views: {sd[distance(mm) < 50].mean():.1f}")
    print("water: SD at 100 mm, at 140 mm and in air at 170 mm over that of the centre")
    for bowtie in (0, 0.25, 0.5, 1):
        scanner = replace(QUIET, bowtie=bowtie)
        sd = projection_noise.noise_sd_hu(dose_phantoms.water(), SPACING, 1e6, scanner, 0.5)
        rings = [sd[np.abs(distance() - r) < 3].mean() for r in (100, 140, 170)]
        ratios = np.array(rings) / sd[distance() < 20].mean()
        print(f"  bowtie {bowtie:g}: {ratios.round(2)}")


def texture_of_water(hu: np.ndarray, n: int, rng) -> None:
    inside = distance() < 100
    for cutoff in (0.57, 0.74, 0.86):
        scanner = replace(QUIET, filter_cutoff=cutoff)
        scans = [projection_noise.noise_fields(hu, SPACING, 1e6, scanner, 1, rng) for _ in range(n)]
        noise = np.array([fields.quantum for fields in scans])
        nps = noise_power.nps(noise, pixel_mm=MM, mask=inside)
        kept = sd_over(area_mean(noise, 4), inside[1::4, 1::4]) / sd_over(noise, inside)
        print(
            f"water, Hann {cutoff:g}/mm: SD {sd_over(noise, inside):.1f} HU, NPS peak "
            f"{nps.peak:.3f}, half {nps.half:.3f}, mean {nps.mean:.3f} /mm; "
            f"4x4 means keep {kept:.2f} of the SD"
        )


def insertion_in_thorax(n: int, rng) -> None:
    hu, masks, photons = dose_phantoms.thorax(), dose_phantoms.regions(), 3e5
    depth = projection_noise.attenuation(hu, MM, DEFAULT)

    def scans(dose: float) -> list[np.ndarray]:
        return [counted(hu, MM, photons, DEFAULT, rng, (dose,), depth)[0] for _ in range(n)]

    full = scans(1.0)
    for dose in (0.5, 0.25, 0.1):
        truth = scans(dose)
        low = [projection_noise.low_dose(x, SPACING, dose, photons, DEFAULT, rng) for x in full]
        ratios = {name: sd_over(low, m) / sd_over(truth, m) for name, m in masks.items()}
        print(
            f"thorax, {photons:g} photons, dose {dose:g}: SD in the heart "
            f"{sd_over(low, masks['heart']):.1f} HU; inserted over counted "
            + ", ".join(f"{name} {ratio:.3f}" for name, ratio in ratios.items())
        )


def photons_of_thorax(rng) -> None:
    """With smooth blobs of 12 HU in the soft tissue: anatomy that must not be taken for noise."""
    hu = dose_phantoms.thorax()
    blobs = ndimage.gaussian_filter(rng.standard_normal(hu.shape), 12)
    hu += np.where((hu > 0) & (hu < 60), 12 * blobs / blobs.std(), 0).astype(np.float32)
    for scanner in (QUIET, DEFAULT):
        for photons in (3e6, 1e6, 3e5, 1e5):
            images = [np.rint(counted(hu, MM, photons, scanner, rng)[0]) for _ in range(4)]
            found = [estimate_photons.estimate(image, SPACING, scanner) for image in images]
            ratios = [each.photons / photons for each in found]
            print(
                f"matching, {photons:g} photons, electronic noise {scanner.electronic_noise:g}: "
                f"SD {found[0].sd_hu:.1f} HU, estimated over true photons {min(ratios):.2f} to "
                f"{max(ratios):.2f}"
            )


def starvation(rng) -> None:
    spacing, hu = (0.75, 0.75), dose_phantoms.starvation()
    rows, columns = (np.mgrid[:512, :512] - 255.5) * 0.75
    between = (np.abs(columns) < 50) & (np.abs(rows) < 15)
    for dose in (0.5, 0.25, 0.1):
        low = projection_noise.low_dose(hu, spacing, dose, 3e5, DEFAULT, rng) - hu
        along, across = (ndimage.uniform_filter1d(low, 21, axis=a)[between].std() for a in (1, 0))
        print(
            f"starved, dose {dose:g}: SD between the inserts {low[between].std():.0f} HU, SD of "
            f"21-pixel means along over across {along / across:.1f}, all finite: "
            f"{np.isfinite(low).all()}"
        )
    for lowest in (0.5, 0.25, 0.1, 0.05):
        fields = projection_noise.noise_fields(hu, spacing, 3e5, DEFAULT, lowest, rng)
        low = projection_noise.insert(hu, fields, 0.5) - hu
        print(
            f"starved, dose 0.5 of fields for {lowest:g} and up: SD {low[between].std():.0f} HU; "
            f"{fields.at_floor:.1%} of the readings at the floor"
        )


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--realisations", type=int, default=24)
    n, rng = parser.parse_args().realisations, np.random.default_rng(0)
    hu = dose_phantoms.water()
    water_without_noise(hu)
    noise_level_of_water(hu, n, rng)
    geometry_of_water()
    texture_of_water(hu, n, rng)
    insertion_in_thorax(n, rng)
    photons_of_thorax(rng)
    starvation(rng)


if __name__ == "__main__":
    main()
