"""What a study found, for people and programs: a table, metrics.csv and summary.json.

Patients have pseudonyms here, and no path is written.
"""

import csv
import math
import tempfile
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from srgan.evaluation import conclusions
from srgan.evaluation.slice_metrics import (
    BODY_PSNR,
    BODY_SSIM,
    EDGE,
    FLAT,
    NPS,
    NPS_DISTANCE,
    TEXTURE,
    TISSUES_HU,
    VESSEL,
    VGG_DISTANCE,
)
from srgan.evaluation.study import NORMAL_DOSE, Study
from srgan.hounsfield import WINDOWS, Windows
from srgan.lowdose import photon_cache
from srgan.lowdose.degradation import Degradation
from srgan.lowdose.level_names import called, short
from srgan.report.columns import figure_at, looked_for, subjects, written
from srgan.report.columns import lines as table_lines
from srgan.system.files import clear_parts, write_json, write_whole, writing

FORMAT = 1
FAITHFULNESS = (
    "chi2", "spots", "wide_spots", "invented_share", "invented_energy_hu2", "shift_px",
    "sfrc_share",
)  # fmt: skip
NORMAL = NORMAL_DOSE.replace(" ", "_")  # in files
LEVELS = ("noise_lambda", "noise_sigma", "dose")  # of a degradation as JSON


@dataclass(frozen=True)
class About:
    """What is said beside every figure and on every picture."""

    degradation: Degradation
    vgg_weights: str  # as the checkpoint names them
    synthetic: bool  # the scans that were tested on
    settings: dict  # JSON values
    checkpoint: dict  # JSON values, as runs.compared.record
    photons: dict | None = None  # photons.summary and their source, of noise in the projections
    features: str = "none"  # whose weights the VGG distance has: imagenet, file, none
    denoiser: str = ""  # how the classical row's cut-off was found
    files: dict = field(default_factory=dict)  # how many were found, used and skipped

    def remarks(self) -> list[str]:
        """Noise, VGG19 weights, and whether the scans are made."""
        others = self.compared()
        weights = [self.vgg_weights, *(f"{n}: {of['vgg_weights']}" for n, of in others.items())]
        remarks = [self.degradation.noise.remark(), f"VGG19 weights: {', '.join(weights)}"]
        if self.synthetic:
            remarks.append("SYNTHETIC scans")
        if self.checkpoint.get("synthetic"):
            remarks.append("trained on SYNTHETIC scans")
        remarks += [f"{n} trained on SYNTHETIC scans" for n in others if others[n]["synthetic"]]
        return remarks

    def warnings(self) -> list[str]:
        """What the guards of each checkpoint's training said."""
        every = {"": self.checkpoint} | {f" of {n}": of for n, of in self.compared().items()}
        return [
            f"warned in the training{letter}, {text}"
            for letter, said in every.items()
            for text in said.get("warnings", [])
        ]

    def told_of_features(self) -> str:
        """What the VGG distance is, or why there is none."""
        if self.features == "none":
            return "no VGG distance: no trained weights of VGG19 were found (--vgg-weights PATH)"
        whose = "ImageNet weights" if self.features == "imagenet" else "weights of a file"
        return f"VGG distance: mean squared difference of VGG19's conv5_4 features, {whose}"

    def compared(self) -> dict[str, dict]:
        """What is said of each further checkpoint, by its letter."""
        return self.checkpoint.get("compared", {})


def told_of_checkpoint(said: dict) -> str:
    """How a checkpoint was made, in a line; said: of one, as in About.checkpoint."""
    return (
        f"step {said['step']}, {said['generator']} generator, content {said['content_loss']}, "
        f"VGG19 weights {said['vgg_weights']}, trained in {said['degradation'].get('model')} noise "
        f"({levels_told(said['degradation'])})"
    )


def levels_told(degradation: dict) -> str:
    """The levels of a degradation that is a dict of JSON values: "lambda 1700, sigma 0.005"."""
    return ", ".join(f"{short(n)} {degradation[n]}" for n in LEVELS if n in degradation)


def plural(count: int, word: str) -> str:
    """ "1 slice", "2 slices"."""
    return f"{count} {word}{'' if count == 1 else 's'}"


def counted(study: Study) -> str:
    """ "5 slices of 2 patients"."""
    of = study.n_slices()
    return f"{plural(sum(of.values()), 'slice')} of {plural(len(of), 'patient')}"


# ---- the table ----


def tables(studies: list[tuple[Study, About]]) -> str:
    """The text for a terminal: `table` of the first level, the others' noise and figures."""
    others = ["\n".join([*_noise(about), *_figures(study)]) for study, about in studies[1:]]
    found = [conclusions.of(study) for study, _ in studies]
    names = called([about.degradation for _, about in studies])
    heads = [conclusions.headline(names, found), *(of.headline for of in found[1:])]
    texts = zip(heads, [table(*studies[0]), *others], found, strict=True)
    return "\n\n".join(
        f"{textwrap.fill(head, 100)}\n{text}\n\n{conclusions.text(of)}" for head, text, of in texts
    )


def table(study: Study, about: About) -> str:
    """Whole slices, then 64 x 64 patches; noise, windows and conditions in the heading."""
    lines = [
        *_noise(about),
        *([photon_cache.told_of(about.photons)] if about.photons else []),
        "; ".join(about.remarks()[1:]),
        *_checkpoints(about),
        f"{counted(study)}; mean over a patient's slices, then over patients",
        "PSNR and SSIM: clipped to the window, its range is the data range; never compare windows",
        "texture: SD of the slice less its Gaussian of 2 px",
        about.told_of_features(),
        *filter(None, [about.denoiser]),
        *(part for text in about.warnings() for part in textwrap.wrap(text, 100)),
    ]
    return "\n".join(lines + _figures(study))


def _checkpoints(about: About) -> list[str]:
    """A line a letter, where checkpoints are compared; A is the main one."""
    every = {"A": about.checkpoint, **about.compared()} if about.compared() else {}
    lines = [f"{letter}: {told_of_checkpoint(said)}" for letter, said in every.items()]
    return [part for line in lines for part in textwrap.wrap(line, 100, subsequent_indent="   ")]


def _noise(about: About) -> list[str]:
    return textwrap.wrap(about.remarks()[0], 100)


def _figures(study: Study) -> list[str]:
    lines = []
    columns = [column for subject in subjects(study.windows) for column in subject.columns]
    for part, title in (("whole", "whole slices"), ("patch", "64 x 64 patches")):
        figures = study.overall(part)
        if figures:
            normal = {NORMAL_DOSE: study.normal_dose_overall()} if part == "whole" else {}
            lines += ["", title, *table_lines(looked_for(columns, figures), figures | normal)]
        if part == "whole" and study.discs:
            lines += ["", *textwrap.wrap(study.discs.remark(), 100)]
    return lines


# ---- summary.json ----


def summary(study: Study, about: About) -> dict:
    """The content of summary.json: JSON values alone, infinity and NaN as None."""
    made = {
        "format": FORMAT,
        "slices": sum(study.n_slices().values()),
        "patients": len(study.patients()),
        "slices_by_pseudonym": study.n_slices(),
        "methods": study.overall(),
        "patients_by_pseudonym": _without_curves(study.by_patient()),
        "sd_by_pseudonym": _without_curves(study.sd_by_patient()),
        "patches": study.overall("patch"),
        **({"nodules": study.nodules.summary()} if study.nodules else {}),
        "conclusions": conclusions.of(study).as_json(),
        NORMAL: {
            **study.normal_dose_overall(),
            "patients_by_pseudonym": _without_curves(study.normal_dose_by_patient()),
        },
        **({"sharpness": study.discs.as_json()} if study.discs else {}),
        "windows_hu": {name: list(window) for name, window in study.windows.items()},
        "noise": about.degradation.as_json(),
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

_WINDOWED = ("psnr_db", "ssim", BODY_PSNR, BODY_SSIM)
_PLAIN = ("rmse_hu", "mae_hu", "bias_hu", TEXTURE, FLAT, NPS_DISTANCE, EDGE, VESSEL, VGG_DISTANCE)


def csv_figures(windows: Windows = WINDOWS) -> dict[str, tuple[str, ...]]:
    """The columns of metrics.csv that are figures: name to the path in judge.figures."""
    found = {f"{name}_{window}": (name, window) for name in _WINDOWED for window in windows}
    found |= {name: (name,) for name in _PLAIN}
    found |= {
        f"bias_{name.replace(' ', '_')}_hu": ("bias_by_tissue_hu", name) for name in TISSUES_HU
    }
    return found | {name: (name,) for name in FAITHFULNESS}


def _csv_lines(studies: list[Study]) -> Iterator[tuple]:
    """The head first; the normal dose, which has no level, last and once."""
    first = studies[0]
    noise = list(next(iter(first.noise.values()), {}))
    figures = csv_figures(first.windows)
    yield ("pseudonym", "slice", *noise, "part", "row", "column", "method", *figures)
    for row, made_with in ((r, s.noise[r.pseudonym, r.number]) for s in studies for r in s.rows):
        levels = (written(made_with[name], ".6g") for name in noise)
        values = (written(figure_at(row.figures, path), ".6g") for path in figures.values())
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


def write(folder: Path, studies: list[tuple[Study, About]]) -> None:
    """metrics.csv and summary.json, each complete or absent. Raises UserError.

    The first study fills summary.json; where there are more, at other noise levels, it has each
    one's noise, figures and conclusions under "levels".

    metrics.csv has a line a level, method and slice or patch (row and column: the patch's first
    pixel in the cropped slice), with "inf" for an infinite PSNR and nothing where nothing was
    measured. Its noise columns are those of `study.noise_of`: a level is the one that was drawn.
    """
    made, *others = [summary(*each) for each in studies]
    if others:
        names = ("noise", "methods", NORMAL, "nodules", "conclusions", "sharpness")
        made["levels"] = [{n: each[n] for n in names if n in each} for each in (made, *others)]
    with writing(folder):
        write_whole(folder / "metrics.csv", lambda part: _write_csv(part, [s for s, _ in studies]))
        write_json(folder / "summary.json", made)
