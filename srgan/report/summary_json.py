"""summary.json: what a test found, for programs. It holds pseudonyms and no path."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from srgan.evaluation.level import Level
from srgan.evaluation.study import NORMAL_DOSE
from srgan.metrics import input_noise
from srgan.metrics.registry import NPS
from srgan.report import strength_tables
from srgan.report.about import About
from srgan.report.verdict_sentence import verdict_sentences
from srgan.system.files import json_text, read_bounded, write_json, writing

NAME = "summary.json"
FORMAT = 1
NORMAL = NORMAL_DOSE.replace(" ", "_")
OF_EACH_LEVEL = (
    "noise", "input_noise", "methods", NORMAL, "nodules", "strength", "conclusions", "sharpness"
)  # fmt: skip


def write(folder: Path, levels: Sequence[Level], about: About) -> None:
    """The first level fills the file. With more levels, each has its part under "levels".

    The file is complete or absent. Raises UserError.
    """
    with writing(folder):
        write_json(folder / NAME, _content(levels, about))


def is_in(folder: Path, levels: Sequence[Level], about: About) -> bool:
    """Does the folder hold what `write` would write?"""
    try:
        there = read_bounded(folder / NAME)
    except OSError:
        return False
    return there == json_text(_content(levels, about)).encode()


def _content(levels: Sequence[Level], about: About) -> dict:
    parts = [summary(level, about) for level in levels]
    content = dict(parts[0])
    if len(parts) > 1:
        content["levels"] = [{n: part[n] for n in OF_EACH_LEVEL if n in part} for part in parts]
    return content


def summary(level: Level, about: About) -> dict:
    """The content for one level: JSON values only, None for infinity and NaN."""
    study, strengths = level.study, about.strengths
    headline = " ".join(verdict_sentences([level]))
    content = {
        "format": FORMAT,
        "slices": sum(study.n_slices().values()),
        "patients": len(study.patients()),
        "slices_by_pseudonym": study.n_slices(),
        "methods": level.overall,
        "patients_by_pseudonym": _without_spectra(study.by_patient()),
        "sd_by_pseudonym": _without_spectra(study.sd_by_patient()),
        "patches": study.overall("patch"),
        **({"nodules": level.nodules.summary()} if level.nodules else {}),
        **({"strength": strength_tables.as_json(level, strengths)} if strengths else {}),
        "conclusions": {"headline": headline, **level.conclusions.as_json()},
        NORMAL: {
            **level.normal_dose,
            "patients_by_pseudonym": _without_spectra(study.normal_dose_by_patient()),
        },
        **({"sharpness": study.discs.as_json()} if study.discs else {}),
        "windows_hu": {name: list(window) for name, window in study.windows.items()},
        "noise": level.degradation.as_json(),
        "input_noise": input_noise.summary(study.input_noise_hu.values()),
        **({"photons": about.photons} if about.photons else {}),
        **({"files": about.files} if about.files else {}),
        "vgg_weights": about.vgg_weights,
        "vgg_distance_weights": about.vgg_distance_weights,
        "settings": about.settings,
        "ensemble": about.ensemble,
        "checkpoint": about.checkpoint,
        "synthetic": about.synthetic,
    }
    return strict(content)


def row_of(
    found: dict, name: str, sha256: Mapping[str, str], *, ensemble: bool = False
) -> str | None:
    """The row of a network in the content of a summary.json: "srgan", or "srgan B" of a compared
    checkpoint. None where it has none of these weights, or tested them with eight passes
    (self-ensemble) and not with one, or the other way round.

    name: of strength.method_name. sha256: of the weights that it is made of, by model. Raises one
    of folders.DAMAGES where the content is not what `write` writes.
    """
    if found.get("ensemble", False) != ensemble:  # reports of earlier versions have one pass
        return None
    models = found["checkpoint"]["models"]
    suffixes = ("", *(f" {letter}" for letter in found["checkpoint"].get("compared", {})))
    rows = [
        name + suffix
        for suffix in suffixes
        if all(models.get(model + suffix) == digest for model, digest in sha256.items())
    ]
    return next((row for row in rows if row in found["methods"]), None)


def _without_spectra(value):
    """The noise power of all patients would be most of the file."""
    if not isinstance(value, dict):
        return value
    return {name: _without_spectra(inner) for name, inner in value.items() if name != NPS}


def strict(value):
    """The same with None for infinity and NaN, which JSON does not have."""
    if isinstance(value, dict):
        return {name: strict(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [strict(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
