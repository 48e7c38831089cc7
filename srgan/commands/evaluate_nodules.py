"""--run test with annotated nodules: the slices through them, measured beside the others."""

import dataclasses

from srgan.commands.held_out import is_seen
from srgan.commands.open_store import is_usable
from srgan.commands.study_slices import SMALLEST, study_slices
from srgan.dataset import nodule_slices as annotated
from srgan.dataset.store import Store
from srgan.evaluation import nodule_study
from srgan.evaluation.baselines import Method
from srgan.evaluation.level import Level
from srgan.evaluation.study_slice import StudySlice
from srgan.lowdose import photon_cache
from srgan.lowdose.degradation import Degradation
from srgan.metrics.nodule_metrics import NoduleInSlice
from srgan.settings import Settings, dataset_paths
from srgan.system.progress import Progress
from srgan.training.checkpoint_models import Trained

WithNodules = tuple[StudySlice, tuple[NoduleInSlice, ...]]


def slices_of(
    checkpoints: dict[str, Trained],
    store: Store,
    chosen: list[int],
    settings: Settings,
    degradation: Degradation,
) -> list[WithNodules]:
    """The slices through nodules of the patients whose slices are `chosen`.

    Empty without annotations.csv, and of real pairs. Slices whose pixels a checkpoint has seen are
    left out.
    """
    if settings.pairs is not None:
        return []
    patients = {store.records[i].pseudonym for i in chosen}
    kept = annotated.open_or_build(dataset_paths(settings), store, patients)
    if kept is None:
        return []
    usable = [
        i
        for i, record in enumerate(kept.store.records)
        if is_usable(record, settings, SMALLEST)
        and not any(is_seen(trained, kept.store, record) for trained in checkpoints.values())
    ]
    matched = []
    if usable and degradation.noise.in_projections:
        matched = photon_cache.of_slices(kept.store, usable, degradation.noise)
    spots: dict[int, list[NoduleInSlice]] = {i: [] for i in usable}
    for each in kept.nodules:
        if each.slice in spots:
            spot = NoduleInSlice(each.number, each.row_px, each.column_px, each.diameter_mm)
            spots[each.slice].append(spot)
    items = study_slices(kept.store, usable, matched)
    return [(item, tuple(spots[i])) for item, i in zip(items, usable, strict=True)]


def measure(
    levels: list[Level],
    methods: dict[str, Method],
    slices: list[WithNodules],
    seed: int,
) -> list[Level]:
    """The levels with what became of the nodules at each."""
    measured = []
    with Progress(len(levels) * len(slices), "slices with nodules") as bar:
        for level in levels:
            found = nodule_study.run(methods, bar.over(slices), level.degradation, seed)
            measured.append(dataclasses.replace(level, nodules=found))
    return measured
