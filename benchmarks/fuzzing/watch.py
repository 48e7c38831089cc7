"""Which files does Python open or change? Its audit events tell; decoders get bytes, no files."""

import os
import sys
from pathlib import Path

EVENTS = {  # with how many names of files
    "open": 1, "os.remove": 1, "os.rename": 2, "os.mkdir": 1, "os.rmdir": 1, "os.link": 2,
    "os.symlink": 2, "os.truncate": 1, "os.chmod": 1, "socket.connect": 0,
}  # fmt: skip
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
ROOT = Path(__file__).resolve().parents[2]
# What may be read anywhere: Python, libraries, this program, the system's random numbers.
READABLE = [ROOT / "srgan", sys.prefix, sys.base_prefix, "/usr", "/lib", "/proc", "/dev/urandom"]
LINKS_OUT = ("outside.raw", "link.raw", "pipe.raw", "loop.raw")  # in the folder, yet not to open


class Watch:
    """Collects, while it is `on`, the audit events that touch a file outside of a folder."""

    def __init__(self, folder: Path):
        self.folder, self.on, self.n_events, self.outside = folder, False, 0, []
        sys.addaudithook(self.see)  # for as long as Python runs

    def see(self, event: str, values: tuple) -> None:
        if not self.on or event not in EVENTS:
            return
        self.n_events += 1
        reads = event == "open" and not (values[2] or 0) & WRITES
        names = [
            os.fsdecode(v) for v in values[: EVENTS[event]] if isinstance(v, str | bytes | Path)
        ]
        if event == "socket.connect" or not all(self._allowed(name, reads) for name in names):
            self.outside.append(f"{event} {values!r}")

    def _allowed(self, name: str, reads: bool) -> bool:
        path = os.path.abspath(name)
        if path == os.devnull:
            return True
        if path.startswith(f"{self.folder}/"):
            return os.path.basename(path) not in LINKS_OUT
        return reads and any(path == str(s) or path.startswith(f"{s}/") for s in READABLE)
