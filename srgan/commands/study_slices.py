"""The slices of a store as a study takes them, with their photons and numbers."""

import itertools
import logging
from functools import partial

from srgan.dataset.store import Store
from srgan.evaluation.study_slice import StudySlice
from srgan.lowdose import photon_cache
from srgan.lowdose.degradation import Degradation
from srgan.lowdose.photon_cache import SlicePhotons
from srgan.random_streams import slice_number

log = logging.getLogger(__name__)

SMALLEST = 16  # pixels across; SSIM needs 11, and a slice of four times less needs 4


def photons_of(store, chosen: list[int], degradation: Degradation) -> list[SlicePhotons]:
    """Photons of each slice; logs a summary. Empty if noise is not inserted in the projections."""
    if not degradation.noise.in_projections:
        return []
    matched = photon_cache.of_slices(store, chosen, degradation.noise)
    log.info(photon_cache.summary_text(photon_cache.summary(matched)))
    return matched


def study_slices(store: Store, chosen: list[int], matched: list[SlicePhotons]) -> list[StudySlice]:
    """The chosen slices, numbered within each patient in the order of the store.

    The noise of a slice depends on its pixels, so it is the same in any folder.
    """
    counts, slices = {}, []
    for i, made_with in itertools.zip_longest(chosen, matched):
        record = store.records[i]
        number = counts[record.pseudonym] = counts.get(record.pseudonym, 0) + 1
        key, hu = slice_number(record.pixels_sha256), partial(store.hu, i)
        about = (record.pseudonym, number, record.spacing_mm, key, hu)
        matched_to = (made_with.photons, made_with.sd_hu) if made_with else ()
        slices.append(StudySlice(*about, *matched_to, **_measured(store, i)))
    return slices


def _measured(store: Store, i: int) -> dict:
    """What a real pair knows of its low dose; nothing where that is simulated."""
    record = store.records[i]
    if record.low_dose_sha256 is None:
        return {}
    return {
        "low_hu": partial(store.low_hu, i), "dose": record.dose, "noise_hu": record.noise_hu
    }  # fmt: skip
