"""The page in a real browser: pictures, divide, windows, maps, keys, touch; nothing leaves it."""

import base64
import json

import imageio.v3 as imageio
import numpy as np
import pytest

from srgan.report.html import page as pages
from srgan.report.html.viewer import SHOWN, hu_steps
from srgan.resampling import nearest
from tests.helpers import browser as browsers
from tests.report.html.test_page import EVIL, SIZE, full_page, small_viewer

LIVE = """[...document.querySelectorAll(".viewer")].every((v) => v.classList.contains("live"))"""
CANVAS = "#viewer-3-0 canvas"
PNG = f"document.querySelector('{CANVAS}').toDataURL().split(',')[1]"
ROWS, COLUMNS = SIZE


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "index.html"
    pages.write(path, full_page())
    return path


@pytest.fixture(scope="module")
def started(tmp_path_factory):
    program = browsers.installed()
    if program is None:
        pytest.skip("no Chromium is installed (Debian: apt-get install chromium)")
    started = browsers.Browser(program, tmp_path_factory.mktemp("profile"))
    yield started
    started.close()


@pytest.fixture
def browser(started, path):
    """The page, opened anew; afterwards: no error, and no request but for the file itself."""
    started.problems.clear()
    started.requests.clear()
    started.open(path)
    started.until(LIVE)
    yield started
    assert started.problems == []
    outside = [url for url in started.requests if not url.startswith("data:")]
    assert set(outside) == {path.as_uri()}


def choose(browser, name, value):
    browser.value(
        f"""(() => {{ const e = document.querySelector('#viewer-3-0 [name="{name}"]');
        e.value = {json.dumps(value)};
        e.dispatchEvent(new Event("change", {{bubbles: true}})); }})()"""
    )


def picture(browser, shape=SIZE):
    """(rows, columns, 3) of the canvas; all of it is opaque."""
    found = imageio.imread(base64.b64decode(browser.value(PNG)), extension=".png")
    assert found.shape == (*shape, 4)
    assert (found[..., 3] == 255).all()
    return found[..., :3]


def grey(hu, window):
    """What a picture has in a window: the browser rounds halves to even, as NumPy does."""
    low, high = SHOWN[window]
    shown = np.rint(np.clip(255 * (np.rint(hu) - low) / (high - low), 0, 255)).astype(np.uint8)
    return shown[..., None].repeat(3, -1)


@pytest.fixture
def pictures():
    return {n: nearest(p, ROWS // len(p)) for n, p in small_viewer().pictures.items()}


def test_decoded_hu_are_those_given(browser, pictures):
    for name, hu in pictures.items():
        shown = browser.value(
            f"document.querySelector('#viewer-3-0').viewer.hu({json.dumps(name)})"
            ".then((hu) => Array.from(hu))"
        )
        np.testing.assert_array_equal(np.reshape(shown, SIZE), hu_steps(hu) - 1024)
    np.testing.assert_array_equal(np.reshape(shown, SIZE), np.rint(pictures["srgan"]))


def test_windows_and_divide_work_when_clicked(browser, pictures):
    left, right = pictures["normal dose"], pictures["srgan"]

    def expected(window, cut):
        return np.hstack([grey(left, window)[:, :cut], grey(right, window)[:, cut:]])

    np.testing.assert_array_equal(picture(browser), expected("lung", COLUMNS // 2))
    for window in ("mediastinum", "bone", "full", "lung"):
        browser.click(f'#viewer-3-0 label:has([value="{window}"])')
        browser.until(f"document.querySelector('{CANVAS}').ariaLabel.includes('{window} window')")
        np.testing.assert_array_equal(picture(browser), expected(window, COLUMNS // 2))
    for share in (0.25, 0.75):
        browser.click("#viewer-3-0 .stage", across=share)
        np.testing.assert_array_equal(picture(browser), expected("lung", int(COLUMNS * share)))
    browser.click('#viewer-3-0 input[name="divide"]', across=0.001)
    np.testing.assert_array_equal(picture(browser), expected("lung", 0))
    browser.value("""document.querySelector('#viewer-3-0 [name="divide"]').focus()""")
    for _ in range(50):
        browser.press("ArrowRight")
    np.testing.assert_array_equal(picture(browser), expected("lung", COLUMNS // 2))


def test_any_two_pictures_and_the_detail(browser, pictures):
    choose(browser, "before", EVIL)
    choose(browser, "after", "normal dose")
    browser.click('#viewer-3-0 label:has([value="detail"])')
    browser.until(f"document.querySelector('{CANVAS}').width === 24")
    expected = np.hstack([grey(pictures[name][16:32, part], "lung") for name, part in (
        (EVIL, slice(24, 36)), ("normal dose", slice(36, 48)))])  # fmt: skip
    np.testing.assert_array_equal(picture(browser, (16, 24)), expected)
    assert browser.value("document.querySelector('#viewer-3-0 .left').textContent") == EVIL


def test_maps_lie_over_their_pictures_with_a_legend(browser, pictures):
    choose(browser, "before", "srgan")
    choose(browser, "map", "consistency")
    browser.until("!document.querySelector('#viewer-3-0 .legend').hidden")
    shown, plain = picture(browser), grey(pictures["srgan"], "lung")
    np.testing.assert_array_equal(shown[:, 48:], plain[:, 48:])  # NaN is clear
    np.testing.assert_allclose(
        shown[:, :48], 0.95 * np.array([255, 128, 20]) + 0.05 * plain[:, :48], atol=1
    )
    legend = browser.value("document.querySelector('#viewer-3-0 .legend').textContent")
    assert legend.split() == ["consistency,", "expected", "SDs:", "\u22126", "6"]
    choose(browser, "before", "normal dose")
    choose(browser, "map", "error")
    browser.until(
        "document.querySelector('#viewer-3-0 .legend').textContent.includes('no error map')"
    )
    error = np.rint(pictures["srgan"]) - pictures["normal dose"]
    right = picture(browser)[:, 48:].astype(int)
    np.testing.assert_array_equal((right[..., 0] > right[..., 2])[error[:, 48:] > 60], True)
    np.testing.assert_array_equal((right[..., 0] < right[..., 2])[error[:, 48:] < -60], True)


def test_a_pixel_under_the_pointer_is_told(browser, pictures):
    x, y = browser.point(CANVAS, 10.5 / COLUMNS, 20.5 / ROWS)
    browser.do("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)
    told = browser.value("document.querySelector('#viewer-3-0 .values').textContent")
    shown = [f"{name} {pictures[name][20, 10]:.0f} HU" for name in ("normal dose", "srgan")]
    assert told.replace("\u2212", "-") == f"Row 21, column 11: {'; '.join(shown)}"


def test_a_phone_scrolls_no_page_sideways_and_moves_the_divide_by_touch(browser, path):
    browser.open(path, 390, 800, touch=True)
    browser.until(LIVE)
    assert browser.value("document.documentElement.scrollWidth") <= 390
    browser.touch("#viewer-3-0 .stage", across=0.25)
    assert browser.value("""document.querySelector('#viewer-3-0 [name="divide"]').value""") == "25"


def test_without_scripts_the_still_pictures_are_shown(browser, path):
    seen = """[...document.querySelectorAll("#viewer-3-0 > *")]
        .filter((e) => e.checkVisibility()).map((e) => e.tagName)"""
    assert browser.value(seen) == ["FIGCAPTION", "DIV", "DIV", "DIV"]
    browser.do("Emulation.setEmulatedMedia", media="print")
    assert browser.value(seen) == ["FIGCAPTION", "IMG"]
    browser.do("Emulation.setEmulatedMedia", media="")
    browser.do("Emulation.setScriptExecutionDisabled", value=True)
    try:
        browser.open(path)
        assert browser.value(seen) == ["FIGCAPTION", "IMG"]
        assert browser.value("document.querySelector('.still').naturalWidth") == 2 * COLUMNS + 8
    finally:
        browser.do("Emulation.setScriptExecutionDisabled", value=False)


def test_the_policy_stops_what_would_leave(started, path):
    started.open(path)
    for attempt in (
        "new Image().src = 'https://example.invalid/a'",
        "fetch('https://example.invalid/b').catch(() => 0)",
        "document.body.append(Object.assign(document.createElement('script'), {text: '1'}))",
    ):
        assert started.value(
            "new Promise((done) => { document.addEventListener('securitypolicyviolation', "
            f"() => done(true), {{once: true}}); {attempt}; }})"
        )
