"""A file that is refused: why, and that it took little memory."""

import tracemalloc

import pytest

from srgan.system.errors import Skip

MOST_BYTES = 100_000_000


def refused(read, *arguments) -> Skip:
    """The Skip that `read(*arguments)` raises, with less than 100 MB taken on the way."""
    tracemalloc.start()
    try:
        with pytest.raises(Skip) as caught:
            read(*arguments)
        assert tracemalloc.get_traced_memory()[1] < MOST_BYTES
    finally:
        tracemalloc.stop()
    return caught.value
