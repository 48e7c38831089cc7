"""What stands on the report's page: a study's figures, plots and slices, put into `page.Page`."""

from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from srgan import __version__
from srgan.evaluation import verdict
from srgan.evaluation.baselines import Method
from srgan.evaluation.level import Level, headline
from srgan.evaluation.study import NORMAL_DOSE, Study, StudySlice
from srgan.hounsfield import WINDOWS
from srgan.lowdose.level_names import differing, short_name
from srgan.metrics.noise_power import BOX, FEWEST_BOXES
from srgan.metrics.registry import NPS, value_at
from srgan.metrics.ttf import Discs
from srgan.report import nodule_tables
from srgan.report.about import About, levels_remark, plural
from srgan.report.columns import Column
from srgan.report.html import viewer_slices
from srgan.report.html.level_tables import IN_LUNG, certainty, tables
from srgan.report.html.page import Fold, Judged, Page, Section
from srgan.report.html.plots import Line, Plot, box_plot, curve_plot
from srgan.report.html.tables import Cell, Row, Table


def page_of(
    levels: Sequence[Level],
    about: About,
    methods: dict[str, Method],
    slices: list[StudySlice],
    seed: int,
) -> Page:
    """The page of a test: verdicts and tables of each level, plots and slices of the first.

    The outputs of the three slices that are shown are made again, with the noise of the study.
    """
    first, *others = levels
    study = first.study
    sections = [
        Section("Figures", (*tables(first), *(Fold(_same(e), tables(e)) for e in others))),
        *([_against_level(levels)] if others else []),
        Section(
            "Patients",
            (
                *_boxes(first),
                certainty(first),
                *(Fold(_same(e), (certainty(e),)) for e in others),
            ),
        ),
        Section("Noise power and sharpness", (_noise_power(first), *_ttf(study.discs, first.at))),
        *([Section("Nodules", _nodules(levels))] if first.nodules else []),
        Section("Slices", viewer_slices.viewers(first, methods, slices, seed)),
        *([Section("Checkpoints", (_checkpoints(about),))] if about.compared() else []),
    ]
    return Page(
        title=f"Judgement on {plural(len(study.patients()), 'held-out patient')}",
        headline=headline(levels),
        judged=tuple(
            Judged(name, tuple(level.conclusions.verdicts[name]), is_network, level.name)
            for level in levels
            for is_network in (True, False)  # who can fail comes first
            for name, kind in level.conclusions.kinds.items()
            if (kind in verdict.NETWORKS) == is_network
        ),
        remarks=(
            *(each.noise_remark for each in levels),
            *about.remarks(),
            about.features_remark(),
            about.denoiser,
            *about.warnings(),
        ),
        sections=tuple(sections),
        facts=_facts(study, about),
        settings=about.settings,
        notes=(verdict.BOUNDS, f"The lung window is {WINDOWS['lung']}."),
    )


def _same(level: Level) -> str:
    return f"The same at {level.name}"


def _facts(study: Study, about: About) -> dict[str, str]:
    counts = list(study.n_slices().values())
    facts = {
        "patients": str(len(counts)),
        "slices": str(sum(counts)),
        "slices a patient": _range(counts),
        **{f"files {word}": str(count) for word, count in about.files.items()},
        "checkpoint's step": str(about.checkpoint.get("step")),
        "version": __version__,
    }
    for name, digest in about.checkpoint.get("models", {}).items():
        facts[f"{name}, SHA-256 of its weights"] = digest
    return facts


def _range(counts: list[int]) -> str:
    low, high = min(counts), max(counts)
    return str(low) if low == high else f"{low} to {high}, median {median(counts):g}"


# ---- tables ----


def _nodules(levels: Sequence[Level]) -> tuple[Table | Fold, ...]:
    first, *others = [
        replace(nodule_tables.table(each.nodules), level=each.name) for each in levels
    ]
    folds = (Fold(_same(e), (t,)) for e, t in zip(levels[1:], others, strict=True))
    return (first, *folds)


def _checkpoints(about: About) -> Table:
    """How those that are compared were made."""
    columns = ("step", "generator", "content loss", "VGG19 weights", "trained in")
    rows = []
    for letter, said in {"A": about.checkpoint, **about.compared()}.items():
        made = (str(said[n]) for n in ("step", "generator", "content_loss", "vgg_weights"))
        noise = Cell(
            f"{said['degradation'].get('model')} noise", None, levels_remark(said["degradation"])
        )
        rows.append(Row(letter, (*made, noise)))
    notes = (
        "Rows without a letter are A's, the main checkpoint's. All are judged on the same slices "
        "with the same noise, of patients that none of them was trained or validated on.",
    )
    columns = tuple(map(Column, columns))
    return Table("Checkpoints compared", columns, tuple(rows), notes, first="checkpoint")


# ---- plots ----


def _boxes(level: Level) -> tuple[Plot, ...]:
    by_patient = level.study.by_patient()
    made = []
    for caption, path, axis in (
        (f"PSNR of each patient, {IN_LUNG}", "psnr_db.lung", "PSNR, lung window, dB"),
        ("RMSE of each patient", "rmse_hu", "RMSE, HU"),
    ):
        values = {
            name: [value_at(of[name], path) for of in by_patient.values()]
            for name in level.study.methods
        }
        made.append(box_plot(f"{caption}{level.at}", values, x=axis))
    return tuple(made)


def _noise_power(level: Level) -> Plot | str:
    """At the frequencies that every measured patient's pixels reach."""
    study = level.study
    patients = [found[NPS] for found in study.normal_dose_by_patient().values()]
    measured = [power for power in patients if any(p is not None for p in power.values())]
    if not measured:
        return f"No slice shows enough soft tissue: {FEWEST_BOXES} squares of {BOX} x {BOX} pixels."
    shared = [f for f in measured[0] if all(power[f] is not None for power in measured)]
    found = {NORMAL_DOSE: level.normal_dose} | level.overall
    x = [float(f) for f in shared]
    lines = [Line(name, x, [of[NPS][f] for f in shared]) for name, of in found.items()]
    n = plural(len(measured), "patient")
    return curve_plot(
        f"Noise power in soft tissue, {n}{level.at}", lines, x="spatial frequency, 1/mm",
        y="NPS, HU^2 mm^2", markers=False,
        notes=("What anatomy is left in the squares is in all lines alike.",),
    )  # fmt: skip


def _ttf(discs: Discs | None, at: str) -> tuple[Plot, ...]:
    if discs is None:
        return ()
    lines = [Line(name, of.frequency, of.curve) for name, of in discs.ttf.items()]
    axes = {"x": "spatial frequency, 1/mm", "y": "contrast that is left"}
    notes = (discs.remark(),)
    caption = f"Task transfer function of a disc{at}"
    return (curve_plot(caption, lines, **axes, level=0.5, markers=False, notes=notes),)


def _against_level(levels: Sequence[Level]) -> Section:
    names = differing([level.degradation for level in levels])
    if len(names) != 1:
        words = "More than one kind of level was listed: see the figures of each, above."
        return Section("Quality against noise", (words,))
    x = [level.degradation.levels[names[0]].middle for level in levels]
    name, made = short_name(names[0]), []
    x_label = levels[0].degradation.noise.axis_labels[names[0]]
    for key, label in (("psnr_db", "PSNR, lung window, dB"), ("ssim", "SSIM, lung window")):
        lines = [
            Line(method, x, [level.overall[method][key]["lung"] for level in levels])
            for method in levels[0].study.methods
        ]
        caption = f"{label.split(',')[0]} against {name}, {IN_LUNG}"
        made.append(
            curve_plot(
                caption,
                lines,
                x=x_label,
                y=label,
                log_x=min(x) > 0,
                ticks=x,
            )
        )
    return Section(f"Quality against {name}", tuple(made))
