"""What a study found, for people and programs: a table, metrics.csv and summary.json.

Patients have pseudonyms here, and no path is written.
"""

import csv
import math
import tempfile
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

from srgan.evaluation import conclusions
from srgan.evaluation.level import Level, headline
from srgan.evaluation.study import NORMAL_DOSE, Study
from srgan.hounsfield import Windows
from srgan.lowdose import photon_cache
from srgan.metrics import registry
from srgan.metrics.registry import NPS, value_at
from srgan.report.about import About, checkpoint_remark, counted
from srgan.report.columns import lines as table_lines
from srgan.report.columns import looked_for, subjects, written
from srgan.system.files import clear_parts, write_json, write_whole, writing

FORMAT = 1
NORMAL = NORMAL_DOSE.replace(" ", "_")  # in files


# ---- the table ----


def tables(levels: Sequence[Level], about: About) -> str:
    """The text for a terminal: `table` of the first level, the others' noise and figures."""
    first, *others = levels
    heads = [headline(levels), *(each.conclusions.headline for each in others)]
    texts = [table(first, about), *("\n".join([*_noise(x), *_figures(x)]) for x in others)]
    return "\n\n".join(
        f"{textwrap.fill(head, 100)}\n{text}\n\n{conclusions.text(each.conclusions)}"
        for head, text, each in zip(heads, texts, levels, strict=True)
    )


def table(level: Level, about: About) -> str:
    """Whole slices, then 64 x 64 patches; noise, windows and conditions in the heading."""
    lines = [
        *_noise(level),
        *([photon_cache.told_of(about.photons)] if about.photons else []),
        "; ".join(about.remarks()),
        *_checkpoints(about),
        f"{counted(level.study)}; mean over a patient's slices, then over patients",
        "PSNR and SSIM: clipped to the window, its range is the data range; never compare windows",
        "texture: SD of the slice less its Gaussian of 2 px",
        about.features_remark(),
        *filter(None, [about.denoiser]),
        *(part for text in about.warnings() for part in textwrap.wrap(text, 100)),
    ]
    return "\n".join(lines + _figures(level))


def _checkpoints(about: About) -> list[str]:
    """A line a letter, where checkpoints are compared; A is the main one."""
    every = {"A": about.checkpoint, **about.compared()} if about.compared() else {}
    lines = [f"{letter}: {checkpoint_remark(said)}" for letter, said in every.items()]
    return [part for line in lines for part in textwrap.wrap(line, 100, subsequent_indent="   ")]


def _noise(level: Level) -> list[str]:
    return textwrap.wrap(level.noise_remark, 100)


def _figures(level: Level) -> list[str]:
    study, lines = level.study, []
    columns = [column for subject in subjects(study.windows) for column in subject.columns]
    for part, title in (("whole", "whole slices"), ("patch", "64 x 64 patches")):
        figures = level.overall if part == "whole" else study.overall(part)
        if figures:
            normal = {NORMAL_DOSE: level.normal_dose} if part == "whole" else {}
            lines += ["", title, *table_lines(looked_for(columns, figures), figures | normal)]
        if part == "whole" and study.discs:
            lines += ["", *textwrap.wrap(study.discs.remark(), 100)]
    return lines


# ---- summary.json ----


def summary(level: Level, about: About) -> dict:
    """The content of summary.json: JSON values alone, infinity and NaN as None."""
    study = level.study
    made = {
        "format": FORMAT,
        "slices": sum(study.n_slices().values()),
        "patients": len(study.patients()),
        "slices_by_pseudonym": study.n_slices(),
        "methods": level.overall,
        "patients_by_pseudonym": _without_curves(study.by_patient()),
        "sd_by_pseudonym": _without_curves(study.sd_by_patient()),
        "patches": study.overall("patch"),
        **({"nodules": level.nodules.summary()} if level.nodules else {}),
        "conclusions": level.conclusions.as_json(),
        NORMAL: {
            **level.normal_dose,
            "patients_by_pseudonym": _without_curves(study.normal_dose_by_patient()),
        },
        **({"sharpness": study.discs.as_json()} if study.discs else {}),
        "windows_hu": {name: list(window) for name, window in study.windows.items()},
        "noise": level.degradation.as_json(),
        **({"photons": about.photons} if about.photons else {}),
        **({"files": about.files} if about.files else {}),
        "vgg_weights": about.vgg_weights,
        "vgg_distance_weights": about.features,
        "settings": about.settings,
        "checkpoint": about.checkpoint,
        "synthetic": about.synthetic,
    }
    return _json_value(made)


def _without_curves(value):
    """The spectra of all patients would be most of the file."""
    if not isinstance(value, dict):
        return value
    return {name: _without_curves(inner) for name, inner in value.items() if name != NPS}


def _json_value(value):
    if isinstance(value, dict):
        return {name: _json_value(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_json_value(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


# ---- metrics.csv ----


def csv_columns(windows: Windows) -> dict[str, str]:
    """The columns of metrics.csv that hold metrics, each with the path of its values."""
    columns = [metric.csv_columns(windows) for metric in registry.METRICS]
    return {name: path for of_metric in columns for name, path in of_metric.items()}


def _csv_lines(studies: list[Study]) -> Iterator[tuple]:
    """The head first; the normal dose, which has no level, last and once."""
    first = studies[0]
    noise = list(next(iter(first.noise.values()), {}))
    figures = csv_columns(first.windows)
    yield ("pseudonym", "slice", *noise, "part", "row", "column", "method", *figures)
    for row, made_with in ((r, s.noise[r.pseudonym, r.number]) for s in studies for r in s.rows):
        levels = (written(made_with[name], ".6g") for name in noise)
        values = (written(value_at(row.metrics, path), ".6g") for path in figures.values())
        yield (row.pseudonym, row.number, *levels, row.part, *row.corner, row.method, *values)
    for (pseudonym, number), alone in first.normal_dose.items():
        values = (written(alone.get(name), ".6g") for name in figures)
        yield (pseudonym, number, *("" for _ in noise), "whole", 0, 0, NORMAL, *values)


def _write_csv(path: Path, studies: list[Study]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(_csv_lines(studies))


def prepare(folder: Path) -> None:
    """Make the folder and try a file in it, before the long work. Raises UserError."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
        clear_parts(folder)


def write(folder: Path, levels: Sequence[Level], about: About) -> None:
    """metrics.csv and summary.json, each complete or absent. Raises UserError.

    The first level fills summary.json; where there are more it has each one's noise, metrics and
    conclusions under "levels".

    metrics.csv has a line a level, method and slice or patch (row and column: the patch's first
    pixel in the cropped slice), with "inf" for an infinite PSNR and nothing where nothing was
    measured. Its noise columns are those of `study.noise_of`: a level is the one that was drawn.
    """
    made, *others = [summary(each, about) for each in levels]
    if others:
        names = ("noise", "methods", NORMAL, "nodules", "conclusions", "sharpness")
        made["levels"] = [{n: each[n] for n in names if n in each} for each in (made, *others)]
    with writing(folder):
        studies = [each.study for each in levels]
        write_whole(folder / "metrics.csv", lambda part: _write_csv(part, studies))
        write_json(folder / "summary.json", made)
