"""What stands on the report's page: a study's figures, plots and slices, put into `page.Page`."""

import math
from dataclasses import replace

import numpy as np

from srgan import __version__, faithfulness
from srgan.evaluation import conclusions, nodule_tables, verdict
from srgan.evaluation.columns import Subject, figure_at, figure_of, looked_for, subjects, written
from srgan.evaluation.conclusions import Conclusions
from srgan.evaluation.examples import best_of, region
from srgan.evaluation.judge import NPS
from srgan.evaluation.levels import differing, levels_of
from srgan.evaluation.methods import CLASSICAL, Method
from srgan.evaluation.noise_power import BOX, FEWEST
from srgan.evaluation.page import Judged, Page, Section
from srgan.evaluation.plots import Line, Plot, box_plot, curve_plot
from srgan.evaluation.report import About, levels_told
from srgan.evaluation.study import Study, StudySlice, truth_of
from srgan.evaluation.tables import Cell, Column, Row, Table
from srgan.evaluation.viewer import SHOWN, Map, Viewer
from srgan.hounsfield import WINDOWS
from srgan.sharpness import Discs

Studies = list[tuple[Study, About]]
INVENTED_ENDS = (0.3, 1.0)  # of the correlation map: clear below the bound of the share
Z_END = 6.0  # of the consistency map
CERTAINTY = {  # name and form of each figure of conclusions.OVER_PATIENTS
    "psnr_lung_db": ("PSNR, lung, dB", ".2f"),
    "ssim_lung": ("SSIM, lung", ".4f"),
    "rmse_hu": ("RMSE, HU", ".1f"),
}
IN_LUNG = f"lung window {WINDOWS['lung']}"


def page_of(
    studies: Studies, methods: dict[str, Method], slices: list[StudySlice], seed: int
) -> Page:
    """The page of a test: of its first level, and quality against dose where there are more.

    The outputs of the three slices that are shown are made again, with the noise of the study.
    """
    study, about = studies[0]
    found = conclusions.of(study)
    shown = [_viewer(*each, study, about, methods, slices, seed) for each in _chosen(study)]
    sections = [
        Section("Figures", _tables(study)),
        Section("Noise power and sharpness", (_noise_power(study), *_ttf(study.discs))),
    ]
    if about.compared():
        sections.append(Section("Checkpoints", (_checkpoints(about),)))
    if study.nodules:
        sections.append(Section("Nodules", (nodule_tables.table(study.nodules),)))
    if len(studies) > 1:
        sections.append(Section("Quality against dose", _against_level(studies)))
    sections += [
        Section("Patients", (*_boxes(study), _certainty(found))),
        Section("Slices", tuple(shown)),
    ]
    return Page(
        title=f"Judgement on {len(study.patients())} held-out patients",
        headline=found.headline,
        judged=tuple(
            Judged(name, tuple(lines), conclusions.kind_of(name) in verdict.NETWORKS)
            for name, lines in found.verdicts.items()
        ),
        remarks=(*about.remarks(), about.told_of_features(), *about.warnings()),
        sections=tuple(sections),
        facts=_facts(study, about),
        settings=about.settings,
        notes=(verdict.BOUNDS,),
    )


def _facts(study: Study, about: About) -> dict[str, str]:
    facts = {
        "patients": str(len(study.patients())),
        "slices": str(sum(study.n_slices().values())),
        "checkpoint's step": str(about.checkpoint.get("step")),
        "version": __version__,
    }
    for name, digest in about.checkpoint.get("models", {}).items():
        facts[f"{name}, SHA-256 of its weights"] = digest
    return facts


# ---- tables ----


def _tables(study: Study) -> tuple[Table, ...]:
    overall, normal = study.overall(), study.normal_dose_overall()
    return tuple(_table(subject, overall, normal) for subject in subjects(study.windows))


def _table(subject: Subject, figures: dict[str, dict], normal: dict) -> Table:
    columns = tuple(
        replace(c, group="") if c.group == subject.caption.lower() else c  # said once
        for c in looked_for(subject.columns, figures)
    )
    rows = [Row(name, tuple(_cell(of, c) for c in columns)) for name, of in figures.items()]
    cells = tuple(_cell(normal, column) for column in columns)
    if any(cell.shown for cell in cells):
        rows.append(Row("normal dose", cells, judged=False))
    return Table(subject.caption, columns, tuple(rows), subject.notes)


def _cell(figures: dict, column: Column) -> Cell:
    value = figure_of(figures, column)
    known = value is not None and math.isfinite(value)
    return Cell(written(value, column.form), value if known else None)


def _certainty(found: Conclusions) -> Table:
    columns = tuple(Column(name, "mean, SD") for name, _ in CERTAINTY.values())
    columns += tuple(Column(f"p, against {other}", "PSNR lung") for other in conclusions.AGAINST)
    rows, why = [], ""
    for name, intervals in found.intervals.items():
        cells = []
        for figure, each in intervals.items():
            form = CERTAINTY[figure][1]
            sd = "" if each.sd is None else f", {each.sd:{form}}"
            shown = "" if each.mean is None else f"{each.mean:{form}}{sd}"
            under = "" if each.low is None else f"{each.low:{form}} to {each.high:{form}}"
            cells.append(Cell(shown, under=under))
            why = why or each.why
        for other in conclusions.AGAINST:
            compared = found.compared.get(name, {}).get(other)
            p = compared["psnr_lung_db"].p if compared else None
            cells.append("" if p is None else f"{p:.2g}")
        rows.append(Row(name, tuple(cells)))
    notes = (f"No interval: {why}." if why else found.as_json()["interval"],)
    notes += (found.as_json()["test"], f"PSNR and SSIM: {IN_LUNG}.")
    return Table("With what certainty", columns, tuple(rows), notes)


def _checkpoints(about: About) -> Table:
    """How those that are compared were made."""
    columns = ("step", "generator", "content loss", "VGG19 weights", "trained in")
    rows = []
    for letter, said in {"A": about.checkpoint, **about.compared()}.items():
        made = (str(said[n]) for n in ("step", "generator", "content_loss", "vgg_weights"))
        noise = Cell(
            f"{said['degradation'].get('model')} noise", None, levels_told(said["degradation"])
        )
        rows.append(Row(letter, (*made, noise)))
    notes = (
        "Rows without a letter are A's, the main checkpoint's. All are judged on the same slices "
        "with the same noise, of patients that none of them was trained or validated on.",
    )
    columns = tuple(map(Column, columns))
    return Table("Checkpoints compared", columns, tuple(rows), notes, first="checkpoint")


# ---- plots ----


def _boxes(study: Study) -> tuple[Plot, ...]:
    by_patient = study.by_patient()
    made = []
    for caption, path, axis in (
        (f"PSNR of each patient, {IN_LUNG}", ("psnr_db", "lung"), "PSNR, lung window, dB"),
        ("RMSE of each patient", ("rmse_hu",), "RMSE, HU"),
    ):
        values = {
            name: [figure_at(of[name], path) for of in by_patient.values()]
            for name in study.methods
        }
        made.append(box_plot(caption, values, x=axis))
    return tuple(made)


def _noise_power(study: Study) -> Plot | str:
    """At the frequencies that every measured patient's pixels reach."""
    patients = [found[NPS] for found in study.normal_dose_by_patient().values()]
    measured = [power for power in patients if any(p is not None for p in power.values())]
    if not measured:
        return f"No slice shows enough soft tissue: {FEWEST} squares of {BOX} x {BOX} pixels."
    shared = [f for f in measured[0] if all(power[f] is not None for power in measured)]
    found = {"normal dose": study.normal_dose_overall()} | study.overall()
    x = [float(f) for f in shared]
    lines = [Line(name, x, [of[NPS][f] for f in shared]) for name, of in found.items()]
    n = f"{len(measured)} patient{'s' * (len(measured) > 1)}"
    return curve_plot(
        f"Noise power in soft tissue, {n}", lines, x="spatial frequency, 1/mm",
        y="NPS, HU^2 mm^2", markers=False,
        notes=("What anatomy is left in the squares is in all lines alike.",),
    )  # fmt: skip


def _ttf(discs: Discs | None) -> tuple[Plot, ...]:
    if discs is None:
        return ()
    lines = [Line(name, of.frequency, of.curve) for name, of in discs.ttf.items()]
    axes = {"x": "spatial frequency, 1/mm", "y": "contrast that is left"}
    notes = (discs.remark(),)
    caption = "Task transfer function of a disc"
    return (curve_plot(caption, lines, **axes, level=0.5, markers=False, notes=notes),)


def _against_level(studies: Studies) -> tuple[Plot, ...] | tuple[str]:
    names = differing([about.degradation for _, about in studies])
    if len(names) != 1:
        return ("More than one kind of level was listed: see the figures of each in summary.json.",)
    x = [levels_of(about.degradation)[names[0]].middle for _, about in studies]
    overall = [study.overall() for study, _ in studies]
    made = []
    for key, label in (("psnr_db", "PSNR, lung window, dB"), ("ssim", "SSIM, lung window")):
        lines = [
            Line(name, x, [each[name][key]["lung"] for each in overall])
            for name in studies[0][0].methods
        ]
        caption = f"{label.split(',')[0]} against {names[0].replace('_', ' ')}, {IN_LUNG}"
        axis = names[0].replace("_", " ")
        made.append(curve_plot(caption, lines, x=axis, y=label, log_x=min(x) > 0, ticks=x))
    return tuple(made)


# ---- slices ----


def _chosen(study: Study) -> list[tuple[str, str, int]]:
    """("best", pseudonym, number) and so on, by RMSE of the best network (or method)."""
    best = best_of(study)
    found = sorted(
        (row.figures["rmse_hu"], row.pseudonym, row.number)
        for row in study.rows
        if (row.part, row.method) == ("whole", best)
    )
    places = {"best": 0, "median": (len(found) - 1) // 2, "worst": len(found) - 1}
    return [(f"{word} by RMSE of {best}", *found[i][1:]) for word, i in places.items()]


def _viewer(word, pseudonym, number, study, about, methods, slices, seed) -> Viewer:
    item = next(s for s in slices if (s.pseudonym, s.number) == (pseudonym, number))
    truth = truth_of(item, about.degradation, seed)
    pictures = {"normal dose": truth.reference, "low dose": truth.low_dose}
    pictures |= {name: method(truth.low_dose) for name, method in methods.items()}
    pictures.pop("nearest", None)  # the low dose itself is shown that way
    after = next((n for n in ("srgan", "srresnet") if n in pictures), list(pictures)[-1])
    maps = []
    for name in pictures:
        if name in CLASSICAL or name not in methods:
            continue
        both = {"output": pictures[name], "reference": truth.reference, "body": truth.body}
        z, rho = truth.consistency(pictures[name]).z, faithfulness.invention(**both).rho
        flagged = faithfulness.sfrc(**both).flagged
        maps.append(Map("consistency", name, z, "expected SDs", (-Z_END, Z_END), diverging=True))
        maps.append(Map("invention", name, np.where(rho == 0, np.nan, rho), "rho", INVENTED_ENDS))
        maps.append(Map("sFRC", name, flagged.astype(float), "1 is flagged", (0.0, 2.0)))
    return Viewer(
        title=f"{word[0].upper()}{word[1:]}: {pseudonym}, slice {number}",
        words=about.remarks()[0],
        pictures=pictures,
        maps=tuple(maps),
        shown=("normal dose", after),
        detail=region(truth.reference, "lung"),
        spacing_mm=item.spacing_mm,
        windows=SHOWN | {n: w for n, w in study.windows.items() if n not in WINDOWS},
    )
