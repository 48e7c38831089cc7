"""--run test: a checkpoint judged on patients that it has never seen."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from srgan import settings as all_settings
from srgan.commands import compare, evaluate_nodules, held_out
from srgan.commands.open_store import is_usable, open_store
from srgan.commands.study_slices import SMALLEST, photons_of, study_slices
from srgan.dataset.slice_quotas import evenly_spaced
from srgan.dataset.store import Store
from srgan.evaluation import baselines, disc_phantom, study
from srgan.evaluation.level import Level, levels_of
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
from srgan.system.errors import UserError
from srgan.system.files import clear_parts, writing
from srgan.system.progress import Progress
from srgan.training import checkpoint_models

TUNED_ON = 3  # validation slices
Checkpoints = dict[str, checkpoint_models.Trained]  # by letter, as compare.load makes them


def test(given: dict[str, Any]) -> int:
    """Test a checkpoint and write the report; returns the exit code. Raises UserError."""
    trained = checkpoint_models.load(Settings(**given).checkpoint_dir)
    own = {name: value for name, value in given.items() if name != "vgg_weights"}
    settings = all_settings.make(own, trained.settings)  # which keep the training's VGG19
    windows, degradation = windows_of(settings), noise_of(settings, given)
    checkpoints = compare.load(trained, settings)
    features, metrics = metrics_of(given, trained)
    prepare(settings.report_dir)

    store = open_store(settings)
    chosen = held_out.held_out(checkpoints, store, settings)
    matched = photons_of(store, chosen, degradation)
    slices = study_slices(store, chosen, matched)
    denoiser, how_tuned = tuned_denoiser(trained, store, settings, degradation, disc_of(slices))
    methods = baselines.classical(degradation.scale) | denoiser | networks(checkpoints, settings)
    with_nodules = evaluate_nodules.slices_of(checkpoints, store, chosen, settings, degradation)

    levels = measure(methods, slices, degradation, settings.seed, windows, metrics)
    levels = evaluate_nodules.measure(levels, methods, with_nodules, settings.seed)
    about = replace(
        about_test(checkpoints, store, settings, degradation, matched),
        features=features,
        denoiser=how_tuned,
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
    slices: list[study.StudySlice],
    seed: int,
) -> list[str]:
    """Write everything but the example pictures' names, which are many; returns the names."""
    metrics_csv.write(folder, levels)
    summary_json.write(folder, levels, about)
    nodules = nodules_csv.write(folder, [level.nodules for level in levels if level.nodules])
    plot = dose_plot.write(folder, levels, about)
    example_pictures.write(folder, levels, about, methods, slices, seed)
    page = build_page.build_page(levels, about, methods, slices, seed)
    render.write(folder / "index.html", page)
    return list(filter(None, ["index.html", "metrics.csv", "summary.json", nodules, plot]))


def prepare(folder: Path) -> None:
    """Make the folder and try to write in it, before the long work. Raises UserError."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
        clear_parts(folder)


def noise_of(settings: Settings, given: dict[str, Any]) -> Degradation:
    """The noise to test at: what was given, else the geometric middle of the training's.

    A given range is drawn from, one level a slice; a list is tabulated.
    """
    asked = degradation_of(settings)
    here = {name: levels for name, levels in asked.levels.items() if name in given}
    return asked.middle().with_levels(here)


def windows_of(settings: Settings) -> dict[str, Window]:
    """The built-in windows, which verdicts and plots use, and those of --window.

    Raises UserError where one has a name or a place in which nothing can be measured.
    """
    more = {name: Window(*ends) for name, ends in (settings.window or {}).items()}
    for name, window in more.items():
        if name in WINDOWS:
            raise UserError(f"--window: {name} is built in ({WINDOWS[name]}); take another name")
        if window.high <= HU_MIN or window.low >= HU_MAX:
            raise UserError(
                f"--window: {name} lies outside {HU_MIN:g}..{HU_MAX:g} HU, where all figures are"
            )
    return WINDOWS | more


def metrics_of(
    given: dict[str, Any], trained: checkpoint_models.Trained
) -> tuple[str, tuple[Metric, ...]]:
    """Whose weights, as About.features, and the metrics: with a VGG distance where there are any.

    Raises UserError for weights that were named and are not there.
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


def tuned_denoiser(
    trained: checkpoint_models.Trained,
    store: Store,
    settings: Settings,
    degradation: Degradation,
    disc: dict,
) -> tuple[dict[str, baselines.Method], str]:
    """Non-local means, and how its cut-off was found, in words.

    Tuned at the middle noise level on three slices that were validated on. Where the data hold none
    it follows from the noise of the disc (see phantom): never tuned on patients that are tested.
    """
    degradation, seed = degradation.middle(), settings.seed
    known = [
        i
        for i in store.with_role("validation")
        if held_out.is_seen(trained, store, store.records[i])
        and is_usable(store.records[i], settings, SMALLEST)
    ]
    if not known:
        share = baselines.CUTOFF_BY_NOISE
        cutoff_hu = share * disc_phantom.discs_of({}, degradation, seed=seed, **disc).noise_sd_hu
        method = baselines.non_local_means(degradation.scale, cutoff_hu)
        how = f"{share:g} of the noise in tissue: no validation slice is in --data"
        return _named(method, cutoff_hu, how)
    known = [known[k] for k in evenly_spaced(len(known), TUNED_ON)]
    matched = photons_of(store, known, degradation)
    items = study_slices(store, known, matched)
    pairs = [study.make_pair(item, degradation, seed) for item in items]
    cutoff_hu = baselines.tuned_cutoff_hu(degradation.scale, pairs)
    method = baselines.non_local_means(degradation.scale, cutoff_hu)
    return _named(method, cutoff_hu, f"tuned on {len(pairs)} validation slices")


def _named(method: baselines.Method, cutoff_hu: float, how: str):
    name = baselines.NON_LOCAL_MEANS
    return {name: method}, f"{name}: non-local means with a cut-off of {cutoff_hu:.1f} HU, {how}"


def disc_of(slices: list[study.StudySlice]) -> dict:
    """Pixel and photons of the disc phantom: the medians of the tested slices."""
    photons = [item.photons for item in slices if item.photons is not None]
    return {
        "pixel_mm": float(np.median([item.spacing_mm for item in slices])),
        "photons": float(np.median(photons)) if photons else None,
    }


def measure(
    methods: dict[str, baselines.Method],
    slices: list[study.StudySlice],
    degradation: Degradation,
    seed: int,
    windows: Windows,
    metrics: Sequence[Metric],
) -> list[Level]:
    """A study at each noise level; to the user they are one job."""
    every, disc = degradation.each(), disc_of(slices)
    text = "slices" if len(every) == 1 else f"slices at {len(every)} noise levels"
    studies = []
    with Progress(len(every) * len(slices), text) as bar:
        for here in every:
            measured = study.run(methods, bar.over(slices), here, seed, windows, metrics)
            discs = disc_phantom.discs_of(methods, here, seed=seed, **disc)
            studies.append((here, replace(measured, discs=discs)))
    return levels_of(studies)


def networks(checkpoints: Checkpoints, settings: Settings) -> dict[str, baselines.Method]:
    """The checkpoints' models as methods; --precision auto is float32 here: exact before fast."""
    tensorflow_setup.start("float32" if settings.precision == "auto" else settings.precision)
    return {
        compare.row_name(letter, name): baselines.network(model)
        for letter, trained in checkpoints.items()
        for name, model in trained.networks().items()
    }


def about_test(
    checkpoints: Checkpoints,
    store: Store,
    settings: Settings,
    degradation: Degradation,
    matched: list[SlicePhotons],
) -> About:
    source = "matched" if settings.noise_hu is None else "noise_hu"
    source = source if settings.photons == "auto" else "given"
    return About(
        degradation=degradation,
        vgg_weights=checkpoints[compare.MAIN].manifest.vgg_weights,
        synthetic=store.synthetic,
        settings=all_settings.record(settings),
        checkpoint=compare.record(checkpoints),
        photons={"source": source, **photon_cache.summary(matched)} if matched else None,
        files={"found": store.found, "used": store.used, "skipped": store.skipped},
    )
