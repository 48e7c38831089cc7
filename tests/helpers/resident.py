"""Memory of this process, as Linux counts it."""

import re
from pathlib import Path

import pytest


def resident_bytes_of_files() -> int:
    """Of the pages of mapped files that this process holds."""
    status = Path("/proc/self/status")
    found = re.search(r"RssFile:\s*(\d+) kB", status.read_text()) if status.exists() else None
    if found is None:
        pytest.skip("the system does not tell the memory of files apart")
    return 1024 * int(found[1])
