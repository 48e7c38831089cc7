"""Build the report's page from what was measured at each noise level."""

from collections.abc import Callable, Sequence
from statistics import median

from srgan import __version__
from srgan.evaluation import checks
from srgan.evaluation.baselines import Method
from srgan.evaluation.level import Level
from srgan.evaluation.study import NORMAL_DOSE, Study
from srgan.evaluation.study_slice import StudySlice
from srgan.hounsfield import WINDOWS
from srgan.metrics.noise_power import BOX, FEWEST_BOXES
from srgan.metrics.registry import NPS, value_at
from srgan.report import dose_plot, nodule_tables, strength_tables
from srgan.report.about import About, discs_remark, levels_remark, noise_word
from srgan.report.columns import IN_LUNG, Column
from srgan.report.html.level_tables import (
    at_level,
    certainty_table,
    failing,
    main_table,
    metric_tables,
)
from srgan.report.html.plots import Plot, box_plot, curve_plot
from srgan.report.html.render import Fold, Page, Part, Section
from srgan.report.html.tables import Cell, Row, Table
from srgan.report.html.viewer_slices import viewers
from srgan.report.verdict_sentence import verdict_sentences
from srgan.system.errors import plural


def build_page(
    levels: Sequence[Level],
    about: About,
    methods: dict[str, Method],
    slices: list[StudySlice],
    seed: int,
) -> Page:
    """The page of a test: checks and tables of each level, plots and slices of the first.

    The outputs of the slices that are shown are made again, with the noise of the study.
    """
    first, study = levels[0], levels[0].study
    conditions = tuple(filter(None, (about.vgg_distance_remark(), about.denoiser)))
    lung_window = f"The lung window is {WINDOWS['lung']}."
    main_slice, *other_slices = viewers(first, methods, slices, seed)
    certainty = _for_each(levels, lambda level: (certainty_table(level),))
    sections = [
        Section("Slice", (main_slice,)),
        Section("Results", _for_each(levels, lambda level: (main_table(level),))),
        *([_strength(levels, about)] if about.strengths else []),
        Section("Checks", _checks(levels), (checks.BOUNDS, lung_window)),
        Section("Metrics", _for_each(levels, metric_tables), conditions),
        *([_against_level(levels)] if len(levels) > 1 else []),
        Section("Patients", (_patient_plots(first), *certainty)),
        Section("Noise power and sharpness", _frequency_parts(first)),
        *([Section("Nodules", _for_each(levels, _nodules))] if first.nodules else []),
        *([Section("More slices", tuple(other_slices))] if other_slices else []),
        *([Section("Checkpoints", (_checkpoints(about),))] if about.compared() else []),
    ]  # fmt: skip
    return Page(
        title=f"Results on {plural(len(study.patients()), 'held-out patient')}",
        headlines=tuple(verdict_sentences(levels)),
        remarks=(
            *(level.noise_remark for level in levels),
            *about.remarks(),
            *about.history(),
            *about.warnings(),
        ),
        sections=tuple(sections),
        facts=_facts(study, about),
        settings=about.settings,
    )


def _for_each(
    levels: Sequence[Level], parts_of: Callable[[Level], tuple[Part, ...]]
) -> tuple[Part, ...]:
    """Parts of the first level, and those of each other level folded."""
    first, *others = levels
    folds = [Fold(f"The same at {level.name}", parts_of(level)) for level in others]
    return (*parts_of(first), *folds)


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


# ---- checks and tables ----


def _checks(levels: Sequence[Level]) -> tuple[Part, ...]:
    """The checks of each level. Several levels are folded, and the first is open."""
    if len(levels) == 1:
        return (levels[0].conclusions,)
    folds = []
    for i, level in enumerate(levels):
        names = [name for name in level.overall if name in failing(level)]
        said = f"{' and '.join(names) or 'no network'} fail{'s' * (len(names) < 2)}"
        folds.append(Fold(f"At {level.name} {said}", (level.conclusions,), is_open=i == 0))
    return tuple(folds)


def _strength(levels: Sequence[Level], about: About) -> Section:
    """What more strength gives and costs."""
    tables = _for_each(levels, lambda level: (strength_tables.table(level, about.strengths),))
    return Section("Strength", (*tables, strength_tables.plots(levels, about.strengths)))


def _nodules(level: Level) -> tuple[Table, ...]:
    return (at_level(level, nodule_tables.table(level.nodules)),)


def _checkpoints(about: About) -> Table:
    """How the compared checkpoints were trained."""
    columns = ("step", "generator", "content loss", "VGG19 weights", "trained in")
    rows = []
    for letter, said in {"A": about.checkpoint, **about.compared()}.items():
        made = [said[name] for name in ("step", "generator", "content_loss", "vgg_weights")]
        noise = noise_word(said["degradation"].get("model"))
        cells = [Cell(str(word), is_text=True) for word in made]
        cells.append(Cell(noise, under=levels_remark(said["degradation"]), is_text=True))
        rows.append(Row(letter, tuple(cells)))
    notes = (
        "Rows without a letter belong to A, the main checkpoint. All checkpoints are evaluated on "
        "the same slices with the same noise. None was trained or validated on these patients.",
    )
    columns = tuple(map(Column, columns))
    return Table("Checkpoints compared", columns, tuple(rows), notes, first="checkpoint")


# ---- plots ----


def _patient_plots(level: Level) -> tuple[Plot, ...]:
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


def _frequency_parts(level: Level) -> tuple[Part, ...]:
    """The noise power and the task transfer function, as far as they were measured."""
    power, transfer = _noise_power(level), _task_transfer(level)
    few = f"No slice shows enough soft tissue: {FEWEST_BOXES} squares of {BOX} x {BOX} pixels."
    return (*([] if power else [few]), *([power + transfer] if power + transfer else []))


def _noise_power(level: Level) -> tuple[Plot, ...]:
    """At the frequencies that the pixels of every measured patient reach."""
    patients = [found[NPS] for found in level.study.normal_dose_by_patient().values()]
    measured = [power for power in patients if any(p is not None for p in power.values())]
    if not measured:
        return ()
    shared = [f for f in measured[0] if all(power[f] is not None for power in measured)]
    x = [float(f) for f in shared]
    lines = {
        name: (x, [of[NPS][f] for f in shared])
        for name, of in ({NORMAL_DOSE: level.normal_dose} | level.overall).items()
    }
    plot = curve_plot(
        f"Noise power in soft tissue, {plural(len(measured), 'patient')}{level.at}",
        lines, x="spatial frequency, 1/mm", y="NPS, HU^2 mm^2",
        notes=("All lines contain the same remains of anatomy in the measured squares.",),
    )  # fmt: skip
    return (plot,)


def _task_transfer(level: Level) -> tuple[Plot, ...]:
    discs = level.study.discs
    if discs is None:
        return ()
    lines = {name: (of.frequency, of.curve) for name, of in discs.ttf.items()}
    plot = curve_plot(
        f"Task transfer function of a disc{level.at}", lines, level=0.5,
        x="spatial frequency, 1/mm", y="contrast that is left", notes=(discs_remark(discs),),
    )  # fmt: skip
    return (plot,)


def _against_level(levels: Sequence[Level]) -> Section:
    """The means in dose.png, as plots of the page."""
    quality = dose_plot.quality_against_level(levels)
    if quality is None:
        words = "The levels differ in more than one way: see the metrics of each level above."
        return Section("Quality against noise", (words,))
    made = []
    for key, (name, unit) in dose_plot.METRICS.items():
        lines = {method: (quality.x, means) for method, means in quality.means(key).items()}
        plot = curve_plot(
            f"{name} against {quality.name}, {IN_LUNG}", lines, x=quality.axis,
            y=f"{name}, lung window{unit}", log_x=quality.is_logarithmic,
            ticks=quality.x,
        )  # fmt: skip
        made.append(plot)
    return Section(f"Quality against {quality.name}", (tuple(made),))
