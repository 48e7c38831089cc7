"""--run test: measure a checkpoint on patients that it has never seen, and write the report."""

import logging
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from srgan import settings as all_settings
from srgan.commands import chosen_checkpoint, compare, evaluate_nodules, held_out
from srgan.commands.open_store import open_store
from srgan.commands.study_slices import photons_of, study_slices
from srgan.commands.tested_methods import disc_of, networks, strengths, tuned_denoiser
from srgan.dataset.store import Store
from srgan.evaluation import baselines, disc_phantom, study
from srgan.evaluation.level import Level, levels_of
from srgan.evaluation.study_slice import StudySlice
from srgan.hounsfield import HU_MAX, HU_MIN, WINDOWS, Window, Windows
from srgan.lowdose import photon_cache
from srgan.lowdose.degradation import Degradation
from srgan.lowdose.photon_cache import SlicePhotons
from srgan.metrics import registry
from srgan.metrics.registry import Metric
from srgan.models import tensorflow_setup, vgg_weights
from srgan.report import (
    dose_plot,
    example_pictures,
    metrics_csv,
    nodules_csv,
    summary_json,
    terminal,
)
from srgan.report.about import About
from srgan.report.html import build_page, render
from srgan.settings import Settings, degradation_of
from srgan.system import locks
from srgan.system.errors import UserError
from srgan.system.files import clear_parts, writing
from srgan.system.progress import Progress
from srgan.training import checkpoint_folder, checkpoint_models

log = logging.getLogger(__name__)

REPORT = (
    "index.html", "metrics.csv", "summary.json", nodules_csv.FILE, *dose_plot.PICTURES.values(),
    "example-P*.png",
)  # fmt: skip
Checkpoints = dict[str, checkpoint_models.Trained]  # by letter, as compare.load makes them


def test(given: dict[str, Any]) -> int:
    """Test a checkpoint and write the report; returns the exit code. Raises UserError."""
    given = all_settings.with_pairs(given)
    trained, given = chosen_checkpoint.load(given)
    own = {name: value for name, value in given.items() if name != "vgg_weights"}
    settings = all_settings.make(own, trained.settings)  # which keep the training's VGG19
    all_settings.dataset_paths(settings)  # fails here, before networks are built
    windows, degradation = windows_of(settings), noise_of(settings, given)
    checkpoints = compare.load(trained, settings)
    tested = strengths(checkpoints, settings)
    vgg_distance_weights, metrics = metrics_of(given, trained)
    prepare(settings.report_dir)
    with locks.sole(settings.report_dir / ".lock-test", "--report-dir"):
        store = open_store(settings)
        chosen = held_out.held_out(checkpoints, store, settings)
        matched = photons_of(store, chosen, degradation)
        slices = study_slices(store, chosen, matched)
        denoiser, how_tuned = tuned_denoiser(trained, store, settings, degradation, disc_of(slices))
        methods = (
            baselines.classical(degradation.scale)
            | denoiser
            | networks(checkpoints, tested, settings)
        )
        with_nodules = evaluate_nodules.slices_of(checkpoints, store, chosen, settings, degradation)

        levels = measure(methods, slices, degradation, settings.seed, windows, metrics)
        levels = evaluate_nodules.measure(levels, methods, with_nodules, settings.seed)
        about = replace(
            about_test(checkpoints, store, settings, degradation, matched),
            vgg_distance_weights=vgg_distance_weights,
            denoiser=how_tuned,
            strengths=tested if settings.strength else {},
            ensemble=settings.ensemble,
        )
        files = write_report(settings.report_dir, levels, about, methods, slices, settings.seed)
        if settings.details:
            print(terminal.details(levels, about))
            print(f"\n{', '.join(files)} and example-*.png are in {settings.report_dir}")
        else:
            print(terminal.screen(levels, about, settings.report_dir))
    return 0


def write_report(
    folder: Path,
    levels: list[Level],
    about: About,
    methods: dict[str, baselines.Method],
    slices: list[StudySlice],
    seed: int,
) -> list[str]:
    """Write the report; returns the names of its files without the example pictures, of many."""
    _set_another_report_aside(folder, levels, about)
    metrics_csv.write(folder, levels)
    summary_json.write(folder, levels, about)
    nodules = nodules_csv.write(folder, [level.nodules for level in levels if level.nodules])
    plot = dose_plot.write(folder, levels, about)
    example_pictures.write(folder, levels, about, methods, slices, seed)
    page = build_page.build_page(levels, about, methods, slices, seed)
    render.write(folder / "index.html", page)
    return list(filter(None, ["index.html", "metrics.csv", "summary.json", nodules, plot]))


def _set_another_report_aside(folder: Path, levels: list[Level], about: About) -> None:
    """Keep the report of another test: of another checkpoint, other data or settings."""
    if summary_json.is_in(folder, levels, about):
        return  # the same test again writes the same files
    aside = checkpoint_folder.set_aside(folder, REPORT)
    if aside is not None:
        log.info(f"{folder} held the report of another test, which now lies in {aside}")


def prepare(folder: Path) -> None:
    """Make the folder and try to write in it, before the long work. Raises UserError."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
        clear_parts(folder)


def noise_of(settings: Settings, given: dict[str, Any]) -> Degradation:
    """The noise of the test: what was given, or else the geometric middle of the training's.

    Of a given range each slice has a level of its own; each level of a list is a study.
    """
    asked = degradation_of(settings)
    here = {name: levels for name, levels in asked.levels.items() if name in given}
    return asked.middle().with_levels(here)


def windows_of(settings: Settings) -> dict[str, Window]:
    """The built-in windows, which checks and plots use, and those of --window.

    Raises UserError for a built-in name, and for a window outside of the HU range.
    """
    more = {name: Window(*ends) for name, ends in (settings.window or {}).items()}
    for name, window in more.items():
        if name in WINDOWS:
            raise UserError(f"--window: {name} is built in ({WINDOWS[name]}); take another name")
        if window.high <= HU_MIN or window.low >= HU_MAX:
            raise UserError(
                f"--window: {name} lies outside {HU_MIN:g}..{HU_MAX:g} HU, which all images are in"
            )
    return WINDOWS | more


def metrics_of(
    given: dict[str, Any], trained: checkpoint_models.Trained
) -> tuple[str, tuple[Metric, ...]]:
    """The metrics, with a VGG distance if there are trained weights, and whose weights these are.

    Raises UserError if weights were named and are missing.
    """
    wanted = given.get("vgg_weights", "auto")
    weights = vgg_weights.find_trained(wanted, trained.manifest.vgg_weights == "imagenet")
    if weights.mode == "none":
        return weights.mode, registry.METRICS
    tensorflow_setup.start("float32")  # before what imports TensorFlow, which is loud
    from srgan.models import vgg

    distance = vgg.distance(weights)
    return weights.mode, registry.with_measure(
        registry.VGG_DISTANCE, lambda output: distance(output.image, output.reference.image)
    )


def measure(
    methods: dict[str, baselines.Method],
    slices: list[StudySlice],
    degradation: Degradation,
    seed: int,
    windows: Windows,
    metrics: Sequence[Metric],
) -> list[Level]:
    """Run a study at each noise level; the user sees one job."""
    every, disc = degradation.each(), disc_of(slices)
    text = "slices" if len(every) == 1 else f"slices at {len(every)} noise levels"
    studies = []
    with Progress(len(every) * len(slices), text) as bar:
        for here in every:
            measured = study.run(methods, bar.over(slices), here, seed, windows, metrics)
            discs = disc_phantom.discs_of(methods, here, seed=seed, **disc)
            studies.append((here, replace(measured, discs=discs)))
    return levels_of(studies)


def about_test(
    checkpoints: Checkpoints,
    store: Store,
    settings: Settings,
    degradation: Degradation,
    matched: list[SlicePhotons],
) -> About:
    """What the report says of the test beside its metrics."""
    source = "matched" if settings.noise_hu is None else "noise_hu"
    source = source if settings.photons == "auto" else "given"
    return About(
        degradation=degradation,
        vgg_weights=checkpoints[compare.MAIN].manifest.vgg_weights,
        synthetic=store.synthetic,
        simulated_pairs=store.has_simulated_pairs,
        settings=all_settings.record(settings),
        checkpoint=compare.record(checkpoints),
        photons={"source": source, **photon_cache.summary(matched)} if matched else None,
        files={"found": store.found, "used": store.used, "skipped": store.skipped},
    )
