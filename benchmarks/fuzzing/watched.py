"""Which files does a program open or change? Under strace, from one mark to another."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CALLS = (
    "open,openat,openat2,creat,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat,rmdir,link,"
    "linkat,symlink,symlinkat,truncate,mknod,mknodat,chmod,fchmodat,connect"
)
MARK = "srgan-fuzz-"
# What a decoder's process reads when it starts: Python, libraries, this program.
ROOT = Path(__file__).resolve().parents[2]
SYSTEM = [ROOT / "srgan", sys.prefix, sys.base_prefix, "/usr", "/lib", "/lib64", "/proc", "/sys"]
SYSTEM += ["/dev/urandom", "/etc/ld.so.cache", "/etc/localtime", "/etc/ssl"]


def mark(name: str, folder: Path) -> None:
    """A line in the trace: `begin` and `end` of what is looked at, and the folder that is given."""
    with contextlib.suppress(OSError):
        os.open(f"{folder}/{MARK}{name}", os.O_RDONLY)


def works() -> bool:
    """Is strace there, and may it watch?"""
    if shutil.which("strace") is None:
        return False
    command = ["strace", "-f", "-o", os.devnull, "true"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def run(arguments: list[str]) -> int:
    """Run a script of ours under strace; 1 where it fails, or opens or changes a file outside."""
    if not works():
        print("strace does not work here: nothing was watched")
        return 1
    with tempfile.TemporaryDirectory() as place:
        trace = Path(place) / "trace"
        command = ["strace", "-f", "-y", "-qq", "-s", "4096", "-e", f"trace={CALLS}", "-o"]
        code = subprocess.run([*command, trace, sys.executable, *arguments], check=False).returncode
        lines = trace.read_text(errors="backslashreplace").splitlines()
    n, wrong = outside(lines)
    print(f"{n} calls with a file's name watched, {len(wrong)} outside of the given folder")
    for line in wrong[:20]:
        print(f"VIOLATION {line}")
    return 1 if code or wrong or not n else 0


def outside(lines: list[str]) -> tuple[int, list[str]]:
    """How many calls there are between the marks, and those that touch what was not given."""
    inside, folder, n, wrong = False, "", 0, []
    for line in lines:
        # A name may count from an open folder, which -y tells: 7</tmp/x>, "name".
        named = re.findall(r'(?:<([^<>]*)>, )?"((?:[^"\\]|\\.)*)"', line)
        names = [os.path.join(start, name) for start, name in named]
        if any(MARK in name for name in names):
            folder = names[0].split(f"/{MARK}")[0]
            inside = "begin" in line
            continue
        if not inside or not names:
            continue
        n += 1
        reads = "O_RDONLY" in line and "O_CREAT" not in line
        if not all(_allowed(name, folder, reads) for name in names):
            wrong.append(line)
    return n, wrong


def _allowed(name: str, folder: str, reads: bool) -> bool:
    path = os.path.normpath(name)
    if path == os.devnull or (path == str(ROOT) and reads):
        return True
    if path.startswith(f"{folder}/"):
        return os.path.basename(path) not in ("outside.raw", "link.raw", "pipe.raw", "loop.raw")
    return reads and any(path == str(s) or path.startswith(f"{s}/") for s in SYSTEM)
