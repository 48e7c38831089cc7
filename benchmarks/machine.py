"""What a measurement says of its machine: processor, cores, load and versions."""

import os
import platform
from pathlib import Path

PEER = Path(__file__).parents[2] / "shared" / "peers" / "srgan_torch.py"  # beside the checkout


def processor() -> str:
    """ "AMD EPYC 9B14" """
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def load() -> float:
    """Processes that wanted a core in the last minute, on average."""
    return os.getloadavg()[0]


def text(versions: dict) -> str:
    """One line: cores, processor, load, versions."""
    named = ", ".join(f"{name} {value}" for name, value in versions.items() if name != "devices")
    cores = f"{len(os.sched_getaffinity(0))} cores of {processor()}"
    return f"{cores}, load {load():.1f}, Python {platform.python_version()}, {named}"
