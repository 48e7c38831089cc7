"""A network of scale 1 beside non-local means and BM3D on the same slices.

python benchmarks/denoisers.py CHECKPOINT_DIR --data DIR --split FILE [--dose 0.25] [--every 4]

Both denoisers are tuned on slices of the validation patients alone: the cut-off of non-local means,
and the noise (SD in HU) that BM3D is told, which is white. Its form for coloured noise does not run
with NumPy 2. Prints PSNR in three windows: means over each test patient's slices, then over
patients. BM3D takes half a minute a slice: --every takes each n-th slice of the test patients.
"""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np

from benchmarks import common
from srgan import settings as all_settings
from srgan.commands.open_store import open_store
from srgan.commands.study_slices import photons_of, study_slices
from srgan.commands.tested_methods import TUNED_ON
from srgan.dataset.slice_quotas import evenly_spaced
from srgan.dataset.store import Store
from srgan.evaluation import baselines, study_slice
from srgan.evaluation.study import mean_metrics
from srgan.hounsfield import WINDOWS
from srgan.lowdose.degradation import Degradation
from srgan.lowdose.levels import Levels
from srgan.metrics.similarity import psnr_db
from srgan.models import tensorflow_setup
from srgan.settings import degradation_of
from srgan.training import checkpoint_models

TOLD_HU = (10.0, 20.0, 30.0, 45.0, 65.0, 90.0)  # noise that BM3D is told
MIDDLE = slice(128, 384)  # rows and columns that it is tuned on, for time

Pair = tuple[np.ndarray, np.ndarray]  # normal dose, low dose


def bm3d(low_dose: np.ndarray, sd_hu: float) -> np.ndarray:
    """BM3D (Dabov et al., IEEE Trans. Image Process. 2007) of the package bm3d, for white noise."""
    import bm3d as package

    return package.bm3d(low_dose.astype(np.float64), sd_hu).astype(np.float32)


def tuned_sd_hu(pairs: list[Pair]) -> float:
    """The noise to tell BM3D: the least RMSE over the middles of validation slices."""
    middles = [tuple(image[MIDDLE, MIDDLE] for image in pair) for pair in pairs]

    def error(sd_hu: float) -> float:
        return sum(float(np.mean((bm3d(low, sd_hu) - hu) ** 2)) ** 0.5 for hu, low in middles)

    return min(TOLD_HU, key=error)


def slices_at(store: Store, indices: list[int], degradation: Degradation) -> list:
    return study_slices(store, indices, photons_of(store, indices, degradation))


def measured(
    methods: dict[str, Callable], items: list, degradation: Degradation, seed: int
) -> dict[str, dict[str, float]]:
    """PSNR by method and window: the means over patients."""
    of_patient: dict[str, dict[str, list]] = {}
    for item in items:
        normal_dose, low_dose = study_slice.make_pair(item, degradation, seed)
        for name, method in methods.items():
            both = {"output": method(low_dose), "reference": normal_dose}
            found = {n: psnr_db(**both, window=window) for n, window in WINDOWS.items()}
            of_patient.setdefault(item.pseudonym, {}).setdefault(name, []).append(found)
    return {
        name: mean_metrics([mean_metrics(of[name]) for of in of_patient.values()])
        for name in methods
    }


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", type=Path, required=True)
    parser.add_argument("--store-dir", type=Path, default=Path("store"))
    parser.add_argument("--dose", type=Levels.parse, default=Levels((0.25,)))
    parser.add_argument("--every", type=int, default=4)
    given = vars(parser.parse_args())
    checkpoint, every = given.pop("checkpoint"), given.pop("every")
    tensorflow_setup.start("float32")
    trained = checkpoint_models.load(checkpoint)
    settings = all_settings.make(given, trained.settings)
    degradation, store = degradation_of(settings), open_store(settings)

    known = store.with_role("validation")
    known = [known[i] for i in evenly_spaced(len(known), TUNED_ON)]
    items = slices_at(store, known, degradation)
    pairs = [study_slice.make_pair(item, degradation, settings.seed) for item in items]
    cutoff_hu, sd_hu = baselines.tuned_cutoff_hu(1, pairs), tuned_sd_hu(pairs)
    print(f"tuned on {len(pairs)} validation slices: cut-off {cutoff_hu:g} HU, BM3D {sd_hu:g} HU")

    methods = baselines.classical(1) | {"nlm": baselines.non_local_means(1, cutoff_hu)}
    methods["bm3d"] = partial(bm3d, sd_hu=sd_hu)
    methods |= {name: baselines.network(model) for name, model in trained.networks().items()}
    items = slices_at(store, store.with_role("test")[::every], degradation)
    print(f"{len(items)} test slices, dose {settings.dose}: PSNR in dB by window")
    forms = dict.fromkeys(WINDOWS, ".2f")
    print(" " * 10 + "".join(f"{name:>14}" for name in forms))
    for name, values in measured(methods, items, degradation, settings.seed).items():
        print(common.line(f"{name:10}", values, forms, 14))


if __name__ == "__main__":
    main()
