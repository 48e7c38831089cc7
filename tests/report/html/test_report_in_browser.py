"""The page that `--run test` makes of a trained network, in a real browser, as a user opens it."""

import json

import pytest

from tests.commands.test_evaluate_nodules import DIAMETER_MM, write_patient
from tests.helpers.browser import opened
from tests.helpers.page_numbers import check_cells

PATIENTS = 32  # of whom 11 are tested: enough for intervals
TINY = "--batch-size 2 --crop 64 --vgg-weights random --precision float32"


@pytest.fixture(scope="module")
def path(tmp_path_factory, run_main, chromium):
    """The page of a test at two noise levels, of a network of two and two steps."""
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
    return cwd / "report" / "index.html"


@pytest.mark.slow
def test_every_number_of_the_tables_is_that_of_the_summary(path):
    assert path.stat().st_size <= 15e6
    summary = json.loads(path.with_name("summary.json").read_text(), parse_constant=pytest.fail)
    checked = check_cells(path.read_text(), summary)
    levels, methods = 2, len(summary["methods"])
    assert checked["metrics"] > 20 * levels * methods
    assert checked["intervals"] == 3 * levels * methods
    assert checked["compared"] >= 2 * 3 * levels  # mean and p, of srresnet, and of srgan twice
    assert checked["nodules"] >= 6 * levels * methods
    assert checked["below"] > 20 * levels * methods


@pytest.mark.slow
def test_the_slider_and_the_presets_work_when_clicked(page):
    def shown():
        return page.evaluate("document.querySelector('.viewer canvas').toDataURL()")

    viewer = page.locator(".viewer").first
    for window in ("mediastinum", "bone", "full", "lung"):
        before = shown()
        viewer.locator(f'label:has([value="{window}"])').click()
        page.wait_for_selector(f'.viewer canvas[aria-label*="{window} window"]')
        assert shown() != before
    box = viewer.locator(".stage").bounding_box()
    for share in (25, 75):
        before = shown()
        at = {"x": share / 100 * box["width"], "y": box["height"] / 2}
        viewer.locator(".stage").click(position=at)
        assert viewer.locator("[name=divide]").input_value() == str(share)
        assert shown() != before


@pytest.mark.slow
def test_the_second_level_opens_when_clicked(page):
    fold = page.locator("details:not([open]):has(table)").first
    table = page.locator('details table[data-level="lambda 500"]').first
    assert not table.is_visible()
    fold.locator("> summary").click()
    assert table.is_visible()


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_runs_over_the_side(chromium, path, width):
    phone = width < 1000
    with opened(chromium, path, width, has_touch=phone, is_mobile=phone) as page:
        page.evaluate("document.querySelectorAll('details').forEach((e) => { e.open = true; })")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
