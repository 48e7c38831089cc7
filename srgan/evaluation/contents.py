"""What stands on the report's page: a study's figures, plots and slices, put into `page.Page`."""

import math

import numpy as np

from srgan import __version__, faithfulness
from srgan.evaluation import conclusions, verdict
from srgan.evaluation.conclusions import OVER_PATIENTS, Conclusions
from srgan.evaluation.examples import region
from srgan.evaluation.judge import FLAT, TEXTURE, TISSUES_HU
from srgan.evaluation.levels import differing, levels_of
from srgan.evaluation.methods import CLASSICAL, Method
from srgan.evaluation.page import Judged, Page, Section
from srgan.evaluation.plots import Line, Plot, box_plot, curve_plot
from srgan.evaluation.report import About, figure_at
from srgan.evaluation.study import Study, StudySlice, truth_of
from srgan.evaluation.tables import Cell, Column, Row, Table
from srgan.evaluation.viewer import Map, Viewer
from srgan.hounsfield import WINDOWS

Studies = list[tuple[Study, About]]
INVENTED_ENDS = (0.3, 1.0)  # of the correlation map: clear below the bound of the share
Z_END = 6.0  # of the consistency map


def page_of(
    studies: Studies, methods: dict[str, Method], slices: list[StudySlice], seed: int
) -> Page:
    """The page of a test: of its first level, and quality against dose where there are more.

    The outputs of the three slices that are shown are made again, with the noise of the study.
    """
    study, about = studies[0]
    found = conclusions.of(study)
    shown = [_viewer(*each, study, about, methods, slices, seed) for each in _chosen(study)]
    sections = [Section("Figures", (_nearness(study, found), _structure(study)))]
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
        remarks=tuple(about.remarks()),
        sections=tuple(sections),
        facts=_facts(study, about),
        settings=about.settings,
        notes=(verdict.BOUNDS,),
    )


def _facts(study: Study, about: About) -> dict[str, str]:
    facts = {
        "patients": str(len(study.patients())),
        "slices": str(len({(row.pseudonym, row.number) for row in study.rows})),
        "checkpoint's step": str(about.checkpoint.get("step")),
        "version": __version__,
    }
    for name, digest in about.checkpoint.get("models", {}).items():
        facts[f"{name}, SHA-256 of its weights"] = digest
    return facts


# ---- tables ----


def _window_note(name: str) -> str:
    low, high = WINDOWS[name]
    return f"{low:g}..{high:g} HU, range {high - low:g}"


def _table(caption: str, columns, figures: dict[str, dict], normal: dict, notes) -> Table:
    """columns: (Column, path, form) each."""
    rows = [
        Row(name, tuple(_cell(figure_at(of, path), form) for _, path, form in columns))
        for name, of in figures.items()
    ]
    cells = tuple(_cell(figure_at(normal, path), form) for _, path, form in columns)
    if any(cell.shown for cell in cells):
        rows.append(Row("normal dose", cells, judged=False))
    return Table(caption, tuple(column for column, _, _ in columns), tuple(rows), tuple(notes))


def _cell(value: float | None, form: str) -> Cell:
    if value is None:
        return Cell("")
    return Cell(format(value, form), value if math.isfinite(value) else None)


def _nearness(study: Study, found: Conclusions) -> Table:
    columns = []
    for key, group, form in (("psnr_db", "PSNR, dB", ".2f"), ("ssim", "SSIM", ".4f")):
        for window in WINDOWS:
            column = Column(window, _window_note(window), group, f"{key}.{window}", "high")
            columns.append((column, (key, window), form))
    for name, key in (("RMSE", "rmse_hu"), ("MAE", "mae_hu")):
        columns.append((Column(name, "HU", "error", key, "low"), (key,), ".1f"))
    columns.append((Column("mean", "HU", "error", "bias_hu"), ("bias_hu",), "+.2f"))
    for name, key in (("lung", TEXTURE), ("flat", FLAT)):
        columns.append((Column(name, "SD, HU", "texture", key), (key,), ".1f"))
    notes = (
        "Mean over a patient's slices, then over patients. Whole slices; the reference is the "
        "normal dose, clipped to -1024..3071 HU.",
        "Never compare PSNR or SSIM across windows. Texture: SD of the slice less its Gaussian of "
        "2 px, in lung and in flat soft tissue; nearest the normal dose's is best.",
    )
    caption = "How near each method is to the normal dose"
    return _table(caption, columns, study.overall(), study.normal_dose_overall(), notes)


def _structure(study: Study) -> Table:
    columns = [
        (Column(n, "HU", "mean error by tissue", f"bias_by_tissue_hu.{n}"),
         ("bias_by_tissue_hu", n), "+.1f")
        for n in TISSUES_HU
    ]  # fmt: skip
    for name, note, group, key, form in (
        ("chi2", "1 for the truth", "against its input", "chi2", ".2f"),
        ("spots", "a slice", "against its input", "spots", ".1f"),
        ("share", "of the body", "invented", "invented_share", ".3f"),
        ("energy", "HU^2", "invented", "invented_energy_hu2", "+.0f"),
        ("shift", "px", "", "shift_px", ".2f"),
        ("sFRC", "share of patches", "", "sfrc_share", ".2f"),
    ):
        columns.append((Column(name, note, group, key), (key,), form))
    notes = (
        "chi2: the output's block means against the low dose, in expected noise; spots: connected "
        "areas beyond 4 expected SDs. Invented: detail that rises with the output's own error.",
        "sFRC counts sharpness first and does not see invented texture: shown for comparison, "
        "never judged by.",
    )
    return _table("Bias, and what was invented", columns, study.overall(), {}, notes)


def _certainty(found: Conclusions) -> Table:
    columns = tuple(Column(name, "mean, SD") for name in OVER_PATIENTS)
    columns += tuple(Column(f"p, against {other}", "PSNR lung") for other in conclusions.AGAINST)
    rows, why = [], ""
    for name, intervals in found.intervals.items():
        cells = []
        for each in intervals.values():
            sd = "" if each.sd is None else f", {each.sd:.3g}"
            shown = "" if each.mean is None else f"{each.mean:.4g}{sd}"
            under = "" if each.low is None else f"{each.low:.4g} to {each.high:.4g}"
            cells.append(Cell(shown, under=under))
            why = why or each.why
        for other in conclusions.AGAINST:
            compared = found.compared.get(name, {}).get(other)
            p = compared["psnr_lung_db"].p if compared else None
            cells.append("" if p is None else f"{p:.2g}")
        rows.append(Row(name, tuple(cells)))
    notes = (f"No interval: {why}." if why else found.as_json()["interval"],)
    notes += (found.as_json()["test"],)
    return Table("With what certainty", columns, tuple(rows), notes)


# ---- plots ----


def _boxes(study: Study) -> tuple[Plot, ...]:
    by_patient = study.by_patient()
    made = []
    for caption, path, axis in (
        ("PSNR of each patient", ("psnr_db", "lung"), "PSNR, lung window, dB"),
        ("RMSE of each patient", ("rmse_hu",), "RMSE, HU"),
    ):
        values = {
            name: [figure_at(of[name], path) for of in by_patient.values()]
            for name in study.methods
        }
        made.append(box_plot(caption, values, x=axis))
    return tuple(made)


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
        caption = f"{label.split(',')[0]} against {names[0].replace('_', ' ')}"
        axis = names[0].replace("_", " ")
        made.append(curve_plot(caption, lines, x=axis, y=label, log_x=min(x) > 0, ticks=x))
    return tuple(made)


# ---- slices ----


def _chosen(study: Study) -> list[tuple[str, str, int]]:
    """("best", pseudonym, number) and so on, by RMSE of the best network (or method)."""
    overall = study.overall()
    networks = [name for name in overall if name not in CLASSICAL]
    best = min(networks or overall, key=lambda name: overall[name]["rmse_hu"])
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
    maps = []
    for name in pictures:
        if name in CLASSICAL or name not in methods:
            continue
        consistent = faithfulness.consistency(
            output=pictures[name], low_dose=truth.low_dose, sd_hu=truth.sd_hu, body=truth.body,
            scale=truth.scale,
        )  # fmt: skip
        invented = faithfulness.invention(
            output=pictures[name], reference=truth.reference, body=truth.body
        )
        z, rho = consistent.z, invented.rho
        maps.append(Map("consistency", name, z, "expected SDs", (-Z_END, Z_END), diverging=True))
        maps.append(Map("invention", name, np.where(rho == 0, np.nan, rho), "rho", INVENTED_ENDS))
    return Viewer(
        title=f"{word[0].upper()}{word[1:]}: {pseudonym}, slice {number}",
        words=about.remarks()[0],
        pictures=pictures,
        maps=tuple(maps),
        detail=region(truth.reference, "lung"),
        spacing_mm=item.spacing_mm,
    )
