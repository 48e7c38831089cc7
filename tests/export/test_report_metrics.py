"""Metrics of test patients in a model card: from summary.json, of the same weights alone."""

import dataclasses
import json

import pytest

from srgan.export import report_metrics
from srgan.report import summary_json
from tests.helpers.made_report import ABOUT, made_level, two_doses

CHECKPOINT = {**ABOUT.checkpoint, "models": {"srresnet": "a" * 64, "srgan": "b" * 64}}
TESTED = dataclasses.replace(ABOUT, checkpoint=CHECKPOINT)


def test_the_row_of_these_weights_and_that_of_the_input(tmp_path):
    summary_json.write(tmp_path, [made_level()], TESTED)
    found = report_metrics.metrics_of(tmp_path, "srresnet", {"srresnet": "a" * 64})
    methods = json.loads((tmp_path / "summary.json").read_text())["methods"]
    (level,) = found["levels"]
    assert (found["patients"], found["slices"], found["synthetic"]) == (2, 3, True)
    assert found["windows_hu"]["lung"] == [-1350, 150]
    assert level["noise"]["noise_lambda"] == "1700"
    assert list(level["input"]) == ["bicubic"]
    for name, kept in (("bicubic", level["input"]["bicubic"]), ("srresnet", level["network"])):
        assert kept["psnr_db"] == methods[name]["psnr_db"] | {"full": None}  # infinite
        assert kept["rmse_hu"] == methods[name]["rmse_hu"]
    assert level["network"]["rmse_hu"] != level["input"]["bicubic"]["rmse_hu"]
    assert "mae_hu" not in level["network"]


def test_every_level_of_a_report(tmp_path):
    summary_json.write(tmp_path, two_doses(), TESTED)
    levels = report_metrics.metrics_of(tmp_path, "srgan", {"srgan": "b" * 64})["levels"]
    assert [level["noise"]["dose"] for level in levels] == ["0.5", "0.25"]


def test_the_intervals_of_ten_patients_come_along(tmp_path):
    summary_json.write(tmp_path, [made_level()], TESTED)
    path = tmp_path / "summary.json"
    made = json.loads(path.read_text())
    of = made["conclusions"]["intervals"]["srresnet"]
    assert (
        report_metrics.metrics_of(tmp_path, "srresnet", {"srresnet": "a" * 64})["levels"][0][
            "intervals"
        ]
        == {}
    )  # two patients have none
    of["psnr_db.lung"] |= {"low": 34.0, "high": 36.0}
    path.write_text(json.dumps(made))
    (level,) = report_metrics.metrics_of(tmp_path, "srresnet", {"srresnet": "a" * 64})["levels"]
    assert level["intervals"] == {"psnr_db.lung": [34.0, 36.0]}


def test_none_without_a_report_of_these_weights(tmp_path):
    assert report_metrics.metrics_of(tmp_path, "srresnet", {"srresnet": "a" * 64}) is None
    summary_json.write(tmp_path, [made_level()], TESTED)
    assert report_metrics.metrics_of(tmp_path, "srgan", {"srgan": "c" * 64}) is None


@pytest.mark.parametrize(
    "change",
    [
        {"checkpoint": {}},
        {"checkpoint": {"models": ["a" * 64]}},
        {"methods": {"srresnet": {}}},
        {"methods": {"bicubic": {"rmse_hu": "much"}, "srresnet": {}}},
        {"methods": {"bicubic": {"rmse_hu": [1]}, "srresnet": {}}},
        {"windows_hu": {"lung": [1]}},
        {"noise": "much"},
        {"patients": None},
        {"conclusions": []},
        {"conclusions": {"intervals": {"srresnet": {"rmse_hu": {}}}}},
        {"levels": 3},
    ],
)
def test_a_file_that_somebody_else_wrote_is_one_line(change, tmp_path):
    summary_json.write(tmp_path, [made_level()], TESTED)
    path = tmp_path / "summary.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(ValueError, match=r"summary.json is not what a test wrote \(\w+Error\)$"):
        report_metrics.metrics_of(tmp_path, "srresnet", {"srresnet": "a" * 64})
    path.write_text("{")
    with pytest.raises(ValueError, match="is not what a test wrote"):
        report_metrics.metrics_of(tmp_path, "srresnet", {"srresnet": "a" * 64})
