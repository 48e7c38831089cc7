"""The tables of benchmarks/peers.py: on the terminal, as Markdown, and every number as JSON."""

import json
import math
from collections.abc import Mapping
from pathlib import Path

from benchmarks import common
from srgan.evaluation.study import NORMAL_DOSE, Study
from srgan.metrics.registry import TISSUES, TTF50, value_at

TABLES = {  # caption to heads of columns: where a value stands, and how it is written
    "PSNR in dB and SSIM, by window; RMSE in HU": {
        "lung": ("psnr_db.lung", ".2f"),
        "mediast.": ("psnr_db.mediastinum", ".2f"),
        "full": ("psnr_db.full", ".2f"),
        "SSIM lung": ("ssim.lung", ".4f"),
        "mediast. ": ("ssim.mediastinum", ".4f"),
        "full ": ("ssim.full", ".4f"),
        "RMSE": ("rmse_hu", ".1f"),
    },
    "Texture (SD in HU), noise power, sharpness, what was invented": {
        "lung": ("lung_texture_sd_hu", ".1f"),
        "flat": ("flat_sd_hu", ".1f"),
        "NPS": ("nps_distance", ".2f"),
        "TTF50/mm": (TTF50, ".3f"),
        "vessel mm": ("vessel_mm", ".2f"),
        "edge mm": ("edge_mm", ".2f"),
        "invented": ("invented_share", ".3f"),
    },
    "Mean error by tissue, HU": {t: (f"bias_by_tissue_hu.{t}", "+.1f") for t in TISSUES},
}
MARKDOWN = {  # the README's columns: values of one cell
    "PSNR lung / mediastinum, dB": (("psnr_db.lung", ".2f"), ("psnr_db.mediastinum", ".2f")),
    "SSIM lung / mediastinum": (("ssim.lung", ".3f"), ("ssim.mediastinum", ".3f")),
    "RMSE, HU": (("rmse_hu", ".1f"),),
    "texture lung / flat, HU": (("lung_texture_sd_hu", ".1f"), ("flat_sd_hu", ".1f")),
    "NPS distance": (("nps_distance", ".2f"),),
    "TTF50, 1/mm": ((TTF50, ".3f"),),
    "vessel, mm": (("vessel_mm", ".2f"),),
    "invented": (("invented_share", ".2f"),),
}
AGAINST = {  # the peer, patient by patient
    "psnr_db.lung": "PSNR lung {:+.2f} dB",
    "psnr_db.mediastinum": "mediastinum {:+.2f} dB",
    "ssim.lung": "SSIM lung {:+.4f}",
    "ssim.mediastinum": "mediastinum {:+.4f}",
}


def result(measured: Study, peer: str, ours: list[str]) -> dict:
    """Every number for JSON: means, values by patient, and differences of ours and the peer."""
    by_patient = measured.by_patient()
    return {
        "format": 1,
        "slices": measured.n_slices(),
        "means": measured.overall(),
        "normal_dose": measured.normal_dose_overall(),
        "by_patient": by_patient,
        "against_peer": {name: _differences(by_patient, name, peer) for name in ours},
    }


def _differences(by_patient: Mapping[str, dict], name: str, peer: str) -> dict:
    """By metric: the mean difference, on how many patients ours is below, and each patient's."""
    found = {}
    for path in AGAINST:
        values = {
            p: (value_at(of[name], path), value_at(of[peer], path)) for p, of in by_patient.items()
        }
        each = {
            p: ours - theirs for p, (ours, theirs) in values.items() if None not in (ours, theirs)
        }
        below = sum(difference < 0 for difference in each.values())
        mean = math.fsum(each.values()) / len(each) if each else None
        found[path] = {"mean": mean, "below": below, "by_patient": each}
    return found


def beside_own_scores(folder: Path, measured: Study, peer: str) -> dict[str, float]:
    """The largest differences of our PSNR and SSIM from the peer's own scores of its output.

    Only patients all of whose slices were measured; none, and there is no value.
    """
    own = json.loads((folder / "torch.json").read_text())["patients"]
    largest: dict[str, float] = {}
    for patient, of in measured.by_patient().items():
        for window, scores in own[patient]["network"].items():
            for ours, theirs in (("psnr_db", "psnr"), ("ssim", "ssim")):
                value = of[peer][ours][window]
                if value is not None:
                    gap = abs(value - scores[theirs])
                    largest[ours] = max(largest.get(ours, 0.0), gap)
    return largest


def _rows(measured: Study) -> dict[str, dict]:
    return measured.overall() | {NORMAL_DOSE: measured.normal_dose_overall()}


def text(measured: Study, result: dict) -> list[str]:
    """Lines for the terminal."""
    rows, of_patient = _rows(measured), measured.n_slices()
    lines = [f"{sum(of_patient.values())} slices of {len(of_patient)} patients"]
    width = max(map(len, rows)) + 1
    for caption, columns in TABLES.items():
        lines += ["", caption, " " * width + "".join(f"{head:>12}" for head in columns)]
        forms = dict(columns.values())
        for name, values in rows.items():
            found = {path: _number(values, path) for path in forms}
            if not all(map(math.isnan, found.values())):
                lines.append(common.line(f"{name:{width}}", found, forms, 12))
    lines += ["", "Against the PyTorch peer; in brackets on how many patients below it:"]
    for name, of in result["against_peer"].items():
        words = [
            f"{form.format(of[path]['mean'])} ({of[path]['below']})"
            for path, form in AGAINST.items()
            if of[path]["mean"] is not None
        ]
        lines.append(f"{name}: {', '.join(words)}")
    gaps = ", ".join(f"{key} {gap:.1g}" for key, gap in result["peer_scores"].items())
    return [*lines, "", f"Largest difference from the peer's own scores: {gaps}"]


def markdown(measured: Study) -> list[str]:
    """The README's table."""
    lines = ["| | " + " | ".join(MARKDOWN) + " |", "|---" * (len(MARKDOWN) + 1) + "|"]
    for name, values in _rows(measured).items():
        cells = (_cell(values, parts) for parts in MARKDOWN.values())
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def _cell(values: dict, parts: tuple[tuple[str, str], ...]) -> str:
    numbers = [(_number(values, path), form) for path, form in parts]
    if any(math.isnan(number) for number, _ in numbers):
        return ""
    return " / ".join(format(number, form) for number, form in numbers)


def _number(values: dict, path: str) -> float:
    found = value_at(values, path)
    return math.nan if found is None else found
