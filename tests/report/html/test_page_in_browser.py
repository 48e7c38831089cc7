"""The page in a real browser: pictures, divider, windows, maps, keys, touch; nothing leaves it."""

import base64
import json

import imageio.v3 as imageio
import numpy as np
import pytest

from srgan.report.html.render import write
from srgan.report.html.viewer import SHOWN, hu_steps
from srgan.resampling import nearest
from tests.helpers.browser import opened
from tests.helpers.sample_page import EVIL, SIZE, sample_page, sample_viewer

VIEWER = "#viewer-0-0"
ROWS, COLUMNS = SIZE
VISIBLE = f"""[...document.querySelectorAll("{VIEWER} > *")]
    .filter((e) => e.checkVisibility()).map((e) => e.tagName)"""


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "index.html"
    write(path, sample_page())
    return path


@pytest.fixture
def pictures():
    return {n: nearest(p, ROWS // len(p)) for n, p in sample_viewer().pictures.items()}


def choose(page, name, value):
    page.select_option(f'{VIEWER} [name="{name}"]', value)


def click_window(page, window):
    page.click(f'{VIEWER} label:has([value="{window}"])')
    page.wait_for_function(
        f"document.querySelector('{VIEWER} canvas').ariaLabel.includes('{window} window')"
    )


def click(page, selector, across):
    """Left to right, across is from 0 to 1."""
    page.locator(selector).scroll_into_view_if_needed()
    box = page.locator(selector).bounding_box()
    page.mouse.click(box["x"] + across * box["width"], box["y"] + box["height"] / 2)


def picture(page, shape=SIZE):
    """(rows, columns, 3) of the canvas; all of it is opaque."""
    url = page.evaluate(f"document.querySelector('{VIEWER} canvas').toDataURL()")
    found = imageio.imread(base64.b64decode(url.split(",")[1]), extension=".png")
    assert found.shape == (*shape, 4)
    assert (found[..., 3] == 255).all()
    return found[..., :3]


def grey(hu, window):
    """What a picture has in a window: the browser rounds halves to even, as NumPy does."""
    low, high = SHOWN[window]
    shown = np.rint(np.clip(255 * (np.rint(hu) - low) / (high - low), 0, 255)).astype(np.uint8)
    return shown[..., None].repeat(3, -1)


def test_viewer_decodes_the_hu_that_were_given(page, pictures):
    for name, hu in pictures.items():
        shown = page.evaluate(
            f"document.querySelector('{VIEWER}').viewer.hu({json.dumps(name)})"
            ".then((hu) => Array.from(hu))"
        )
        np.testing.assert_array_equal(np.reshape(shown, SIZE), hu_steps(hu).astype(int) - 1024)
    np.testing.assert_array_equal(np.reshape(shown, SIZE), np.rint(pictures["srgan"]))


def test_viewer_windows_and_divider_work_by_mouse_and_keys(page, pictures):
    left, right = pictures["normal dose"], pictures["srgan"]
    slider = f'{VIEWER} input[name="divide"]'

    def expected(window, cut):
        return np.hstack([grey(left, window)[:, :cut], grey(right, window)[:, cut:]])

    np.testing.assert_array_equal(picture(page), expected("lung", COLUMNS // 2))
    for window in ("mediastinum", "bone", "full", "lung"):
        click_window(page, window)
        np.testing.assert_array_equal(picture(page), expected(window, COLUMNS // 2))
    for share in (0.25, 0.75):
        click(page, f"{VIEWER} .stage", share)
        np.testing.assert_array_equal(picture(page), expected("lung", int(COLUMNS * share)))
    click(page, slider, 0.001)
    np.testing.assert_array_equal(picture(page), expected("lung", 0))
    page.focus(slider)
    for _ in range(50):
        page.keyboard.press("ArrowRight")
    np.testing.assert_array_equal(picture(page), expected("lung", COLUMNS // 2))


def test_viewer_shows_any_two_pictures_and_the_detail(page, pictures):
    choose(page, "before", EVIL)
    choose(page, "after", "normal dose")
    page.click(f'{VIEWER} label:has([value="detail"])')
    page.wait_for_function(f"document.querySelector('{VIEWER} canvas').width === 24")
    expected = np.hstack([grey(pictures[name][16:32, part], "lung") for name, part in (
        (EVIL, slice(24, 36)), ("normal dose", slice(36, 48)))])  # fmt: skip
    np.testing.assert_array_equal(picture(page, (16, 24)), expected)
    assert page.text_content(f"{VIEWER} .left") == EVIL


def test_viewer_lays_maps_over_their_pictures_with_a_legend(page, pictures):
    choose(page, "before", "srgan")
    choose(page, "map", "consistency")
    page.wait_for_selector(f"{VIEWER} .legend")
    shown, plain = picture(page), grey(pictures["srgan"], "lung")
    np.testing.assert_array_equal(shown[:, 48:], plain[:, 48:])  # NaN is clear
    tinted = 0.95 * np.array([255, 128, 20]) + 0.05 * plain[:, :48]
    np.testing.assert_allclose(shown[:, :48], tinted, atol=1)
    legend = page.text_content(f"{VIEWER} .legend")
    assert legend.split() == ["consistency,", "expected", "SDs:", "\u22126", "6"]
    choose(page, "before", "normal dose")
    choose(page, "map", "error")
    page.wait_for_selector(f'{VIEWER} .legend:has-text("no error map")')
    error = np.rint(pictures["srgan"]) - pictures["normal dose"]
    right = picture(page)[:, 48:].astype(int)
    assert (right[..., 0] > right[..., 2])[error[:, 48:] > 60].all()
    assert (right[..., 0] < right[..., 2])[error[:, 48:] < -60].all()


def test_viewer_names_the_values_under_the_pointer(page, pictures):
    page.locator(f"{VIEWER} canvas").scroll_into_view_if_needed()
    box = page.locator(f"{VIEWER} canvas").bounding_box()
    x, y = 10.5 / COLUMNS * box["width"], 20.5 / ROWS * box["height"]
    page.mouse.move(box["x"] + x, box["y"] + y)
    values = page.text_content(f"{VIEWER} .values")
    shown = [f"{name} {pictures[name][20, 10]:.0f} HU" for name in ("normal dose", "srgan")]
    assert values.replace("\u2212", "-") == f"Row 21, column 11: {'; '.join(shown)}"


def test_page_on_a_phone_does_not_scroll_sideways_and_is_moved_by_touch(chromium, path):
    with opened(chromium, path, 390, has_touch=True, is_mobile=True) as page:
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        stage = page.locator(f"{VIEWER} .stage")
        box = stage.bounding_box()
        stage.tap(position={"x": 0.25 * box["width"], "y": box["height"] / 2})
        assert page.input_value(f'{VIEWER} [name="divide"]') == "25"


def test_page_shows_still_pictures_in_print_and_without_scripts(chromium, path):
    with opened(chromium, path) as page:
        assert page.evaluate(VISIBLE) == ["FIGCAPTION", "DIV", "DIV", "DIV"]
        page.emulate_media(media="print")
        assert page.evaluate(VISIBLE) == ["FIGCAPTION", "IMG"]
    with opened(chromium, path, java_script_enabled=False) as page:
        assert page.locator(f"{VIEWER} .still").is_visible()
        assert not page.locator(f"{VIEWER} .stage").is_visible()
        assert not page.locator(f"{VIEWER} .controls").is_visible()
        assert page.evaluate("document.querySelector('.still').naturalWidth") == 2 * COLUMNS + 8


def test_page_policy_stops_what_would_leave(chromium, path):
    page = chromium.new_page()
    page.goto(path.as_uri())
    for attempt in (
        "new Image().src = 'https://example.invalid/a'",
        "fetch('https://example.invalid/b').catch(() => 0)",
        "document.body.append(Object.assign(document.createElement('script'), {text: '1'}))",
    ):
        assert page.evaluate(
            "new Promise((done) => { document.addEventListener('securitypolicyviolation', "
            f"() => done(true), {{once: true}}); {attempt}; }})"
        )
    page.close()
