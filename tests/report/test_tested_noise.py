"""What a report says of a network at the noise of a scan: the nearest level, or nothing."""

import dataclasses
import json

import pytest

from srgan.report import summary_json, tested_noise
from srgan.system.files import write_json
from tests.helpers import made_report

SHA = "ab" * 32


@pytest.fixture
def report(tmp_path):
    """A test at two doses whose inputs had 20 and 30 HU of noise."""
    levels = []
    for level, noise_hu in zip(made_report.two_doses(), (20.0, 30.0), strict=True):
        places = dict.fromkeys(level.study.normal_dose, noise_hu)
        study = dataclasses.replace(level.study, input_noise_hu=places)
        levels.append(dataclasses.replace(level, study=study))
    checkpoint = {**made_report.CHECKPOINT, "models": {"srresnet": "cd" * 32, "srgan": SHA}}
    about = dataclasses.replace(made_report.of_doses(), checkpoint=checkpoint)
    summary_json.write(tmp_path, levels, about)
    return tmp_path


def test_the_nearest_level_is_found(report):
    found = tested_noise.tested_at(report, "srgan", {"srgan": SHA}, 28.0)
    assert (found.noise_hu, found.patients) == (30.0, 2)
    assert found.psnr_lung_db - found.input_psnr_lung_db == pytest.approx(2)
    assert found.text().startswith("on 2 test patients with 30.0 HU it had +2.0 dB over the input")
    assert tested_noise.tested_at(report, "srgan", {"srgan": SHA}, 18.0).noise_hu == 20.0


def test_other_noise_and_other_weights_were_not_tested(report):
    for sha, noise_hu in ((SHA, 45.0), (SHA, 10.0), (SHA, 0.0), ("ef" * 32, 28.0)):
        assert tested_noise.tested_at(report, "srgan", {"srgan": sha}, noise_hu) is None


def test_a_test_of_eight_passes_says_nothing_of_one_pass_and_the_other_way_round(report):
    of = report, "srgan", {"srgan": SHA}, 28.0
    assert tested_noise.tested_at(*of, ensemble=True) is None
    found = json.loads((report / "summary.json").read_text())
    write_json(report / "summary.json", found | {"ensemble": True})
    assert tested_noise.tested_at(*of) is None
    assert tested_noise.tested_at(*of, ensemble=True).noise_hu == 30.0


def test_a_report_that_is_missing_older_or_damaged_says_nothing(tmp_path):
    assert tested_noise.tested_at(tmp_path, "srgan", {"srgan": SHA}, 28.0) is None
    older = {"checkpoint": {"models": {"srgan": SHA}}, "patients": 2, "methods": {}}
    for content in ([], {"checkpoint": 3}, older, {**older, "input_noise": {"median_hu": "x"}}):
        write_json(tmp_path / "summary.json", content)
        assert tested_noise.tested_at(tmp_path, "srgan", {"srgan": SHA}, 28.0) is None
    (tmp_path / "summary.json").write_text("{")
    assert tested_noise.tested_at(tmp_path, "srgan", {"srgan": SHA}, 28.0) is None


def test_a_mixture_has_the_row_of_its_strength_and_both_weights():
    both = {"srresnet": "cd" * 32, "srgan": SHA}
    compared = {"srresnet B": "12" * 32, "srgan B": "34" * 32}
    found = {
        "checkpoint": {"models": both | compared, "compared": {"B": {}}},
        "methods": dict.fromkeys(("srresnet", "srgan 0.5", "srgan 0.5 B")),
    }
    assert summary_json.row_of(found, "srgan 0.5", both) == "srgan 0.5"
    other = {"srresnet": "12" * 32, "srgan": "34" * 32}
    assert summary_json.row_of(found, "srgan 0.5", other) == "srgan 0.5 B"
    assert summary_json.row_of(found, "srgan 0.25", both) is None
    assert summary_json.row_of(found, "srgan 0.5", {**both, "srgan": "34" * 32}) is None
