"""Two programs that are measured in turn: each is a process that waits while the other works.

Lines of JSON go both ways. A process that waits takes no CPU. Needs nothing but Python, because the
yardsticks run in an environment of their own.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def serve(answers: dict) -> None:
    """Answer requests until stdin ends. answers: functions by name, each of a request's values.

    What a library prints goes to stderr. An exception is the answer {"error": its text}.
    """
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer = answers[asked.pop("do")](**asked)
        except Exception as error:  # such as a compiler that is missing
            answer = {"error": f"{type(error).__name__}: {str(error)[:300]}"}
        print(json.dumps(answer), file=replies, flush=True)


def peak_mb() -> float:
    """Most memory that this process held so far."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


class Worker:
    """A process that serves: python FILE ARGUMENTS, with `cpus` of the CPUs."""

    def __init__(self, python: str, file: Path, *arguments: str, cpus: int):
        allowed = sorted(os.sched_getaffinity(0))[:cpus]
        self.process = subprocess.Popen(
            [python, file, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": str(cpus), "PYTHONPATH": str(ROOT)},
            preexec_fn=lambda: os.sched_setaffinity(0, allowed),
        )

    def ask(self, do: str, **values) -> dict:
        """Send a request and wait for its answer. Raises RuntimeError with the answer's error."""
        try:
            print(json.dumps({"do": do, **values}), file=self.process.stdin, flush=True)
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        answer = json.loads(line) if line else {"error": f"ended with {self.process.wait()}"}
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
