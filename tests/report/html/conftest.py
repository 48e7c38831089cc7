"""A browser for the tests of pages. `path` is the page of a test module."""

import pytest

from tests.helpers.browser import opened, started_chromium


@pytest.fixture(scope="module")
def chromium():
    with started_chromium() as browser:
        yield browser


@pytest.fixture
def page(chromium, path):
    with opened(chromium, path) as page:
        yield page
