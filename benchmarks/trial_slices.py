"""The slices of experiments: those they train on, and validation slices that judge them."""

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
from scipy import ndimage

from benchmarks.experiments_rows import Gan, Recipe
from srgan import settings as all_settings
from srgan.commands.open_store import is_usable, open_store
from srgan.commands.study_slices import study_slices
from srgan.commands.tested_methods import disc_of
from srgan.dataset.store import Store
from srgan.evaluation import disc_phantom, study
from srgan.evaluation.baselines import Method
from srgan.lowdose.degradation import Degradation
from srgan.lowdose.levels import Levels
from srgan.metrics import registry
from srgan.settings import Settings, degradation_of
from srgan.system.errors import UserError
from srgan.training.batches import SliceSet

TESTED = {"noise_lambda": Levels((1700.0,)), "noise_sigma": Levels((0.005,))}
NEAR = ("psnr_db", "ssim", "rmse_hu")  # what pre-training is judged by
SLOW = ("sfrc_share",)  # not measured at all
EVERY = {"pretraining": 1, "gan": 2}  # all metrics take long: every second slice
DRAWN = 16  # entries of a patient where patients are drawn equally often
QUIET_HU, WINDOW_PX, SOFT_HU, FEWEST_PX = 30.0, 15, (0.0, 130.0), 100


def store_of(folder: Path, split: Path, store_dir: Path) -> tuple[Store, Settings]:
    """Raises UserError where the split has no validation patient."""
    settings = all_settings.make({"data": folder, "split": split, "store_dir": store_dir})
    store = open_store(settings)
    if not store.with_role("validation"):
        raise UserError(f"{split} has no validation patient in {folder} to judge experiments on")
    return store, settings


def training(store: Store, settings: Settings, recipe: Recipe | Gan) -> SliceSet:
    """The training slices that a recipe draws from."""
    of_patient = defaultdict(list)
    for i in store.with_role("train"):
        if is_usable(store.records[i], settings, recipe.crop):
            of_patient[store.records[i].pseudonym].append(store.hu(i))
    if recipe.quiet:
        of_patient = {
            p: [hu for hu in of if noise_hu(hu) <= QUIET_HU] for p, of in of_patient.items()
        }
    if recipe.equally == "patients":
        of_patient = {
            p: [of[k % len(of)] for k in range(DRAWN)] for p, of in of_patient.items() if of
        }
    return SliceSet([hu for of in of_patient.values() for hu in of])


def noise_hu(hu: np.ndarray) -> float:
    """SD in flat soft tissue: the 10th percentile over windows of 15 x 15 pixels; 0 without any."""
    hu = hu.astype(np.float32)
    mean = ndimage.uniform_filter(hu, WINDOW_PX)
    variance = ndimage.uniform_filter(hu * hu, WINDOW_PX) - mean * mean
    soft = (mean > SOFT_HU[0]) & (mean < SOFT_HU[1])
    if np.count_nonzero(soft) < FEWEST_PX:
        return 0.0
    return float(np.sqrt(np.percentile(np.maximum(variance[soft], 0), 10)))


def noise(settings: Settings, recipe: Recipe | Gan) -> Degradation:
    """What a recipe trains at: the program's default range, or the tested noise."""
    return degradation_of(replace(settings, **TESTED) if recipe.exact else settings)


def judged(kind: str, methods: dict[str, Method], store: Store, settings: Settings) -> study.Study:
    """Methods on validation slices: what is near the normal dose, for a GAN everything."""
    degradation = degradation_of(replace(settings, **TESTED))
    items = study_slices(store, store.with_role("validation")[:: EVERY[kind]], [])
    wanted = [
        m for m in registry.METRICS
        if (m.key in NEAR if kind == "pretraining" else m.key not in SLOW)
    ]  # fmt: skip
    found = study.run(methods, items, degradation, 0, metrics=wanted, patches=False)
    if kind == "pretraining":
        return found
    discs = disc_phantom.discs_of(methods, degradation, seed=0, **disc_of(items))
    return replace(found, discs=discs)
