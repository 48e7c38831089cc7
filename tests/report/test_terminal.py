"""What `--run test` prints: one screen of 80 x 24, and every table with --details."""

import dataclasses
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from srgan.evaluation import conclusions
from srgan.hounsfield import Window
from srgan.metrics import intervals
from srgan.report import columns, terminal
from tests.evaluation.test_conclusions import NAMES, noise, study_of
from tests.helpers.made_report import (
    ABOUT,
    level_of,
    made_level,
    made_study,
    of_doses,
    two_doses,
    with_discs,
)

REPORT = Path("report")


def rows_of(text, name):
    return [line.split() for line in text.splitlines() if line.startswith(f"{name} ")]


# ---- one screen ----


def test_screen_has_the_verdict_one_table_and_where_the_rest_is():
    text = terminal.screen([made_level()], ABOUT, REPORT)
    lines = text.splitlines()
    assert lines[0].startswith("SRGAN: +2.0 dB over bicubic in the lung window")
    assert "3 slices of 2 patients; image noise: lambda 1700 photons" in text
    assert rows_of(text, "srgan") == [
        ["srgan", "14.25", "SD", "0.35", "0.1425", "SD", "0.0035", "14.2", "-14.2", "passes"]
    ]
    assert rows_of(text, "nearest")[0][-1] == "-11.2"  # a baseline has no checks
    assert lines[-1].startswith("Plots, slices, all tables: report/index.html")
    assert "lung window -1350..150 HU, range 1500; SD over patients" in " ".join(text.split())
    assert max(map(len, lines)) <= 80
    assert len(lines) < 24


def test_screen_has_the_interval_where_there_is_one_and_says_what_fails():
    made = study_of(12, noise)
    rows = []
    for row in made.rows:
        ssim = {name: value / 50 for name, value in row.metrics["ssim"].items()}
        more = {"ssim": ssim, "shift_px": 0.5 * (row.method == "mine")}
        rows.append(dataclasses.replace(row, metrics=row.metrics | more))
    text = terminal.screen([level_of(dataclasses.replace(made, rows=tuple(rows)))], ABOUT, REPORT)
    interval = conclusions.of(made).intervals["mine"]["psnr_db.lung"]
    (row,) = rows_of(text, "mine")
    assert row[1:3] == [f"{interval.mean:.2f}", f"({interval.low:.2f}..{interval.high:.2f})"]
    assert row[-1] == "fails"
    assert "shifted" in text[: text.index("PSNR, dB")]  # the verdict
    assert "in brackets the 95 % interval" in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 80


def test_screen_has_a_table_for_each_level():
    text = terminal.screen(two_doses(), of_doses(), REPORT)
    assert len(rows_of(text, "srgan")) == 2
    assert text.index("\ndose 0.5\n") < text.index("\ndose 0.25\n")
    assert "dose 0.5,0.25 of" in text


# ---- every table ----


def test_details_name_windows_ranges_and_conditions():
    text = terminal.details([made_level()], ABOUT)
    for words in (
        "3 slices of 2 patients", "lambda 1700 photons", "VGG19 weights: random",
        "SYNTHETIC scans", "trained on SYNTHETIC scans", "64 x 64 patches",
    ):  # fmt: skip
        assert words in text
    lines = text.splitlines()
    names, limits, ranges = (lines[lines.index("whole slices") + i] for i in (3, 4, 5))
    assert names.split() == ["full", "lung", "mediastinum"] * 2
    assert limits.split() == ["-1024..3071", "HU", "-1350..150", "HU", "-160..240", "HU"] * 2
    assert ranges.split() == ["range", "4095", "range", "1500", "range", "400"] * 2
    rows = rows_of(text, "srgan")
    assert rows[0] == ["srgan", "inf", "14.25", "14.25"]
    assert rows[1] == ["srgan", *["0.1425"] * 3, *["14.2"] * 2, "-14.25"]
    assert max(map(len, lines)) <= 100


def test_details_have_the_ttf_of_the_disc_with_its_contrast_and_noise():
    text = terminal.details([with_discs()], ABOUT)
    assert text.count("TTF50") == 1
    assert "a disc of 300 HU on soft tissue, mean of 10 slices with 13.7 HU of noise" in text
    assert max(map(len, text.splitlines())) <= 100
    assert "TTF" not in terminal.details([made_level()], ABOUT)


def test_details_say_what_the_training_was_warned_of():
    warned = {**ABOUT.checkpoint, "warnings": ["step 40: the GAN is below its own input"]}
    text = terminal.details([made_level()], dataclasses.replace(ABOUT, checkpoint=warned))
    assert "warned in the training, step 40: the GAN is below its own input" in text


def test_details_have_the_conditions_once_and_each_levels_noise_above_its_metrics():
    text = terminal.details(two_doses(), of_doses())
    assert (text.count("VGG19 weights"), text.count("\nwhole slices\n")) == (1, 2)
    assert text.index("dose 0.5 of") < text.index("dose 0.25 of") < text.rindex("whole slices\n")
    assert "noise at full dose 11.5 HU" in text
    assert max(map(len, text.splitlines())) <= 100
    against = text[text.index("quality against dose: lung window") :]
    assert rows_of(against, "srgan") == [["srgan", *["14.25"] * 2], ["srgan", *["0.1425"] * 2]]


def test_details_have_an_added_window_wherever_the_others_are():
    windows = {"lung": Window(-1350, 150), "fat": Window(-250.5, 50)}
    level = level_of(dataclasses.replace(made_study(), windows=windows))
    for row in level.study.rows:
        for name in ("psnr_db", "ssim", "psnr_body_db", "ssim_body"):
            if row.part == "whole" or "body" not in name:
                row.metrics[name] = {"lung": 1.0, "fat": 0.5}
    text = terminal.details([level], ABOUT)
    assert text.count("-250.5..50 HU") == 6  # PSNR and SSIM, whole, in the body, and of patches
    assert text.count("range 300.5") == 6


def test_many_windows_go_on_below_and_no_value_is_lost():
    windows = {f"window-{i:08d}": Window(-1000.25 - i, 1000.25) for i in range(9)}
    asked = [c for subject in columns.subjects(windows) for c in subject.columns]
    metrics = {name: {windowed: 10.0 + i for i, windowed in enumerate(windows)}
               for name in ("psnr_db", "ssim")}  # fmt: skip
    lines = terminal._metric_table(asked, {"srgan": metrics})
    assert max(map(len, lines)) <= 100
    cells = [cell for line in lines if line.startswith("srgan") for cell in line.split()[1:]]
    assert cells == [f"{10 + i:.2f}" for i in range(9)] + [f"{10 + i:.4f}" for i in range(9)]
    assert all(sum(name in line for line in lines) == 2 for name in windows)
    captions = [subject.caption for subject in columns.subjects(windows)]
    assert {"PSNR against the normal dose", "PSNR in the body"} < set(captions)  # one each


NUMBERS = st.sampled_from(["inf", "-3024.55", "+5012.25", "90.31 (88.02..inf)", "2.635e+09", "0.0"])


@given(data=st.data(), n=st.integers(1, 9), width=st.sampled_from([80, 100]))
def test_columns_of_great_values_are_apart(data, n, width):
    """At least one blank between neighbours, and two where that takes no more room."""
    names = data.draw(st.lists(st.sampled_from(["", "PSNR in the body, dB", "SSIM"]), min_size=n,
                               max_size=n))  # fmt: skip
    asked = [columns.Column(f"c{i}", "HU", group) for i, group in enumerate(names)]
    cells = data.draw(st.lists(NUMBERS, min_size=n, max_size=n))
    lines = terminal.table(asked, {"srgan": cells, "srresnet": cells}, width)
    assert max(map(len, lines)) <= width
    found = " ".join(line.removeprefix("srgan ") for line in lines if line.startswith("srgan "))
    assert found.split() == " ".join(cells).split()
    one_part = sum(max(6, len(cell)) + 2 for cell in cells) <= width - 12 and not any(names)
    if one_part:
        assert re.split(r" {2,}", lines[-1].removeprefix("srresnet").strip()) == cells


def test_values_of_a_test_without_noise_are_written_shortly():
    assert columns.written(float("inf"), ".2f") == "inf"
    assert columns.written(-3024.5, "+.1f") == "-3024.5"
    assert columns.written(2634732102.04, ".2f") == "2.635e+09"
    assert columns.written(-2634732102.04, "+.2f") == "-2.635e+09"
    assert columns.written(2634732102.04, ".6g") == "2.63473e+09"  # metrics.csv


def test_the_screen_of_a_test_without_noise_has_every_cell_apart():
    def great(name, patient):
        return float("inf") if name == "bicubic" else 1234.5 * noise(name, patient)

    text = terminal.screen([level_of(study_of(12, great))], ABOUT, REPORT)
    assert max(map(len, text.splitlines())) <= 80
    assert rows_of(text, "bicubic")[0][1] == "inf"
    shown = [line for line in text.splitlines() if line.startswith("srgan ")]
    for line in shown:
        for cell in re.split(r" {2,}", line)[1:]:
            assert re.fullmatch(r"\S+( \(\S+\))?", cell), line


# ---- what is certain ----


def certainty(patients, more=noise):
    found = conclusions.of(study_of(patients, more), {"mine": "gan"})
    lines = terminal.findings(found)
    start = next(i for i, line in enumerate(lines) if line.startswith("PSNR in the lung window"))
    return found, lines[start + 1 :]


def test_certainty_has_the_mean_difference_beside_p():
    found, lines = certainty(12)
    row = next(line for line in lines if line.startswith("mine")).split()
    interval = found.intervals["mine"]["psnr_db.lung"]
    expected = [f"{interval.mean:.2f}", f"{interval.sd:.2f}", f"{interval.low:.2f}", "to"]
    expected.append(f"{interval.high:.2f}")
    for other in ("bicubic", "srresnet"):
        compared = found.compared["mine"][other]["psnr_db.lung"]
        expected += [f"{compared.difference.mean:+.2f}", f"{compared.p:.2g}"]
    assert row == ["mine", *expected]
    assert " ".join(lines[-2:]).split() == f"{intervals.INTERVAL} p: {intervals.TEST}".split()
    assert not any("no interval" in line for line in lines)


def test_certainty_says_which_row_has_no_interval_and_why():
    def perfect(name, patient):
        return float("inf") if name == "srgan" and patient == 3 else noise(name, patient)

    _, lines = certainty(12, perfect)
    assert "no interval for srgan: infinite in 1 of 12 patients" in lines
    rows = {name: next(line for line in lines if line.startswith(f"{name} ")) for name in NAMES}
    assert [name for name, row in rows.items() if " to " not in row] == ["srgan"]


@pytest.mark.parametrize(("patients", "tested"), [(7, True), (3, False)])
def test_certainty_of_few_patients_says_once_why_there_is_no_interval(patients, tested):
    text = " ".join(" ".join(certainty(patients)[1]).split())
    assert text.count(f"no interval: patients: {patients}") == 1
    assert "against bicubic" in text
    assert (intervals.TEST in text) == tested
    assert ("Wilcoxon" in text) == tested
