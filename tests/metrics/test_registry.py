"""The registry of metrics: an entry in it is all that a new metric needs."""

import csv
import json
import re
from pathlib import Path

import numpy as np

from srgan.evaluation import baselines, study, study_slice
from srgan.evaluation.level import levels_of
from srgan.hounsfield import WINDOWS
from srgan.metrics import registry
from srgan.metrics.registry import Metric
from srgan.report import metrics_csv, summary_json, terminal
from srgan.report.about import About
from srgan.report.html import build_page, render
from tests.helpers.made_structure import IMAGE_NOISE

ROOT = Path(__file__).parents[2]
ABOUT = About(IMAGE_NOISE, "random", True, {}, {"step": 7})


def test_a_new_entry_is_in_terminal_csv_json_and_page(tmp_path, monkeypatch):
    made = Metric(
        "highest_hu", "highest", "HU", ".1f", lambda output: float(output.image.max()),
        on_patches=True, better="low", table="Something new",
    )  # fmt: skip
    monkeypatch.setattr(registry, "METRICS", (*registry.METRICS, made))
    methods = {"bicubic": baselines.classical(4)["bicubic"]}
    hu = np.random.default_rng(0).normal(40, 20, (96, 96)).astype(np.float32)
    slices = [study_slice.StudySlice("P0001", 1, (0.7, 0.7), 1, lambda: hu)]
    levels = levels_of([(IMAGE_NOISE, study.run(methods, slices, IMAGE_NOISE, 0))])
    value = float(methods["bicubic"](study_slice.make_pair(slices[0], IMAGE_NOISE, 0)[1]).max())

    metrics_csv.write(tmp_path, levels)
    summary_json.write(tmp_path, levels, ABOUT)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["methods"]["bicubic"]["highest_hu"] == value
    assert summary["patches"]["bicubic"]["highest_hu"] > 0
    assert summary["conclusions"]["intervals"]["bicubic"]["highest_hu"]["mean"] == value
    with open(tmp_path / "metrics.csv", newline="") as file:
        row = next(csv.DictReader(file))
    assert (row["method"], row["highest_hu"]) == ("bicubic", f"{value:.6g}")
    details = terminal.details(levels, ABOUT)
    assert " highest" in details
    assert f"{value:.1f}" in details
    text = render.render(build_page.build_page(levels, ABOUT, methods, slices, 0))
    assert f'data-key="highest_hu" data-value="{json.dumps(value)}">{value:.1f}' in text
    assert "Something new" in text


def test_keys_differ_and_each_metric_is_explained():
    keys = [metric.key for metric in registry.METRICS]
    assert len(set(keys)) == len(keys)
    text = (ROOT / registry.EXPLAINED_IN).read_text()
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    for metric in registry.METRICS:
        assert metric.explained in headings or not metric.table, metric.key
        assert metric.better in ("", "high", "low", "normal dose")


def test_metrics_csv_has_these_columns():
    columns = [name for metric in registry.METRICS for name in metric.csv_columns(WINDOWS)]
    assert columns == [
        "psnr_db_full", "psnr_db_lung", "psnr_db_mediastinum",
        "ssim_full", "ssim_lung", "ssim_mediastinum",
        "psnr_body_db_full", "psnr_body_db_lung", "psnr_body_db_mediastinum",
        "ssim_body_full", "ssim_body_lung", "ssim_body_mediastinum",
        "rmse_hu", "mae_hu", "bias_hu", "lung_texture_sd_hu", "flat_sd_hu", "nps_distance",
        "edge_mm", "vessel_mm", "vgg_distance",
        "bias_air_hu", "bias_lung_hu", "bias_fat_hu", "bias_soft_tissue_hu", "bias_bone_hu",
        "chi2", "spots", "wide_spots", "removed_share", "removed_spot",
        "invented_share", "invented_energy_hu2", "shift_px",
        "sfrc_share",
    ]  # fmt: skip


def test_a_value_is_found_by_its_path():
    values = {"rmse_hu": 3.0, "psnr_db": {"lung": 30.0, "full": None}}
    assert registry.value_at(values, "rmse_hu") == 3.0
    assert registry.value_at(values, "psnr_db.lung") == 30.0
    assert registry.value_at(values, "psnr_db.full") is None
    assert registry.value_at(values, "ssim.lung") is None
