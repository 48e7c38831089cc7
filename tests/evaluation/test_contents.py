import json
import re
from dataclasses import replace

import numpy as np
import pytest

from srgan.dose.degradation import Degradation
from srgan.dose.image import ImageNoise
from srgan.evaluation import conclusions, contents, methods, page, phantom, report, study
from srgan.hounsfield import WINDOWS, Window
from srgan.scans import synthetic
from srgan.settings import Levels
from tests.evaluation import browser as browsers

WINDOWS_HERE = WINDOWS | {"fat": Window(-250.0, 50.0)}


@pytest.fixture(scope="module")
def made():
    """Two patients of two small slices at two noise levels, and the page of it."""
    slices = []
    for patient in (1, 2):
        for n, hu in enumerate(synthetic.chest(0, patient, 2)[0], 1):
            small = hu[::2, ::2].astype(np.float32)
            name = f"P000{patient}"
            slices.append(
                study.StudySlice(name, n, (1.4, 1.4), 10 * patient + n, lambda h=small: h)
            )
    compared = methods.classical(4)
    compared["srresnet"] = lambda low: compared["bicubic"](low) + 7  # biased by 7 HU
    studies = []
    for level in (1700.0, 500.0):
        noise = Degradation(ImageNoise(Levels((level,)), Levels((0.005,))), 4)
        about = report.About(noise, "random", True, {"seed": 0}, {"step": 7})
        found = study.run(compared, slices, noise, 0, windows=WINDOWS_HERE)
        discs = phantom.discs_of(compared, noise, pixel_mm=1.4, photons=None, seed=0)
        studies.append((replace(found, discs=discs), about))
    return studies, contents.page_of(studies, compared, slices, 0)


def test_a_biased_network_is_named_as_failing_at_the_top(made):
    text = page.render(made[1])
    assert re.search(r"bias \([^)]*soft tissue", made[1].headline)
    assert text.index("srresnet fails") < text.index("<table")


def test_a_compared_srgan_is_held_against_the_srresnet_of_its_checkpoint(made):
    study_, _ = made[0][0]
    names = {"bicubic": 0.0, "srresnet": 3.0, "srgan": 2.0, "srresnet B": 1.5, "srgan B": 1.4}
    names |= {"srgan C": 1.4}

    def figures(row, more):
        psnr = {window: value + more for window, value in row.figures["psnr_db"].items()}
        return {**row.figures, "psnr_db": psnr}

    rows = [
        replace(row, method=name, figures=figures(row, more))
        for row in study_.rows
        if (row.method, row.part) == ("bicubic", "whole")
        for name, more in names.items()
    ]
    found = conclusions.of(replace(study_, methods=tuple(names), rows=tuple(rows), discs=None))
    behind = [
        name
        for name, lines in found.verdicts.items()
        if any(line.kind == "below SRResNet" for line in lines)
    ]
    assert behind == ["srgan", "srgan C"]  # C has no SRResNet of its own
    assert list(found.compared["srgan B"]) == ["bicubic", "srresnet"]


def test_a_compared_checkpoint_is_told_by_its_letter(made):
    study_, about = made[0][0]
    said = {
        "step": 7,
        "generator": "fast",
        "content_loss": "vgg54",
        "vgg_weights": "random",
        "degradation": {"model": "image", "noise_lambda": "1700"},
        "synthetic": False,
    }
    other = said | {"step": 9, "vgg_weights": "imagenet", "synthetic": True}
    about = replace(about, checkpoint=said | {"compared": {"B": other}})
    assert about.remarks()[1] == "VGG19 weights: random, B: imagenet"
    assert about.remarks()[-1] == "B trained on SYNTHETIC scans"
    line = "step 9, fast generator, content vgg54, VGG19 weights imagenet, trained in image noise "
    assert f"B: {line}(lambda 1700)" in " ".join(report.table(study_, about).split())


def test_numbers_of_the_page_are_those_of_the_summary(made):
    studies, content = made
    summary = report.summary(*studies[0])
    wanted = summary["methods"]
    text = page.render(content)
    for name, figures in wanted.items():
        rows = " ".join(re.findall(rf'<tr data-row="{name}">.*?</tr>', text, re.DOTALL))
        found = dict(re.findall(r'data-key="([^"]+)" data-value="([^"]+)"', rows))
        assert float(found["psnr_db.lung"]) == figures["psnr_db"]["lung"]
        assert float(found["psnr_body_db.fat"]) == figures["psnr_body_db"]["fat"]
        assert float(found["rmse_hu"]) == figures["rmse_hu"]
        assert float(found["nps_distance"]) == figures["nps_distance"]
        assert figures["nps_hu2_mm2"]["0.200"] > 0
    assert summary["normal_dose"]["nps_hu2_mm2"]["0.200"] > 0
    assert "nps_hu2_mm2" not in summary["patients_by_pseudonym"]["P0001"]["bicubic"]


def test_the_noise_power_has_a_line_a_method_and_the_normal_dose(made):
    plot = made[1].sections[1].parts[0]
    assert plot.caption == "Noise power in soft tissue, 2 patients"
    for name in ("normal dose", "nearest", "bicubic", "srresnet"):
        assert f" {name}: " in plot.alt


def test_in_a_browser_every_number_is_that_of_the_summary(made, tmp_path):
    """As it is shown, to the last digit, and as a program reads it; nothing else is asked for."""
    program = browsers.installed()
    if program is None:
        pytest.skip("no Chromium is installed (Debian: apt-get install chromium)")
    studies, content = made
    report.write(tmp_path, studies)
    path = tmp_path / "index.html"
    page.write(path, content)
    assert path.stat().st_size < 15e6
    browser = browsers.Browser(program, tmp_path / "profile")
    try:
        browser.open(path)
        cells = browser.value(
            """[...document.querySelectorAll("tr[data-row] td[data-key]")].map((cell) => [
            cell.closest("tr").dataset.row, cell.dataset.key, cell.dataset.value,
            (cell.querySelector("strong") || cell.firstChild).textContent])"""
        )
        assert browser.problems == []
        assert {url for url in browser.requests if not url.startswith("data:")} == {path.as_uri()}
    finally:
        browser.close()
    summary = json.loads((tmp_path / "summary.json").read_text())
    wanted = summary["methods"] | {"normal dose": summary["normal_dose"]}
    compared = [(figure_under(wanted[row], key), *cell) for row, key, *cell in cells if key]
    numbers = [(value, held, shown) for value, held, shown in compared if value is not None]
    assert len(numbers) > 20 * len(summary["methods"])
    for value, held, shown in numbers:
        digits = len(shown.partition(".")[2])
        assert json.loads(held) == value
        assert float(shown.replace("\N{MINUS SIGN}", "-")) == pytest.approx(
            value, abs=0.5001 * 10**-digits
        )
    assert all((held, shown) == ("null", "\N{EN DASH}") for v, held, shown in compared if v is None)


def figure_under(figures, key):
    """A figure of summary.json under a page's key, such as "psnr_db.lung"."""
    for name in key.split("."):
        figures = (figures or {}).get(name)
    return figures


def test_the_page_has_its_levels_patients_and_three_slices(made):
    titles = [section.title for section in made[1].sections]
    assert titles == [
        "Figures",
        "Noise power and sharpness",
        "Quality against dose",
        "Patients",
        "Slices",
    ]
    viewers = made[1].sections[-1].parts
    assert [viewer.title.split()[0] for viewer in viewers] == ["Best", "Median", "Worst"]
    for viewer in viewers:
        assert list(viewer.pictures)[:2] == ["normal dose", "low dose"]
        assert {each.name for each in viewer.maps} == {"consistency", "invention", "sFRC"}
        assert list(viewer.windows) == ["lung", "mediastinum", "bone", "full", "fat"]
    assert "SYNTHETIC scans" in made[1].remarks


def test_the_page_has_the_ttf_of_each_method_with_its_contrast_and_noise(made):
    studies, content = made
    parts = {part.caption: part for section in content.sections[:2] for part in section.parts}
    plot, table = parts["Task transfer function of a disc"], parts["Sharpness"]
    assert studies[0][0].discs.remark() in plot.notes
    for name in ("normal dose", "nearest", "bicubic", "srresnet"):
        assert f"{name}: 1 at 0" in plot.alt
    assert [row.name for row in table.rows][-1] == "normal dose"
    cells = {row.name: [cell.value for cell in row.cells] for row in table.rows}
    wanted = studies[0][0].overall()["bicubic"]
    assert cells["bicubic"] == [wanted[n] for n in ("edge_mm", "vessel_mm", "ttf50_per_mm")]
    assert cells["bicubic"][-1] < cells["normal dose"][-1]
