import json
import re
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from srgan.evaluation import baselines, conclusions, disc_phantom, study
from srgan.evaluation.level import levels_of
from srgan.hounsfield import WINDOWS, Window
from srgan.lowdose.degradation import Degradation
from srgan.lowdose.image_noise import ImageNoise
from srgan.lowdose.levels import Levels
from srgan.phantom import chest
from srgan.report import dose_plot, summary_json, terminal
from srgan.report.about import About, discs_remark
from srgan.report.html.build_page import build_page
from srgan.report.html.render import render, write
from srgan.report.html.viewer import Viewer
from tests.helpers.page_numbers import check_cells

WINDOWS_HERE = WINDOWS | {"fat": Window(-250.0, 50.0)}


DISC = {"pixel_mm": 1.4, "photons": None, "seed": 0}
METHODS = baselines.classical(4)
METHODS["srresnet"] = lambda low: METHODS["bicubic"](low) + 7  # biased by 7 HU


@lru_cache
def small_chests():
    """Two patients of two small slices."""
    return tuple(
        study.StudySlice(f"P000{patient}", n, (1.4, 1.4), 10 * patient + n, lambda h=hu: h)
        for patient in (1, 2)
        for n, hu in enumerate(chest.chest(0, patient, 2)[0][:, ::2, ::2].astype("f4"), 1)
    )


NOISE = Degradation(ImageNoise(Levels((1700.0, 500.0)), Levels((0.005,))), 4)
ABOUT = About(NOISE, "random", True, {"seed": 0}, {"step": 7})


def measured(slices):
    """At two noise levels."""
    return levels_of(
        [
            (noise, study.run(METHODS, slices, noise, 0, windows=WINDOWS_HERE))
            for noise in NOISE.each()
        ]
    )


def page_of(levels, slices, about=ABOUT):
    return build_page(levels, about, METHODS, slices, 0)


@pytest.fixture(scope="module")
def made():
    """Four slices at two levels, and the page of it."""
    levels = []
    for level in measured(small_chests()):
        discs = disc_phantom.discs_of(METHODS, level.degradation, **DISC)
        levels.append(replace(level, study=replace(level.study, discs=discs)))
    return levels, page_of(levels, small_chests())


def viewers_of(page):
    return [part for each in page.sections for part in each.parts if isinstance(part, Viewer)]


def section(content, title):
    return next(each for each in content.sections if each.title == title)


def test_page_begins_with_what_a_network_gains_and_what_fails(made):
    levels, page = made  # biased at both
    compared = levels[0].conclusions.compared["srresnet"]["bicubic"]["psnr_db.lung"]
    (sentence,) = page.headlines
    assert f"SRResNet: {-compared.difference.mean:.2f} " in sentence
    assert re.search(r"fails at every level .*bias \([^)]*soft tissue", sentence)
    assert " ".join(terminal.details(levels, ABOUT).split()).startswith(sentence)


def test_page_has_the_checks_and_tables_of_each_level_the_first_open(made):
    text = render(made[1])
    folds = re.findall(r"<details( open)?><summary>([^<]*)", text)
    assert folds == [
        ("", "The same at lambda 500"),
        (" open", "At lambda 1700 srresnet fails"),
        ("", "At lambda 500 srresnet fails"),
        ("", "The same at lambda 500"),
        ("", "The same at lambda 500"),
    ]
    tables = re.findall(r'<table data-level="(.*?)"><caption id="[^"]*"><span>([^<]*)', text)
    assert [caption for level, caption in tables if level == "lambda 500"] == [
        caption.replace("1700", "500") for level, caption in tables if level == "lambda 1700"
    ]
    assert all(caption.endswith(f", {level}") for level, caption in tables)
    assert "The lung window is -1350..150 HU, range 1500." in text


def test_page_of_one_level_does_not_name_it(made):
    about = replace(ABOUT, files={"found": 9, "used": 6, "skipped": 3})
    alone = page_of([replace(made[0][0], name="")], small_chests(), about)
    text = render(alone)
    assert "<details" not in text
    assert "lambda 1700<" not in text
    assert {"files found": "9", "files used": "6", "files skipped": "3"}.items() <= (
        alone.facts.items()
    )
    assert (alone.facts["slices"], alone.facts["slices a patient"]) == ("4", "2")


def test_page_shows_a_slice_once_and_one_patient_is_no_plural():
    first = small_chests()[:1]
    alone = page_of([replace(measured(first)[0], name="")], first)
    assert [v.title for v in viewers_of(alone)] == ["The slice: P0001, slice 1"]
    assert alone.title == "Results on 1 held-out patient"
    two = small_chests()[:2]
    titles = [v.title for v in viewers_of(page_of(measured(two)[:1], two))]
    assert [title.split(" by")[0] for title in titles] == ["Median and best slice", "Worst slice"]


def test_page_of_slices_of_air_says_what_was_not_measured(tmp_path):
    air = [
        replace(item, hu=lambda: np.full((128, 128), -1000, np.float32)) for item in small_chests()
    ]
    levels = measured(air)
    summary_json.write(tmp_path, levels, ABOUT)
    write(tmp_path / "index.html", page_of(levels, air))
    assert "Infinity" not in (tmp_path / "summary.json").read_text()
    text = (tmp_path / "index.html").read_text()
    assert '<span class="unseen">not measured</span>' in text
    assert "nearest" not in "".join(terminal.against_level(levels))
    assert dose_plot.write(tmp_path, levels, ABOUT) == "noise.png"


def test_srgan_of_a_compared_checkpoint_is_held_against_the_srresnet_of_its_checkpoint(made):
    study_ = made[0][0].study
    names = {"bicubic": 0.0, "srresnet": 3.0, "srgan": 2.0, "srresnet B": 1.5, "srgan B": 1.4}
    names |= {"srgan C": 1.4}

    def shifted(row, more):
        psnr = {window: value + more for window, value in row.metrics["psnr_db"].items()}
        return {**row.metrics, "psnr_db": psnr}

    rows = [
        replace(row, method=name, metrics=shifted(row, more))
        for row in study_.rows
        if (row.method, row.part) == ("bicubic", "whole")
        for name, more in names.items()
    ]
    found = conclusions.of(replace(study_, methods=tuple(names), rows=tuple(rows), discs=None))
    behind = [
        name
        for name, lines in found.findings.items()
        if any(line.kind == "below SRResNet" for line in lines)
    ]
    assert behind == ["srgan", "srgan C"]  # C has no SRResNet of its own
    assert list(found.compared["srgan B"]) == ["bicubic", "srresnet"]


def test_a_compared_checkpoint_is_named_by_its_letter(made):
    said = {"step": 7, "generator": "fast", "content_loss": "vgg54", "vgg_weights": "random"}
    said |= {"degradation": {"model": "image", "noise_lambda": "1700"}, "synthetic": False}
    other = said | {"step": 9, "vgg_weights": "imagenet", "synthetic": True}
    about = replace(ABOUT, checkpoint=said | {"compared": {"B": other}})
    assert about.remarks()[0] == "VGG19 weights: random, B: imagenet"
    assert about.remarks()[-1] == "B trained on SYNTHETIC scans"
    line = "step 9, fast generator, content vgg54, VGG19 weights imagenet, trained in image noise "
    assert f"B: {line}(lambda 1700)" in " ".join(terminal.details(made[0][:1], about).split())


def test_noise_power_plot_has_a_line_for_each_method_and_the_normal_dose(made):
    plot = section(made[1], "Noise power and sharpness").parts[0][0]
    assert plot.caption == "Noise power in soft tissue, 2 patients, lambda 1700"
    for name in ("normal dose", "nearest", "bicubic", "srresnet"):
        assert f" {name}: " in plot.alt


def test_every_number_of_the_page_is_that_of_the_summary(made, tmp_path):
    """As it is shown, to the last digit, and as a program reads it."""
    levels, content = made
    summary_json.write(tmp_path, levels, ABOUT)
    summary = json.loads((tmp_path / "summary.json").read_text())
    checked = check_cells(render(content), summary)
    assert checked["metrics"] > 2 * 20 * len(summary["methods"])  # two levels
    assert checked["intervals"] == 2 * 3 * len(summary["methods"])
    assert checked["compared"] == 2  # the gain on bicubic; too few patients for a p
    assert 'data-key="psnr_body_db.fat"' in render(content)
    assert summary["methods"]["bicubic"]["nps_hu2_mm2"]["0.200"] > 0
    assert summary["normal_dose"]["nps_hu2_mm2"]["0.200"] > 0
    assert "nps_hu2_mm2" not in summary["patients_by_pseudonym"]["P0001"]["bicubic"]


def test_page_has_its_sections_and_three_slices_the_median_first(made):
    titles = "Slice, Results, Checks, Metrics, Quality against lambda, Patients"
    titles += ", Noise power and sharpness, More slices"
    assert ", ".join(section.title for section in made[1].sections) == titles
    viewers = viewers_of(made[1])
    assert [viewer.title.split()[0] for viewer in viewers] == ["Median", "Worst", "Best"]
    for viewer in viewers:
        assert list(viewer.pictures)[:2] == ["normal dose", "low dose"]
        assert {each.name for each in viewer.maps} == {"consistency", "invention", "sFRC"}
        assert list(viewer.windows) == ["lung", "mediastinum", "bone", "full", "fat"]
    assert "SYNTHETIC scans" in made[1].remarks


def test_main_table_has_a_row_for_each_method_with_what_fails(made):
    table = section(made[1], "Results").parts[0]
    assert [column.key for column in table.columns] == [
        "psnr_db.lung", "ssim.lung", "rmse_hu", "bias_hu", "",
    ]  # fmt: skip
    checks = {row.name: row.cells[-1].shown for row in table.rows}
    assert checks["bicubic"] == checks["nearest"] == "for comparison"
    assert re.match("fails: .*bias", checks["srresnet"])
    assert [row.name for row in table.rows if row.fails] == ["srresnet"]


def test_ttf_plot_has_each_method_with_the_contrast_and_noise_of_the_disc(made):
    levels, content = made
    plot = section(content, "Noise power and sharpness").parts[0][1]
    table = next(t for t in section(content, "Metrics").parts if t.caption == "Sharpness")
    assert plot.caption == "Task transfer function of a disc, lambda 1700"
    assert discs_remark(levels[0].study.discs) in plot.notes
    for name in ("normal dose", "nearest", "bicubic", "srresnet"):
        assert f"{name}: 1 at 0" in plot.alt
    assert [row.name for row in table.rows][-1] == "normal dose"
    cells = {row.name: [cell.value for cell in row.cells] for row in table.rows}
    wanted = levels[0].overall["bicubic"]
    assert cells["bicubic"] == [wanted[n] for n in ("edge_mm", "vessel_mm", "ttf50_per_mm")]
    assert cells["bicubic"][-1] < cells["normal dose"][-1]
