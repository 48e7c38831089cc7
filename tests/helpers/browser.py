"""Open a report page in an installed Chromium.

Playwright drives the browser. It downloads nothing: it is given the program that is installed.
"""

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
