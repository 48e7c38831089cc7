"""Open a report page in an installed Chromium, and compare its numbers with summary.json.

Playwright drives the browser. It downloads nothing: it is given the program that is installed.
"""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-quic", "--no-first-run",
)  # fmt: skip
LIVE = "[...document.querySelectorAll('.viewer')].every((v) => v.classList.contains('live'))"


@contextmanager
def started_chromium() -> Iterator:
    """A headless Chromium as playwright's Browser. Skips the test where none is installed."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip("no Chromium is installed (Debian: apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def opened(browser, path: Path, width: int = 1280, **options) -> Iterator:
    """The page in a tab of its own, once its viewers work.

    Afterwards: no error or warning, and no request but for the file itself.
    """
    context = browser.new_context(viewport={"width": width, "height": 900}, **options)
    page, problems, requests = context.new_page(), [], []
    page.on("console", lambda said: problems.append(said.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto(path.as_uri())
    if options.get("java_script_enabled", True):
        page.wait_for_function(LIVE)
    yield page
    assert problems == []
    assert {url for url in requests if not url.startswith("data:")} == {path.as_uri()}
    context.close()


# ---- the page's numbers against summary.json ----

CELLS = """() => [...document.querySelectorAll("tr[data-row] td[data-key]")].map((cell) => {
    const under = cell.querySelector("small")?.textContent ?? "", copy = cell.cloneNode(true);
    for (const part of copy.querySelectorAll("small, .unseen")) part.remove();
    return [cell.closest("table").dataset.level, cell.closest("tr").dataset.row, cell.dataset.key,
            cell.dataset.value, copy.textContent.trim(), under]; }).filter((cell) => cell[2])"""
NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?(?:e[+-]\d+)?")


def check_cells(page, summary: dict) -> dict[str, int]:
    """Every number of the page's tables is summary.json's, as it is shown and as it is held.

    Returns how many cells of each kind had a number, and how many intervals stood below one.
    """
    cells = page.evaluate(CELLS)
    names = dict.fromkeys(cell[0] for cell in cells)
    levels = dict(zip(names, summary.get("levels", [summary]), strict=True))
    checked = dict.fromkeys(("metrics", "intervals", "compared", "nodules", "below"), 0)
    for level, row, key, held, shown, under in cells:
        value, interval = _expected(levels[level], row, key)
        assert json.loads(held) == value, (level, row, key)
        if value is None:
            assert shown in ("\N{EN DASH}", "inf"), (level, row, key)
            continue
        kind = key.split("/")[0]
        checked[kind if kind in checked else "metrics"] += 1
        first, *others = NUMBER.findall(shown)
        _check(first, value)
        if kind == "intervals" and interval["sd"] is not None:
            _check(others[0], interval["sd"])
        ends = NUMBER.findall(under)
        wanted = [interval[end] for end in ("low", "high") if interval.get(end) is not None]
        checked["below"] += bool(ends)
        for end, of in zip(ends, wanted, strict=True):
            _check(end, of)
    return checked


def _expected(level: dict, row: str, key: str) -> tuple[float | None, dict]:
    """What summary.json has for a cell, and the interval that belongs to it."""
    said = level["conclusions"]
    match key.split("/"):
        case ["intervals", metric, _]:
            interval = said["intervals"][row].get(metric, {})
            return interval.get("mean"), interval
        case ["compared", other, metric, what]:
            found = said["compared"].get(row, {}).get(other, {}).get(metric, {})
            difference = found.get("difference", {})
            return (found.get("p"), {}) if what == "p" else (difference.get("mean"), difference)
        case ["nodules", name]:
            return level["nodules"]["methods"][row][name], {}
    value = (level["methods"] | {"normal dose": level["normal_dose"]})[row]
    for name in key.split("."):
        value = (value or {}).get(name)
    return value, said["intervals"].get(row, {}).get(key, {})


def _check(shown: str, value: float) -> None:
    digits = len(shown.partition(".")[2].partition("e")[0])
    exponent = int(shown.partition("e")[2] or 0)
    assert abs(float(shown) - value) <= 0.5001 * 10.0 ** (exponent - digits), (shown, value)
