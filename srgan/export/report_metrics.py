"""What a report says of certain weights, for their model card."""

import json
from pathlib import Path

from srgan.evaluation import baselines
from srgan.report import summary_json
from srgan.system.errors import one_line
from srgan.system.files import read_bounded
from srgan.system.folders import DAMAGES

BY_WINDOW = ("psnr_db", "ssim")
OTHERS = ("rmse_hu", "bias_hu", "lung_texture_sd_hu", "chi2", "invented_share")
BY_TISSUE = "bias_by_tissue_hu"


def metrics_of(report: Path, name: str, sha256: dict[str, str]) -> dict | None:
    """The metrics of the network with these weights, and of its input, on test patients.

    report: the folder of a report. name: of strength.method_name. sha256: of the weights, by model.
    None where it holds no summary.json, or one of other weights.
    Raises ValueError where summary.json cannot be read. Keys as in summary.json:

        {"patients": 2, "slices": 28, "windows_hu": {"lung": [-1350, 150], ...}, "synthetic": false,
         "levels": [{"noise": {...}, "input": {"bicubic": {...}}, "network": {...},
                     "intervals": {"psnr_db.lung": [34.1, 36.0], ...}}]}

    An interval is that of the network's mean over patients; there is none below ten patients.
    """
    path = report / summary_json.NAME
    if not path.exists():
        return None
    try:
        found = json.loads(read_bounded(path))
        row = summary_json.row_of(found, name, sha256)
        return None if row is None else summary_json.strict(_metrics(found, row))
    except DAMAGES as error:
        raise ValueError(f"{path} is not what a test wrote ({type(error).__name__})") from error


def _metrics(found: dict, row: str) -> dict:
    windows = {name: [float(low), float(high)] for name, (low, high) in found["windows_hu"].items()}
    return {
        "patients": int(found["patients"]),
        "slices": int(found["slices"]),
        "windows_hu": windows,
        "synthetic": bool(found["synthetic"]),
        "levels": [_level(level, row, windows) for level in found.get("levels", [found])],
    }


def _level(level: dict, row: str, windows: dict) -> dict:
    methods = level["methods"]
    before = baselines.input_of(methods)
    return {
        "noise": {name: _plain(value) for name, value in level["noise"].items()},
        "input": {before: _kept(methods[before], windows)},
        "network": _kept(methods[row], windows),
        "intervals": _intervals(level, row, windows),
    }


def _intervals(level: dict, row: str, windows: dict) -> dict[str, list[float]]:
    paths = [f"{key}.{name}" for key in BY_WINDOW for name in windows] + list(OTHERS)
    found = level.get("conclusions", {}).get("intervals", {}).get(row, {})
    ends = {path: [found[path]["low"], found[path]["high"]] for path in paths if path in found}
    return {path: [_number(v) for v in two] for path, two in ends.items() if None not in two}


def _plain(value):
    """A setting of the noise: a number, None, or text on one line."""
    return value if value is None or isinstance(value, int | float) else one_line(value)


def _kept(metrics: dict, windows: dict) -> dict:
    by_window = {key: {name: _number(metrics[key][name]) for name in windows} for key in BY_WINDOW}
    others = {key: _number(metrics.get(key)) for key in OTHERS}
    tissues = metrics.get(BY_TISSUE) or {}
    return {**by_window, **others, BY_TISSUE: {n: _number(value) for n, value in tissues.items()}}


def _number(value) -> float | None:
    """Raises ValueError or TypeError: anybody may have written it."""
    return None if value is None else float(value)
