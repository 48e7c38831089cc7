"""metrics.csv: its lines and its columns."""

import csv
import dataclasses

from srgan.hounsfield import Window
from srgan.report import metrics_csv
from tests.helpers.made_report import level_of, made_level, made_study, two_doses

NOISE = ("noise_lambda", "noise_sigma")


def written(folder, levels):
    metrics_csv.write(folder, levels)
    assert [path.name for path in folder.iterdir()] == ["metrics.csv"]
    with open(folder / "metrics.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_csv_has_a_line_for_each_method_and_part(tmp_path):
    level = made_level()
    lines = written(tmp_path, [level])
    assert len(lines) == len(level.study.rows) + 3
    place = ("part", "row", "column", "method")
    metrics = metrics_csv.metric_columns(level.study.windows)
    assert tuple(lines[0]) == ("pseudonym", "slice", *NOISE, *place, *metrics)
    assert {tuple(line[n] for n in NOISE) for line in lines[:-3]} == {("1700", "0.005")}
    patch = next(line for line in lines if line["part"] == "patch")
    assert (patch["row"], patch["column"], patch["method"]) == ("4", "8", "nearest")
    assert (patch["psnr_db_full"], patch["psnr_db_lung"]) == ("inf", "11")
    normal = [line for line in lines if line["method"] == "normal_dose"]
    assert [line["lung_texture_sd_hu"] for line in normal] == ["30", "", "20"]


def test_csv_has_every_level_with_the_noise_of_each_slice(tmp_path):
    levels = two_doses()
    lines = written(tmp_path, levels)
    n = len(levels[0].study.rows)
    assert [line["dose"] for line in lines] == ["0.5"] * n + ["0.25"] * n + [""] * 3
    assert {(line["photons"], line["full_dose_sd_hu"]) for line in lines[:-3]} == {("500000", "")}
    assert [line["method"] for line in lines[-3:]] == ["normal_dose"] * 3  # once, at no level


def test_csv_has_the_columns_of_an_added_window(tmp_path):
    windows = {"lung": Window(-1350, 150), "fat": Window(-250.5, 50)}
    made = {
        "psnr_db": {"lung": 1.0, "fat": 7.5},
        "psnr_body_db": {"lung": 2.0, "fat": 8.5},
        "ssim": {"lung": 0, "fat": 0.5},
        "ssim_body": {"lung": 0, "fat": 0.25},
    }
    rows = [dataclasses.replace(row, metrics=made) for row in made_study().rows]
    level = level_of(dataclasses.replace(made_study(), rows=tuple(rows), windows=windows))
    line = written(tmp_path, [level])[0]
    assert [line[f"{name}_fat"] for name in made] == ["7.5", "8.5", "0.5", "0.25"]
