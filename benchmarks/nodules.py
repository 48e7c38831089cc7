"""Which nodules are called vanished and appeared where it is known what is there?

python benchmarks/nodules.py [FOLDER]

Discs of known contrast and diameter are put into lung of synthetic chests, and of FOLDER: one
validation patient's scan. Vanished: bicubic's output of the low dose with the disc, and of the
same low dose without it. Appeared: discs put into the normal dose, and what is found where noise
alone was added or the low dose was enlarged.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np
from scipy import ndimage

from srgan.dataset import catalogue
from srgan.evaluation import baselines
from srgan.evaluation.study import StudySlice, make_pair
from srgan.formats import readers
from srgan.lowdose.degradation import Degradation
from srgan.lowdose.image_noise import ImageNoise
from srgan.lowdose.levels import Levels
from srgan.lowdose.projection_noise import ProjectionNoise, Scanner
from srgan.masks import lung_mask
from srgan.metrics import nodule_metrics
from srgan.metrics.nodule_metrics import NoduleInSlice, NoduleRegion, is_visible, measure, new_blobs
from srgan.phantom import chest

PHOTONS = 3e5
IMAGE = Degradation(ImageNoise(Levels((1700.0,)), Levels((0.005,))), 4)
KINDS_HU = {"solid": 880.0, "ground glass": 250.0}
SHARES = (0.2, 0.3, 0.4, 0.5)


def projected(dose: float, scale: int) -> Degradation:
    return Degradation(ProjectionNoise(Levels((dose,)), PHOTONS, None, Scanner()), scale)


def chests() -> Iterator[tuple[np.ndarray, tuple[float, float]]]:
    for patient in range(5):
        volume, (x, y, _) = chest.chest(0, patient, 4)
        yield from ((hu.astype(np.float32), (y, x)) for hu in volume[1:3])


def scans_in(folder: Path) -> Iterator[tuple[np.ndarray, tuple[float, float]]]:
    for scan in catalogue.find(folder).scans:
        read = readers.reader(scan)
        for i in range(len(scan.slices)):
            yield read(i).astype(np.float32), scan.spacing_mm


def pair(hu, spacing_mm, degradation, key):
    return make_pair(StudySlice("P", 1, spacing_mm, key, lambda: hu, PHOTONS), degradation, 0)


def disc(shape, spot: NoduleInSlice, spacing_mm) -> np.ndarray:
    """The share of each pixel in a disc, blurred as a slice is."""
    rows, columns = np.ogrid[: shape[0], : shape[1]]
    far = np.hypot((rows - spot.row_px) * spacing_mm[0], (columns - spot.column_px) * spacing_mm[1])
    sharp = np.clip(0.5 - (far - spot.diameter_mm / 2) / spacing_mm[0], 0, 1)
    return ndimage.gaussian_filter(sharp, 0.8)


def place(hu, spacing_mm, diameter_mm: float, rng) -> NoduleInSlice | None:
    inside = ndimage.binary_erosion(
        lung_mask(hu), iterations=int(diameter_mm / 2 / spacing_mm[0]) + 2
    )
    free = np.argwhere(inside)
    if not len(free):
        return None
    row, column = free[rng.integers(len(free))] + rng.uniform(-0.5, 0.5, 2)
    return NoduleInSlice(1, row, column, diameter_mm)


def vanished(slices, rng) -> None:
    bicubic = baselines.classical(4)["bicubic"]
    print(f"{'contrast left under':36}" + "".join(f"{share:>14}" for share in SHARES))
    for name, degradation in {
        "lambda 1700": IMAGE,
        "a tenth of the dose": projected(0.1, 4),
    }.items():
        for kind, contrast in KINDS_HU.items():
            for diameter in (3.0, 4.0, 6.0, 9.0):
                left = {"there": [], "taken out": []}
                for hu, spacing in [*slices, *slices]:
                    spot = place(hu, spacing, diameter, rng)
                    if spot is None:
                        continue
                    key = int(rng.integers(2**60))
                    put = hu + contrast * disc(hu.shape, spot, spacing)
                    normal, low = pair(put, spacing, degradation, key)
                    where = NoduleRegion.around(spot, lung_mask(normal), spacing)
                    before = measure(normal, where)
                    if not is_visible(before):
                        continue
                    without = pair(hu, spacing, degradation, key)[1]
                    for what, image in (("there", low), ("taken out", without)):
                        after = measure(bicubic(image), where)
                        left[what].append(after.contrast_hu / before.contrast_hu)
                for what, ratios in left.items():
                    counts = "".join(f"{np.mean(np.array(ratios) < s):14.2f}" for s in SHARES)
                    said = f"{kind} {diameter:g} mm, {name}, {what}"
                    print(f"{said:50}{len(ratios):4}{counts}", flush=True)


def found(slices, rng) -> None:
    print("discs put into the normal dose and found")
    for diameter in (4.0, 6.0, 9.0, 12.0):
        for contrast in (100.0, 200.0, 300.0, 500.0):
            hits = []
            for hu, spacing in [*slices, *slices]:
                spot = place(hu, spacing, diameter, rng)
                if spot is None:
                    continue
                output = hu + contrast * disc(hu.shape, spot, spacing)
                hits.append(
                    any(
                        np.hypot(r - spot.row_px, c - spot.column_px) * spacing[0] <= 4
                        for r, c, _ in new_blobs(output, hu, lung_mask(hu), spacing)
                    )
                )
            print(
                f"{diameter:g} mm, {contrast:g} HU: {np.mean(hits):.2f} of {len(hits)}", flush=True
            )


def false_ones(slices, rng) -> None:
    print(f"found a slice where nothing was put in, response over {nodule_metrics.BLOB_HU:g} HU")
    enlarged = baselines.classical(4)["bicubic"], baselines.non_local_means(4, 20.0)
    made = {
        "half the dose": lambda hu, mm, key: pair(hu, mm, projected(0.5, 1), key)[1],
        "a quarter of the dose": lambda hu, mm, key: pair(hu, mm, projected(0.25, 1), key)[1],
        "bicubic": lambda hu, mm, key: enlarged[0](pair(hu, mm, IMAGE, key)[1]),
        "non-local means": lambda hu, mm, key: enlarged[1](pair(hu, mm, IMAGE, key)[1]),
    }
    for name, make in made.items():
        counts, added = [], []
        for hu, spacing in slices:
            key, lung = int(rng.integers(2**60)), lung_mask(hu)
            output = make(hu, spacing, key)
            counts.append(len(new_blobs(output, hu, lung, spacing)))
            added.append((output - hu)[lung].std())
        shown = f"{np.mean(counts):.2f} in {len(counts)} slices"
        print(f"{name}: {shown}, SD added in lung {np.mean(added):.0f} HU", flush=True)


if __name__ == "__main__":
    sets = {"synthetic chests": chests()}
    sets |= {Path(folder).name: scans_in(Path(folder)) for folder in sys.argv[1:]}
    for title, images in sets.items():
        with_lung = [(hu, mm) for hu, mm in images if lung_mask(hu).sum() > 2000]
        print(f"\n{title}: {len(with_lung)} slices")
        for question in (false_ones, found, vanished):
            question(with_lung, np.random.default_rng(0))
