"""--run test: a checkpoint judged on patients that it has never seen."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from srgan import settings as all_settings
from srgan.commands import compare, evaluate_nodules, held_out
from srgan.commands.study_slices import fits, photons_of, study_slices
from srgan.commands.train import open_store
from srgan.dataset import build_store as stores
from srgan.dataset.split import choose
from srgan.evaluation import baselines, disc_phantom, study
from srgan.evaluation.level import Level, levels_of
from srgan.hounsfield import HU_MAX, HU_MIN, WINDOWS, Window, Windows
from srgan.lowdose import photon_cache
from srgan.lowdose.degradation import Degradation
from srgan.lowdose.photon_cache import Matched
from srgan.metrics import registry
from srgan.metrics.registry import Metric
from srgan.models import tensorflow_setup, vgg_weights
from srgan.report import dose_plot, example_pictures, nodule_tables, results
from srgan.report.about import About
from srgan.report.html import build_page, render
from srgan.settings import Settings, degradation_of
from srgan.system.errors import UserError
from srgan.system.progress import Progress
from srgan.training import checkpoint_models

TUNED_ON = 3  # validation slices
Checkpoints = dict[str, checkpoint_models.Trained]  # by letter, as compared.load makes them


def test(given: dict[str, Any]) -> int:
    """The whole of it; returns the exit code. Raises UserError."""
    trained = checkpoint_models.load(Settings(**given).checkpoint_dir)
    own = {name: value for name, value in given.items() if name != "vgg_weights"}
    settings = all_settings.make(own, trained.settings)  # which keep the training's VGG19
    windows = windows_of(settings)
    degradation = noise_of(settings, given)
    every = compare.load(trained, settings)
    features, metrics = vgg_distance(given, trained)
    results.prepare(settings.report_dir)
    store = open_store(settings)
    chosen = held_out.held_out(every, store, settings)
    matched = photons_of(store, chosen, degradation)
    slices = study_slices(store, chosen, matched)
    about = about_this(every, store, settings, degradation, matched)
    disc = disc_of(slices, matched)
    smoother, how_tuned = denoiser(trained, store, settings, degradation, disc)
    judged = baselines.classical(degradation.scale) | smoother | networks(every, settings)
    with_nodules = evaluate_nodules.slices_of(every, store, chosen, settings, degradation)
    about = dataclasses.replace(about, features=features, denoiser=how_tuned)
    levels = measured(judged, slices, degradation, disc, settings.seed, windows, metrics)
    levels = evaluate_nodules.judged(levels, judged, with_nodules, settings.seed)
    results.write(settings.report_dir, levels, about)
    of_nodules = [each.nodules for each in levels if each.nodules]
    nodule_table = nodule_tables.write(settings.report_dir, of_nodules)
    curve = dose_plot.write(settings.report_dir, levels, about)
    example_pictures.write(settings.report_dir, levels, about, judged, slices, settings.seed)
    print(results.tables(levels, about))
    if len(levels) > 1:
        print(f"\n{dose_plot.table(levels)}")
    if of_nodules:
        print(f"\n{nodule_tables.text(of_nodules[0])}")
    render.write(
        settings.report_dir / "index.html",
        build_page.build_page(levels, about, judged, slices, settings.seed),
    )
    files = ["index.html", "metrics.csv", "summary.json", nodule_table, curve]
    print(f"\n{', '.join(filter(None, files))} and example-*.png are in {settings.report_dir}")
    return 0


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


def vgg_distance(
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


def denoiser(
    trained: checkpoint_models.Trained,
    store: stores.Store,
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
        if held_out.is_seen(trained, store, store.records[i]) and fits(store.records[i], settings)
    ]
    if not known:
        share = baselines.CUTOFF_BY_NOISE
        cutoff_hu = share * disc_phantom.discs_of({}, degradation, seed=seed, **disc).noise_sd_hu
        method = baselines.non_local_means(degradation.scale, cutoff_hu)
        how = f"{share:g} of the noise in tissue: no validation slice is in --data"
        return _named(method, cutoff_hu, how)
    known = [known[k] for k in choose(len(known), TUNED_ON)]
    matched = photons_of(store, known, degradation)
    items = study_slices(store, known, matched)
    pairs = [study.make_pair(item, degradation, seed) for item in items]
    cutoff_hu = baselines.tuned_cutoff_hu(degradation.scale, pairs)
    method = baselines.non_local_means(degradation.scale, cutoff_hu)
    return _named(method, cutoff_hu, f"tuned on {len(pairs)} validation slices")


def _named(method: baselines.Method, cutoff_hu: float, how: str):
    name = baselines.NON_LOCAL_MEANS
    return {name: method}, f"{name}: non-local means with a cut-off of {cutoff_hu:.1f} HU, {how}"


def disc_of(slices: list[study.StudySlice], matched: list[Matched]) -> dict:
    """Pixel and photons of the phantom: the medians of the test's slices."""
    return {
        "pixel_mm": float(np.median([item.spacing_mm for item in slices])),
        "photons": photon_cache.summary(matched)["median"] if matched else None,
    }


def measured(
    judged: dict[str, baselines.Method],
    slices: list[study.StudySlice],
    degradation: Degradation,
    disc: dict,
    seed: int,
    windows: Windows,
    metrics: Sequence[Metric],
) -> list[Level]:
    """A study at each noise level; to the user they are one job."""
    every = degradation.each()
    text = "slices" if len(every) == 1 else f"slices at {len(every)} noise levels"
    made = []
    with Progress(len(every) * len(slices), text) as bar:
        for here in every:
            found = study.run(judged, bar.over(slices), here, seed, windows, metrics)
            discs = disc_phantom.discs_of(judged, here, seed=seed, **disc)
            made.append((here, dataclasses.replace(found, discs=discs)))
    return levels_of(made)


def networks(every: Checkpoints, settings: Settings) -> dict[str, baselines.Method]:
    """The checkpoints' models as methods; --precision auto is float32 here: exact before fast."""
    tensorflow_setup.start("float32" if settings.precision == "auto" else settings.precision)
    return {
        compare.row_name(letter, name): baselines.network(model)
        for letter, trained in every.items()
        for name, model in trained.networks().items()
    }


def about_this(
    every: Checkpoints,
    store: stores.Store,
    settings: Settings,
    degradation: Degradation,
    matched: list[Matched],
) -> About:
    source = "matched" if settings.noise_hu is None else "noise_hu"
    source = source if settings.photons == "auto" else "given"
    return About(
        degradation=degradation,
        vgg_weights=every[compare.MAIN].manifest.vgg_weights,
        synthetic=store.synthetic,
        settings=all_settings.record(settings),
        checkpoint=compare.record(every),
        photons={"source": source, **photon_cache.summary(matched)} if matched else None,
        files={"found": store.found, "used": store.used, "skipped": store.skipped},
    )
