"""What a report says of certain weights, for their model card."""

import json
from pathlib import Path

from srgan.evaluation import baselines
from srgan.report import summary_json
from srgan.system.files import read_bounded
from srgan.system.folders import DAMAGES

KEPT = (
    "psnr_db", "ssim", "rmse_hu", "bias_hu", "bias_by_tissue_hu", "lung_texture_sd_hu", "chi2",
    "invented_share",
)  # fmt: skip


def metrics_of(report: Path, sha256: str) -> dict | None:
    """The metrics of the network with these weights, and of its input, on test patients.

    report: the folder of a report. None where it holds no summary.json, or one of other weights.
    Raises ValueError where summary.json cannot be read. Keys as in summary.json:

        {"patients": 2, "slices": 28, "windows_hu": {"lung": [-1350, 150], ...},
         "levels": [{"noise": {...}, "input": {"bicubic": {...}}, "network": {...}}]}
    """
    path = report / summary_json.NAME
    if not path.exists():
        return None
    try:
        found = json.loads(read_bounded(path))
        models = found["checkpoint"]["models"]
        row = next((row for row, digest in models.items() if digest == sha256), None)
        return None if row is None else _metrics(found, row)
    except DAMAGES as error:
        raise ValueError(f"{path} is not what a test wrote ({type(error).__name__})") from error


def _metrics(found: dict, row: str) -> dict:
    levels = []
    for level in found.get("levels", [found]):
        before = baselines.input_of(level["methods"])
        kept = {
            name: {
                key: level["methods"][name][key] for key in KEPT if key in level["methods"][name]
            }
            for name in (before, row)
        }
        levels.append(
            {"noise": level["noise"], "input": {before: kept[before]}, "network": kept[row]}
        )
    numbers = {name: found[name] for name in ("patients", "slices", "windows_hu", "synthetic")}
    return {**numbers, "levels": levels}
