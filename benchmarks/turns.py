"""Two programs that are measured in turn: each is a process that waits while the other works.

Lines of JSON go both ways. A process that waits takes no CPU. Needs nothing but Python, because the
yardsticks run in an environment of their own.
"""

import contextlib
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent


@dataclass
class Row:
    """A measurement beside its yardstick. The ratio is above 1 where ours is better."""

    name: str
    unit: str
    ours: float  # median of the rounds, as are theirs
    theirs: float
    yardstick: str
    ratio: float  # of the medians
    least: float  # of the ratios of single rounds
    most: float
    rounds: int
    load: float  # of the machine, in the minute before the end


def in_turn(
    name: str,
    unit: str,
    ours: Callable,
    yardstick: str,
    theirs: Callable,
    rounds: int,
    less_is_better: bool = False,
) -> Row:
    """Measure ours, theirs, ours, theirs ... Both functions return a value in `unit`."""
    pairs = [(ours(), theirs()) for _ in range(rounds)]
    medians = [statistics.median(values) for values in zip(*pairs, strict=True)]
    ratios = [b / a if less_is_better else a / b for a, b in [medians, *pairs]]
    spread = min(ratios[1:]), max(ratios[1:])
    return Row(name, unit, *medians, yardstick, ratios[0], *spread, rounds, load())


def load() -> float:
    """Processes that wanted a core in the last minute, on average."""
    return os.getloadavg()[0]


HEAD = (
    f"{'':40}{'ours':>9}{'theirs':>9} {'unit':10}{'ratio':>6}  {'rounds':13}{'load':>5}  yardstick"
)


def text(row: Row) -> str:
    values = "".join(
        f"{value:9.3g}" if value < 100 else f"{value:9.0f}" for value in (row.ours, row.theirs)
    )
    spread = f"{row.least:.2f} to {row.most:.2f}"
    return (
        f"{row.name:40}{values} {row.unit:10}{row.ratio:6.2f}  {spread:13}{row.load:5.1f}  "
        f"{row.yardstick}"
    )


def keep(path: Path | None, head: dict, rows: list[Row]) -> None:
    """Write the rows so far as JSON; those of an earlier run that were not measured again stay."""
    if path is None:
        return
    kept = json.loads(path.read_text())["rows"] if path.exists() else []
    new = [{**asdict(row), "made": head["made"]} for row in rows]
    names = {row["name"] for row in new}
    kept = [row for row in kept if row["name"] not in names]
    path.write_text(json.dumps({"format": 1, **head, "rows": kept + new}, indent=1) + "\n")


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

    def send(self, do: str, **values) -> None:
        with contextlib.suppress(BrokenPipeError):  # receive says that it ended
            print(json.dumps({"do": do, **values}), file=self.process.stdin, flush=True)

    def receive(self) -> dict:
        """The answer to what was sent. Raises RuntimeError with the answer's error."""
        line = self.process.stdout.readline()
        answer = json.loads(line) if line else {"error": f"ended with {self.process.wait()}"}
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer

    def ask(self, do: str, **values) -> dict:
        self.send(do, **values)
        return self.receive()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()
