"""What is concluded from metrics over patients, in words and in summary.json."""

import numpy as np
import pytest
from scipy import stats

from srgan.evaluation import conclusions, study
from srgan.hounsfield import WINDOWS
from srgan.report import columns, summary_json

NAMES = ("bicubic", "srresnet", "srgan", "mine")
TISSUES = ("air", "lung", "fat", "soft tissue", "bone")


def metrics(value):
    """Of one method in one patient; no spots, and a bone that was not measured."""
    by_window = {
        name: dict.fromkeys(WINDOWS, value)
        for name in ("psnr_db", "psnr_body_db", "ssim", "ssim_body")
    }
    plain = {"rmse_hu": -value, "mae_hu": -value, "bias_hu": value, "chi2": value / 30}
    tissues = {tissue: None if tissue == "bone" else value for tissue in TISSUES}
    return by_window | plain | {"spots": 0.0, "bias_by_tissue_hu": tissues, "shift_px": 0.01}


def study_of(patients, more=lambda name, patient: 0.0):
    rows = [
        study.Row(f"P{i:04}", 1, "whole", (0, 0), name, metrics(30 + i / 7 + k + more(name, i)))
        for i in range(patients)
        for k, name in enumerate(NAMES)
    ]
    alone = {(f"P{i:04}", 1): {} for i in range(patients)}
    return study.Study(NAMES, tuple(rows), alone)


def noise(name, patient):
    return float(np.random.default_rng([NAMES.index(name), patient]).normal(0, 0.3))


def concluded(made):
    return conclusions.of(made, {"mine": "gan"})


@pytest.fixture
def found():
    return concluded(study_of(12, noise))


def test_every_metric_of_the_tables_has_an_interval(found):
    overall = study_of(12, noise).overall()
    shown = [c for subject in columns.subjects(WINDOWS) for c in subject.columns]
    shown = columns.measured_columns(shown, overall)
    assert set(found.intervals["srgan"]) == {c.key for c in shown}
    for column in shown:
        wanted = columns.value_of(overall["srgan"], column)
        assert found.intervals["srgan"][column.key].mean == pytest.approx(wanted), column.key
    assert found.intervals["srgan"]["spots"].why == "equal in all 12 patients"
    assert found.intervals["srgan"]["bias_by_tissue_hu.bone"].why == "measured in no patient"
    assert found.intervals["srgan"]["bias_by_tissue_hu.lung"].low is not None


def test_metrics_with_a_better_end_are_tested_paired_by_patient(found):
    of_mine = found.compared["mine"]
    assert list(of_mine) == ["bicubic", "srresnet"]
    assert list(found.compared["srresnet"]) == ["bicubic"]
    assert "bicubic" not in found.compared
    windowed = {f"{n}.{w}" for n in ("psnr_db", "psnr_body_db", "ssim", "ssim_body")
                for w in WINDOWS}  # fmt: skip
    assert set(of_mine["srresnet"]) == windowed | {"rmse_hu", "mae_hu"}
    mine, other = (
        [30 + i / 7 + k + noise(name, i) for i in range(12)]
        for k, name in ((3, "mine"), (1, "srresnet"))
    )
    compared = of_mine["srresnet"]["psnr_db.lung"]
    assert compared.p == pytest.approx(stats.wilcoxon(mine, other).pvalue)
    assert compared.difference.mean == pytest.approx(np.subtract(mine, other).mean())
    assert of_mine["srresnet"]["rmse_hu"].difference.mean == pytest.approx(
        -compared.difference.mean
    )


def test_conclusions_as_json_have_kinds_intervals_and_differences(found):
    made = summary_json.strict(found.as_json())
    assert made["kinds"]["mine"] == "gan"
    interval = made["intervals"]["mine"]["ssim.lung"]
    assert interval["low"] < interval["mean"] < interval["high"]
    difference = made["compared"]["mine"]["bicubic"]["psnr_db.lung"]["difference"]
    assert difference["low"] < difference["mean"] < difference["high"]


def test_kind_of_a_method_is_the_given_one_or_guessed_by_its_name():
    kinds = {name: conclusions.kind_of(name) for name in ("nearest", "srresnet", "srgan", "mine")}
    assert kinds == {
        "nearest": "enlargement", "srresnet": "pixel", "srgan": "gan", "mine": "pixel"
    }  # fmt: skip
    assert conclusions.kind_of("mine", {"mine": "denoiser"}) == "denoiser"
    assert conclusions.kind_of("srgan", {"mine": "denoiser"}) == "gan"


def test_a_network_between_two_is_compared_with_the_srresnet_of_its_own_checkpoint():
    methods = ("srresnet", "srresnet B", "srgan 0.5", "srgan 0.5 B")
    wanted = {"srgan 0.5": "srresnet", "srgan 0.5 B": "srresnet B", "srgan C": "srresnet"}
    for name, own in wanted.items():
        assert conclusions._srresnet_of(name, conclusions.kind_of(name), methods) == own
