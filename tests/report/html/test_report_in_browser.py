"""The page that `--run test` makes of a trained network, in a real browser, as a user opens it."""

import json

import pytest

from tests.commands.test_evaluate_nodules import DIAMETER_MM, write_patient
from tests.helpers import browser as browsers

PATIENTS = 32  # of whom 11 are tested: enough for intervals
TINY = "--batch-size 2 --crop 64 --vgg-weights random --precision float32"
LIVE = """[...document.querySelectorAll(".viewer")].every((v) => v.classList.contains("live"))"""
FIRST = "document.querySelector('.viewer')"


@pytest.fixture(scope="module")
def made(tmp_path_factory, run_main):
    """The folder of a test at two noise levels, of a network of two and two steps."""
    if browsers.installed() is None:
        pytest.skip("no Chromium is installed (Debian: apt-get install chromium)")
    cwd = tmp_path_factory.mktemp("run")
    (cwd / "data").mkdir()
    lines = ["seriesuid,coordX,coordY,coordZ,diameter_mm"]
    for k in range(PATIENTS):
        x, y, z = write_patient(cwd / "data", f"1.2.3.{k}", k)
        lines.append(f"1.2.3.{k},{x},{y},{z},{DIAMETER_MM}")
    (cwd / "data" / "annotations.csv").write_text("\r\n".join(lines))
    for command in (
        f"--run train --data data {TINY} --pretrain-steps 2 --gan-steps 2",
        "--run test --data data --noise-lambda 1700,500",
    ):
        done = run_main(cwd, command, timeout=3600)
        assert done.returncode == 0, done.stderr
    return cwd / "report"


@pytest.fixture(scope="module")
def started(tmp_path_factory, made):
    started = browsers.Browser(browsers.installed(), tmp_path_factory.mktemp("profile"))
    yield started
    started.close()


@pytest.fixture
def browser(started, made):
    """The page, opened anew; afterwards: no error, and no request but for the file itself."""
    started.problems.clear()
    started.requests.clear()
    started.open(made / "index.html")
    started.until(LIVE)
    yield started
    assert started.problems == []
    outside = {url for url in started.requests if not url.startswith("data:")}
    assert outside == {(made / "index.html").as_uri()}


@pytest.mark.slow
def test_every_number_of_the_tables_is_that_of_the_summary(browser, made):
    assert (made / "index.html").stat().st_size <= 15e6
    summary = json.loads((made / "summary.json").read_text(), parse_constant=pytest.fail)
    checked = browsers.check_cells(browser, summary)
    levels, methods = 2, len(summary["methods"])
    assert checked["figures"] > 20 * levels * methods
    assert checked["intervals"] == 3 * levels * methods
    assert checked["compared"] >= 2 * 3 * levels  # mean and p, of srresnet, and of srgan twice
    assert checked["nodules"] >= 6 * levels * methods
    assert checked["below"] > 20 * levels * methods


@pytest.mark.slow
def test_the_slider_and_the_presets_work_when_clicked(browser):
    def shown():
        return browser.value(f"{FIRST}.querySelector('canvas').toDataURL()")

    for window in ("mediastinum", "bone", "full", "lung"):
        before = shown()
        browser.click(f'.viewer label:has([value="{window}"])')
        browser.until(f"{FIRST}.querySelector('canvas').ariaLabel.includes('{window} window')")
        assert shown() != before
    for share in (25, 75):
        before = shown()
        browser.click(".viewer .stage", across=share / 100)
        assert browser.value(f"{FIRST}.querySelector('[name=divide]').value") == str(share)
        assert shown() != before


@pytest.mark.slow
def test_the_second_level_opens_when_clicked(browser):
    folded = "document.querySelector('details:not([open]) table')"
    assert browser.value(f"{folded}.checkVisibility()") is False
    browser.click("details:not([open]):has(table) > summary")
    opened = "document.querySelector('details[open] table')"
    assert browser.value(f"{opened}.checkVisibility()") is True
    assert browser.value(f"{opened}.dataset.level") == "lambda 500"


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_runs_over_the_side(browser, made, width):
    browser.open(made / "index.html", width, touch=width < 1000)
    browser.until(LIVE)
    browser.value("document.querySelectorAll('details').forEach((e) => { e.open = true; })")
    assert browser.value("document.documentElement.scrollWidth <= innerWidth")
