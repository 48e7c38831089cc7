"""The methods of a test: the networks of the checkpoints, and a denoiser that is tuned for it."""

import logging
from functools import partial

import numpy as np

from srgan.commands import compare, held_out
from srgan.commands.open_store import is_usable
from srgan.commands.study_slices import SMALLEST, photons_of, study_slices
from srgan.dataset.slice_quotas import evenly_spaced
from srgan.dataset.store import Store
from srgan.evaluation import baselines, disc_phantom, study_slice
from srgan.lowdose import real_pairs
from srgan.lowdose.degradation import Degradation
from srgan.models import tensorflow_setup
from srgan.settings import Settings
from srgan.system.errors import UserError
from srgan.training import strength
from srgan.training.checkpoint_models import Trained

log = logging.getLogger(__name__)

TUNED_ON = 3  # validation slices


def strengths(checkpoints: dict[str, Trained], settings: Settings) -> dict[str, dict[str, float]]:
    """By letter of a checkpoint, the names of its tested networks and their strengths.

    Without --strength these are the models that it has. Raises UserError where a model that
    --strength needs is missing.
    """
    found = {}
    for letter, trained in checkpoints.items():
        asked = settings.strength
        if asked is None:
            asked = [s for s in (0.0, 1.0) if strength.method_name(s) in trained.models]
        try:
            asked = [strength.checked(trained, s) for s in asked]
        except UserError as error:
            where = f"checkpoint {letter}: " if len(checkpoints) > 1 else ""
            raise UserError(f"{where}{error}") from error
        found[letter] = {compare.row_name(letter, strength.method_name(s)): s for s in asked}
    return found


def networks(
    checkpoints: dict[str, Trained], strengths: dict[str, dict[str, float]], settings: Settings
) -> dict[str, baselines.Method]:
    """The networks of all checkpoints; `precision` auto is float32 here, for exact metrics."""
    asked = settings.precision
    policy = tensorflow_setup.start("float32" if asked == "auto" else asked)
    log.info(tensorflow_setup.described(asked, policy, "for exact metrics"))
    if settings.ensemble:
        log.info("--ensemble: each slice takes eight passes through a network instead of one")
    return {
        name: baselines.network(
            strength.network(checkpoints[letter], s), settings.tile, ensemble=settings.ensemble
        )
        for letter, of in strengths.items()
        for name, s in of.items()
    }


def tuned_denoiser(
    trained: Trained, store: Store, settings: Settings, degradation: Degradation, disc: dict
) -> tuple[dict[str, baselines.Method], str]:
    """Non-local means, and in words how its cut-off was found.

    The cut-off is tuned at the middle noise level, on three slices that the checkpoint was
    validated on. Where the scans have none, it follows from the noise of the disc phantom. It is
    never tuned on the patients that are tested. disc: as `disc_of` gives it.
    """
    degradation, seed = degradation.middle(), settings.seed
    known = [
        i
        for i in store.with_role("validation")
        if held_out.is_seen(trained, store, store.records[i])
        and is_usable(store.records[i], settings, SMALLEST)
    ]
    if known:
        known = [known[k] for k in evenly_spaced(len(known), TUNED_ON)]
        slices = study_slices(store, known, photons_of(store, known, degradation))
        pairs = [study_slice.make_pair(item, degradation, seed) for item in slices]
        cutoff_hu = baselines.tuned_cutoff_hu(degradation.scale, pairs)
        how = f"tuned on {len(pairs)} validation slices"
    else:
        share, where = baselines.CUTOFF_BY_NOISE, "--pairs" if settings.pairs else "--data"
        cutoff_hu = share * disc_phantom.discs_of({}, degradation, seed=seed, **disc).noise_sd_hu
        how = f"{share:g} of the noise in tissue: no validation slice is in {where}"
    name = baselines.denoiser_name(degradation.scale)
    method = baselines.non_local_means(degradation.scale, cutoff_hu)
    return {name: method}, f"{name}: non-local means with a cut-off of {cutoff_hu:.1f} HU, {how}"


def disc_of(slices: list[study_slice.StudySlice]) -> dict:
    """Pixel size and photons of the disc phantom: the medians of the tested slices.

    Of real pairs also the measured noise of ten of them.
    """
    pairs = [item for item in slices if item.low_hu is not None]
    chosen = [pairs[k] for k in evenly_spaced(len(pairs), disc_phantom.SLICES)] if pairs else []
    photons = [item.photons for item in slices if item.photons is not None]
    return {
        "pixel_mm": float(np.median([item.spacing_mm for item in slices])),
        "photons": float(np.median(photons)) if photons else None,
        "differences": [partial(_difference, item) for item in chosen],
    }


def _difference(item: study_slice.StudySlice) -> np.ndarray:
    return real_pairs.difference(item.hu(), item.low_hu())
