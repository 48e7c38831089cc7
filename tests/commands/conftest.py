"""What several tests of commands share."""

import pytest

from tests.helpers.forks import Forks


@pytest.fixture(scope="module")
def forks():
    made = Forks()
    yield made
    made.server.stdin.close()
    made.server.wait(60)
