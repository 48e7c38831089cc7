import dataclasses
import math
import re

import imageio.v3 as imageio
import pytest

from srgan.evaluation import study
from srgan.evaluation.level import levels_of
from srgan.lowdose import level_names
from srgan.lowdose.degradation import Degradation
from srgan.lowdose.image_noise import ImageNoise
from srgan.lowdose.levels import Levels
from srgan.lowdose.projection_noise import ProjectionNoise, Scanner
from srgan.report import dose_plot, terminal
from srgan.report.about import About
from srgan.report.html import plots, render
from srgan.report.html.render import Page

METHODS = {"nearest": -3.0, "bicubic": 0.0, "srresnet": 4.0, "srgan": 3.0}  # dB above bicubic


def of_doses(*doses):
    return ProjectionNoise(Levels(doses), None, None, Scanner())


def of_lambdas(*lambdas, sigma=(0.005,)):
    return ImageNoise(Levels(lambdas), Levels(sigma))


def made_of(noise, patients=2):
    """All levels with made-up metrics, patient n has n dB more, and what is said about the test."""
    about = About(Degradation(noise, 4), "random", True, {}, {"step": 70})
    studies = []
    for i, level in enumerate(about.degradation.each()):
        rows = [
            study.Row(f"P{n:04}", 1, "whole", (0, 0), method, metrics_of(30.0 - i + n + more))
            for n in range(1, patients + 1)
            for method, more in METHODS.items()
        ]
        studies.append((level, study.Study(tuple(METHODS), tuple(rows), {})))
    return levels_of(studies), about


def figure(levels, about):
    return dose_plot.draw(dose_plot.quality_against_level(levels), about)


def metrics_of(value):
    windows = ("full", "lung", "mediastinum")
    ssim = None if value is None else value / 100
    return {"psnr_db": dict.fromkeys(windows, value), "ssim": dict.fromkeys(windows, ssim)}


def test_terminal_table_has_a_row_for_each_method_and_a_column_for_each_dose():
    lines = terminal.against_level(made_of(of_doses(0.5, 0.25, 0.1))[0])
    assert lines[0].startswith("quality against dose: lung window -1350..150 HU, range 1500")
    assert [line.split() for line in lines[2:8]] == [
        ["PSNR,", "dB"],
        ["0.5", "0.25", "0.1"],
        ["nearest", "28.50", "27.50", "26.50"],
        ["bicubic", "31.50", "30.50", "29.50"],
        ["srresnet", "35.50", "34.50", "33.50"],
        ["srgan", "34.50", "33.50", "32.50"],
    ]
    assert [line.split() for line in lines[9:11]] == [["SSIM"], ["0.5", "0.25", "0.1"]]
    assert lines[11].split() == ["nearest", "0.2850", "0.2750", "0.2650"]
    assert len({len(line) for line in lines[2:8]}) == 1


def test_level_names_say_what_differs():
    four = of_lambdas(1700.0, 500.0, sigma=(0.0, 0.01))
    heads = terminal.against_level(made_of(four)[0])[3].split()
    assert heads == ["1700/0", "1700/0.01", "500/0", "500/0.01"]
    both = ["noise_lambda", "noise_sigma"]
    degradations = [level.degradation for level in made_of(of_lambdas(1700.0, 500.0))[0]]
    assert level_names.differing(degradations) == ["noise_lambda"]
    assert level_names.differing(degradations[:1]) == both
    assert level_names.file_tag(degradations[1], ["noise_lambda"]) == "lambda500"
    assert level_names.file_tag(degradations[1], both) == "lambda500-sigma0.005"


@pytest.mark.parametrize(
    ("noise", "name"),
    [
        (of_doses(0.5, 0.25), "dose.png"),
        (of_lambdas(1700.0, 500.0), "noise.png"),
        (of_lambdas(1700.0, sigma=(0.0, 0.01)), "noise.png"),
        (of_doses(0.5), None),
        (of_lambdas(1700.0, 500.0, sigma=(0.0, 0.01)), None),  # two axes
    ],
)
def test_dose_plot_is_written_for_several_levels_and_an_older_one_removed(
    tmp_path, monkeypatch, noise, name
):
    monkeypatch.setattr(dose_plot, "figure_to_png", lambda figure, path: path.write_bytes(b""))
    for old in ("dose.png", "noise.png", "example-P0001-lung.png"):
        (tmp_path / old).write_bytes(b"old")
    assert dose_plot.write(tmp_path, *made_of(noise)) == name
    left = {path.name for path in tmp_path.iterdir()} - {"example-P0001-lung.png"}
    assert left == ({name} if name else set())


def test_dose_plot_is_not_clipped_at_its_borders(tmp_path):
    assert dose_plot.write(tmp_path, *made_of(of_doses(0.5, 0.25, 0.1))) == "dose.png"
    picture = imageio.imread(tmp_path / "dose.png")
    assert picture.shape == (924, 1210, 3)
    edges = (picture[:4], picture[-4:], picture[:, :4], picture[:, -4:])
    assert all((edge == 255).all() for edge in edges)  # nothing is clipped


def test_dose_plot_lines_are_means_in_order_of_level_and_points_are_patients():
    drawing = figure(*made_of(of_doses(0.1, 0.5, 0.25), patients=3))
    above, _, below, _ = drawing.axes
    assert above.get_xscale() == "log"
    assert list(above.get_xticks()) == [0.1, 0.25, 0.5]
    lines = {line.get_label(): line for line in above.get_lines()}
    assert list(lines) == list(METHODS)
    assert list(lines["srgan"].get_xdata()) == [0.1, 0.25, 0.5]
    assert list(lines["srgan"].get_ydata()) == [35.0, 33.0, 34.0]
    gains = [line.get_ydata() for line in below.get_lines()]
    assert [list(found) for found in gains] == [[0, 0], [4] * 9, [4] * 3, [3] * 9, [3] * 3]
    low, high = below.get_ylim()
    assert low < 0 < 4 < high
    assert figure(*made_of(of_lambdas(1.0, sigma=(0.0, 0.1)))).axes[0].get_xscale() == ("linear")


def test_a_method_looks_the_same_in_dose_png_and_on_the_page():
    css = re.findall(r"--line-(\d): (#\w+);", render.render(Page("t", (), (), ())))
    plot = plots.curve_plot("c", {"srgan": ((1, 2), (1, 2))}, x="x", y="y")
    used = set(re.findall(r"var\(--line-(\d)\)", plot.svg))
    (colour,) = {dict(reversed(css))[number] for number in used}
    above = figure(*made_of(of_doses(0.5, 0.25))).axes[0].get_lines()
    assert {line.get_color() for line in above if line.get_label() == "srgan"} == {colour}


def without(levels, method, value):
    """The same with metrics of one method that are all None or infinite."""
    made = []
    for level in levels:
        rows = [
            dataclasses.replace(row, metrics=metrics_of(value)) if row.method == method else row
            for row in level.study.rows
        ]
        made.append((level.degradation, dataclasses.replace(level.study, rows=tuple(rows))))
    return levels_of(made)


@pytest.mark.parametrize("value", [None, math.inf])
@pytest.mark.parametrize("method", ["srgan", "bicubic"])
def test_dose_plot_has_a_gap_where_nothing_was_measured(tmp_path, value, method):
    levels, about = made_of(of_doses(0.5, 0.25))
    levels = without(levels, method, value)
    rows = [line.split()[1:] for line in terminal.against_level(levels) if line.startswith(method)]
    assert rows == ([] if value is None else [["inf", "inf"]] * 2)
    assert dose_plot.write(tmp_path, levels, about) == "dose.png"
    gains = figure(levels, about).axes[2].get_lines()
    assert len(gains) == (1 if method == "bicubic" else 3)  # the zero line, two a network


def test_dose_plot_says_what_it_shows():
    said = figure(*made_of(of_doses(0.5, 0.25))).get_suptitle().replace("\n", " ")
    for words in (
        "lung window -1350..150 HU (range 1500)", "projection noise: dose 0.5,0.25",
        "2 slices of 2 patients", "checkpoint of step 70", "VGG19 weights: random",
        "SYNTHETIC scans", "Research use only, not a medical device",
    ):  # fmt: skip
        assert words in said
