"""--strength in a report: the trade-off on the terminal, on the page and in summary.json."""

import dataclasses
import json
from pathlib import Path

import pytest

from srgan.report import strength_tables, summary_json, terminal
from tests.helpers.made_report import ABOUT, made_study, of_doses, two_doses
from tests.helpers.made_report import level_of as level_of_study

STRENGTHS = {"A": {"srresnet": 0.0, "srgan 0.5": 0.5, "srgan": 1.0}}
ASKED = dataclasses.replace(ABOUT, strengths=STRENGTHS)
SHOWN = {"srresnet": (20.0, 0.01), "srgan 0.5": (22.5, 0.02), "srgan": (30.0, 0.08)}


def level():
    """Made-up metrics of three strengths; the normal dose has 25 HU of texture in lung."""
    study = made_study()
    names = {"nearest": "srgan 0.5"}
    rows = []
    for row in study.rows:
        name = names.get(row.method, row.method)
        texture, invented = SHOWN.get(name, (10.0, 0.0))
        more = {"lung_texture_sd_hu": texture, "invented_share": invented}
        metrics = row.metrics | (more if row.part == "whole" else {})
        rows.append(dataclasses.replace(row, method=name, metrics=metrics))
    methods = tuple(names.get(name, name) for name in study.methods)
    return level_of_study(dataclasses.replace(study, methods=methods, rows=tuple(rows)))


def test_table_has_a_row_for_each_strength_and_the_normal_dose():
    table = strength_tables.table(level(), STRENGTHS)
    heads = [column.key or column.name for column in table.columns]
    at = {key: heads.index(key) for key in ("strength", "psnr_db.lung", "lung_texture_sd_hu")}
    rows = {row.name: [row.cells[i].shown for i in at.values()] for row in table.rows}
    assert rows == {
        "srresnet": ["0", "13.25", "20.0"],
        "srgan 0.5": ["0.5", "11.25", "22.5"],
        "srgan": ["1", "14.25", "30.0"],
        "normal dose": ["", "", "25.0"],
    }


def test_plots_show_texture_as_a_share_of_the_normal_dose_against_strength():
    psnr, texture, invented = strength_tables.plots([level()], STRENGTHS)
    assert "0.8 at 0, 1.2 at 1" in texture.alt
    assert "0.01 at 0, 0.08 at 1" in invented.alt
    assert "13.25 at 0, 14.25 at 1, highest" not in psnr.alt


def test_plots_have_a_line_for_each_checkpoint_and_level():
    strengths = {"A": {"srresnet": 0.0, "srgan": 1.0}, "B": {"bicubic": 0.0, "nearest": 1.0}}
    (psnr, *_) = strength_tables.plots(two_doses(), strengths)
    for name in ("A, dose 0.5", "B, dose 0.5", "A, dose 0.25", "B, dose 0.25"):
        assert f" {name}: " in psnr.alt


def test_summary_tabulates_the_strengths_and_is_as_before_without_them(tmp_path):
    summary_json.write(tmp_path, [level()], ASKED)
    found = json.loads((tmp_path / "summary.json").read_text())
    first, middle, last = found["strength"]["A"]
    assert (first["strength"], middle["strength"], last["strength"]) == (0, 0.5, 1)
    assert middle["method"] == "srgan 0.5"
    assert middle["psnr_db.lung"] == found["methods"]["srgan 0.5"]["psnr_db"]["lung"]
    assert last["invented_share"] == pytest.approx(0.08)
    assert "strength" not in summary_json.summary(level(), ABOUT)


def test_each_level_has_its_strengths():
    strengths = {"A": {"srresnet": 0.0, "srgan": 1.0}}
    about = dataclasses.replace(of_doses(), strengths=strengths)
    assert all("strength" in summary_json.summary(each, about) for each in two_doses())
    text = terminal.screen(two_doses(), about, Path("report"))
    trade_off = text[text.index("What strength gives") :]
    assert trade_off.count("srgan ") == trade_off.count("dose 0.25") + trade_off.count("dose 0.5")


@pytest.mark.parametrize("shown", ["screen", "details"])
def test_terminal_shows_the_table_where_it_was_asked_for_alone(shown):
    def printed(about):
        if shown == "screen":
            return terminal.screen([level()], about, Path("report"))
        return terminal.details([level()], about)

    assert "strength" not in printed(ABOUT)
    text = printed(ASKED)
    table = text[text.index("What strength gives and costs") :]
    row = next(line for line in table.splitlines() if line.startswith("srgan 0.5 "))
    assert row.split()[2:4] == ["0.5", "11.25"]
    assert "Take the" in table
    if shown == "screen":
        assert max(map(len, text.splitlines())) <= 80
