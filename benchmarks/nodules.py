"""Count nodules that are called vanished or new where the truth is known.

python benchmarks/nodules.py [FOLDER]

Discs of known contrast and diameter are put into the lung of synthetic chests, and of FOLDER, the
scan of one validation patient. Vanished: what bicubic makes of the low dose with the disc, and of
the same low dose without it. New: discs put into the normal dose, and what is found where noise
alone was added or the low dose was enlarged.
"""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
from scipy import ndimage

from benchmarks.common import slices_of
from srgan.evaluation import baselines
from srgan.evaluation.study_slice import StudySlice, make_pair
from srgan.lowdose.degradation import Degradation
from srgan.lowdose.levels import Levels
from srgan.lowdose.projection_noise import ProjectionNoise
from srgan.lowdose.scanner import Scanner
from srgan.masks import lung_mask
from srgan.metrics.nodule_metrics import (
    BLOB_HU,
    NoduleInSlice,
    NoduleRegion,
    is_visible,
    measure,
    new_blobs,
)
from srgan.phantom import chest
from tests.helpers import made_nodules
from tests.helpers.made_structure import IMAGE_NOISE

Slices = list[tuple[np.ndarray, tuple[float, float]]]  # float32 HU, and spacing in mm

PHOTONS = 3e5
KINDS_HU = {"solid": 880.0, "ground glass": 250.0}
SHARES = (0.2, 0.3, 0.4, 0.5)


def projected(dose: float, scale: int) -> Degradation:
    return Degradation(ProjectionNoise(Levels((dose,)), PHOTONS, None, Scanner()), scale)


def chests() -> Iterator[tuple[np.ndarray, tuple[float, float]]]:
    for patient in range(5):
        volume, (x, y, _) = chest.chest(0, patient, 4)
        yield from ((hu, (y, x)) for hu in volume[1:3])


def pair(hu, spacing_mm, degradation: Degradation, key: int) -> tuple[np.ndarray, np.ndarray]:
    """(normal dose, low dose)."""
    return make_pair(StudySlice("P", 1, spacing_mm, key, lambda: hu, PHOTONS), degradation, 0)


def added(hu: np.ndarray, nodule: NoduleInSlice, contrast_hu: float, spacing_mm) -> np.ndarray:
    """The slice with a disc, blurred as a slice is."""
    place = nodule.row_px, nodule.column_px, nodule.diameter_mm
    disc = made_nodules.disc(hu.shape, *place, spacing_mm)
    return hu + contrast_hu * ndimage.gaussian_filter(disc, 0.8)


def placed(slices: Slices, diameter_mm: float, rng) -> Iterator[tuple]:
    """(HU, spacing in mm, nodule at a random place of the lung), each slice twice."""
    for hu, spacing_mm in [*slices, *slices]:
        margin_px = int(diameter_mm / 2 / spacing_mm[0]) + 2
        free = np.argwhere(ndimage.binary_erosion(lung_mask(hu), iterations=margin_px))
        if len(free):
            row, column = free[rng.integers(len(free))] + rng.uniform(-0.5, 0.5, 2)
            yield hu, spacing_mm, NoduleInSlice(1, row, column, diameter_mm)


def contrast_left(slices: Slices, degradation, diameter, contrast_hu, rng) -> dict[str, list]:
    """Bicubic's contrast over that of the normal dose, with the disc and without it."""
    bicubic = baselines.classical(4)["bicubic"]
    left = {"there": [], "taken out": []}
    for hu, spacing, nodule in placed(slices, diameter, rng):
        key = int(rng.integers(2**60))
        with_disc = added(hu, nodule, contrast_hu, spacing)
        normal, low = pair(with_disc, spacing, degradation, key)
        region = NoduleRegion.around(nodule, lung_mask(normal), spacing)
        before = measure(normal, region)
        if is_visible(before):
            without = pair(hu, spacing, degradation, key)[1]
            for what, image in (("there", low), ("taken out", without)):
                after = measure(bicubic(image), region)
                left[what].append(after.contrast_hu / before.contrast_hu)
    return left


def vanished(slices: Slices, rng) -> None:
    print(f"{'contrast left under':36}" + "".join(f"{share:>14}" for share in SHARES))
    noises = {"lambda 1700": IMAGE_NOISE, "a tenth of the dose": projected(0.1, 4)}
    for name, degradation in noises.items():
        for kind, contrast_hu in KINDS_HU.items():
            for diameter in (3.0, 4.0, 6.0, 9.0):
                left = contrast_left(slices, degradation, diameter, contrast_hu, rng)
                for what, ratios in left.items():
                    counts = "".join(f"{np.mean(np.array(ratios) < s):14.2f}" for s in SHARES)
                    title = f"{kind} {diameter:g} mm, {name}, {what}"
                    print(f"{title:50}{len(ratios):4}{counts}", flush=True)


def found(slices: Slices, rng) -> None:
    print("discs put into the normal dose and found")
    for diameter in (4.0, 6.0, 9.0, 12.0):
        for contrast_hu in (100.0, 200.0, 300.0, 500.0):
            hits = []
            for hu, spacing, nodule in placed(slices, diameter, rng):
                output = added(hu, nodule, contrast_hu, spacing)
                places = new_blobs(output, hu, lung_mask(hu), spacing)
                distances = [
                    np.hypot(r - nodule.row_px, c - nodule.column_px) * spacing[0]
                    for r, c, _ in places
                ]
                hits.append(any(distance <= 4 for distance in distances))
            shown = f"{np.mean(hits):.2f} of {len(hits)}"
            print(f"{diameter:g} mm, {contrast_hu:g} HU: {shown}", flush=True)


def false_ones(slices: Slices, rng) -> None:
    print(f"found a slice where nothing was put in, response over {BLOB_HU:g} HU")
    bicubic, means = baselines.classical(4)["bicubic"], baselines.non_local_means(4, 20.0)
    methods = {
        "half the dose": lambda hu, mm, key: pair(hu, mm, projected(0.5, 1), key)[1],
        "a quarter of the dose": lambda hu, mm, key: pair(hu, mm, projected(0.25, 1), key)[1],
        "bicubic": lambda hu, mm, key: bicubic(pair(hu, mm, IMAGE_NOISE, key)[1]),
        "non-local means": lambda hu, mm, key: means(pair(hu, mm, IMAGE_NOISE, key)[1]),
    }
    for name, method in methods.items():
        counts, added = [], []
        for hu, spacing in slices:
            key, lung = int(rng.integers(2**60)), lung_mask(hu)
            output = method(hu, spacing, key)
            counts.append(len(new_blobs(output, hu, lung, spacing)))
            added.append((output - hu)[lung].std())
        shown = f"{np.mean(counts):.2f} in {len(counts)} slices"
        print(f"{name}: {shown}, SD added in lung {np.mean(added):.0f} HU", flush=True)


def main(sets: dict[str, Iterable]) -> None:
    for title, slices in sets.items():
        slices = [(hu.astype(np.float32), mm) for hu, mm in slices]
        with_lung = [(hu, mm) for hu, mm in slices if lung_mask(hu).sum() > 2000]
        print(f"\n{title}: {len(with_lung)} slices")
        for question in (false_ones, found, vanished):
            question(with_lung, np.random.default_rng(0))


if __name__ == "__main__":
    main({"synthetic chests": chests()} | {Path(f).name: slices_of(Path(f)) for f in sys.argv[1:]})
