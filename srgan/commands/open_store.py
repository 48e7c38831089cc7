"""The dataset store of a command, and which of its slices the command can use."""

import logging

from srgan.dataset import build_store
from srgan.dataset.store import Record, Store
from srgan.lowdose import photon_cache
from srgan.settings import Settings, dataset_paths, degradation_of
from srgan.system import memory

log = logging.getLogger(__name__)


def open_store(settings: Settings) -> Store:
    """The store of the scans, built where it is missing; prints how many files were used."""
    with memory.told("the store", lambda: memory.FREE_SOME):
        store = build_store.open_or_build(dataset_paths(settings))
    if store.has_simulated_pairs:
        log.warning("low doses of these pairs were made by --run simulate, not measured")
    print(f"found {store.found}, used {store.used}, skipped {store.skipped}", flush=True)
    return store


def is_usable(record: Record, settings: Settings, size: int) -> bool:
    """Has the slice `size` rows and columns, and square pixels where it must be projected?"""
    large = min(record.rows, record.columns) >= size
    needs_square = degradation_of(settings).noise.in_projections
    return large and (not needs_square or photon_cache.has_square_pixels(record))
