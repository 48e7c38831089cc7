"""What a measurement says of its machine: processor, cores, load and versions."""

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

from benchmarks import turns

PEER = Path(__file__).parents[2] / "shared" / "peers" / "srgan_torch.py"  # beside the checkout


def processor() -> str:
    """ "AMD EPYC 9B14" """
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def text(versions: dict) -> str:
    """One line: cores, processor, load, versions."""
    named = ", ".join(f"{name} {value}" for name, value in versions.items() if name != "devices")
    cores = f"{len(os.sched_getaffinity(0))} cores of {processor()}"
    return f"{cores}, load {turns.load():.1f}, Python {platform.python_version()}, {named}"


def versions(torch: str | None) -> dict[str, str]:
    """Of the packages whose speed is measured. torch: a Python that has PyTorch, or None."""
    found = {name: metadata.version(name) for name in ("tensorflow", "keras", "numpy")}
    if torch:
        code = "import importlib.metadata as m; print(m.version('torch'))"
        found["torch"] = subprocess.check_output([torch, "-c", code], text=True).strip()
    return found
