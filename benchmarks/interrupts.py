"""Press Ctrl-C at random moments of a tiny training, many times.

python benchmarks/interrupts.py [--runs 200] [--jobs 3] [--seconds 5] [--seed 0]

Goal: every run ends within five seconds, with code 130 and without a traceback, and leaves no
`.part`. The seconds count from the signal, or from the end of the step where one is finished: from
the first line that says so. The networks are small. Three of four runs are forks of a process that
has imported TensorFlow; the others start and import as `python main.py` does. The moments lie
anywhere between the start and the usual end. Every third run makes noise in the projections, in
several processes. SIGINT goes to all processes of a run, as from a terminal. --jobs of them go at a
time, which keeps the machine busy. Prints each run that failed, and the seconds by what a run was
doing. Exits with 1 if one failed. Measured on two busy cores: 0 of 217 failed, 4.5 s at most.
"""

import itertools
import os
import random
import re
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks import common
from tests.conftest import ROOT, small_chest, write_scan
from tests.helpers import forked_runs

HANGS_S = 200  # a run that takes longer to end
ENDED = {0, 130, -signal.SIGINT}  # done just then, stopped, or before it could say so
TINY = (
    "--run train --batch-size 2 --crop 64 --content-loss pixel --precision float32 "
    "--pretrain-steps 6 --gan-steps 6 --data {}"
)
PROJECTIONS = " --noise projection --dose 0.5"
STEP_ENDED = re.compile("step \\d+/\\d+ |stopped at step")
DOING = {  # the last of these texts in stderr says what a run was doing
    "": "starts",
    "store: ": "has its store",
    "plan: ": "has its plan",
    " pretrain: ": "pre-trains",
    " gan: ": "trains the GAN",
}


@dataclass
class Run:
    """A run that is going: `pid` is also the group of its processes; its Ctrl-C comes at `at`."""

    most_s: ClassVar[float] = 5.0
    cwd: Path
    pid: int
    began: float
    at: float
    doing: str = ""
    pressed: float = 0.0
    said_before: int = 0  # characters on stderr
    step_ended: float = 0.0
    seconds: float = 0.0  # from Ctrl-C or the end of the step to the end
    fault: str = ""

    def stderr(self) -> str:
        path = self.cwd / "stderr.txt"
        return path.read_text(errors="replace") if path.exists() else ""

    def _said_since(self) -> str:
        return self.stderr()[self.said_before :]

    def goes_on(self) -> bool:
        """Press Ctrl-C where it is time; False once the run has ended."""
        now = time.monotonic()
        pid, status = os.waitpid(self.pid, os.WNOHANG)
        if pid:
            self._judge(os.waitstatus_to_exitcode(status), now)
            return False
        if not self.pressed and now >= self.began + self.at:
            said = self.stderr()
            self.doing = [doing for text, doing in DOING.items() if text in said][-1]
            self.said_before = len(said)
            self.pressed = time.monotonic()
            os.killpg(self.pid, signal.SIGINT)
        if self.pressed and not self.step_ended and STEP_ENDED.search(self._said_since()):
            self.step_ended = now
        if self.pressed and now - self.pressed > HANGS_S:
            os.kill(self.pid, signal.SIGABRT)  # faulthandler shows where it hangs
            os.waitpid(self.pid, 0)
            self.fault = f"did not end within {HANGS_S} s"
            return False
        return True

    def _judge(self, code: int, now: float) -> None:
        self.doing = self.doing or "is done"
        self.seconds = now - (self.step_ended or self.pressed or now)
        parts = [str(path.relative_to(self.cwd)) for path in self.cwd.rglob("*.part*")]
        faults = {
            f"left {', '.join(parts)}": parts,
            f"exit code {code}": code not in (ENDED if self.pressed else {0}),
            "a traceback": "Traceback" in self.stderr(),
            f"took {self.seconds:.1f} s": self.seconds > self.most_s,
        }
        self.fault = "; ".join(text for text, is_so in faults.items() if is_so)


def start(cwd: Path, arguments: str, at: float, whole: int) -> Run:
    """Fork a run; whole: as a process of its own, which imports everything itself."""
    cwd.mkdir()
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            os.setsid()
            signal.signal(signal.SIGINT, signal.default_int_handler)  # also where it is ignored
            if whole:
                _execute(cwd, arguments)
            code = forked_runs.run(str(cwd), arguments, None, None)
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(code)
    return Run(cwd, pid, time.monotonic(), at)


def _execute(cwd: Path, arguments: str) -> None:
    os.chdir(cwd)
    os.dup2(os.open("stderr.txt", os.O_CREAT | os.O_WRONLY | os.O_APPEND), 2)
    os.dup2(2, 1)
    program = str(ROOT / "tests/helpers/small_main.py")
    command = [sys.executable, "-X", "faulthandler", program, *arguments.split()]
    os.execv(sys.executable, command)


def usual_s(run: Run) -> float:
    """How long a run takes that nobody stops."""
    _, status = os.waitpid(run.pid, 0)
    assert status == 0, run.stderr()
    return time.monotonic() - run.began


def started(given, folder: Path, arguments: str) -> Iterator[Run]:
    """Runs without end, each started when it is asked for; every fourth is a whole process."""
    moments = random.Random(given.seed)
    busy = max(1, given.jobs / len(os.sched_getaffinity(0)))
    latest_s = [
        busy * usual_s(start(folder / f"usual{whole}", arguments, 0, whole)) for whole in (0, 1)
    ]
    print(f"moments: 0 to {latest_s[0]:.1f} s of forks, {latest_s[1]:.1f} s of whole processes")
    for i in itertools.count():
        whole = i % 4 == 1
        more = PROJECTIONS if i % 3 == 0 else ""
        at = moments.uniform(0, latest_s[whole])
        yield start(folder / f"run{i}", arguments + more, at, whole)


def main() -> int:
    parser = common.parser(__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=Run.most_s)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    Run.most_s = given.seconds
    import tensorflow  # noqa: F401, once for all forks

    from srgan.training import setup  # noqa: F401

    forked_runs.make_small()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for i in range(6):
            write_scan(folder / "data", f"1.2.3.{i}", small_chest(i))
        return report(interrupted(given, started(given, folder, TINY.format(folder / "data"))))


def interrupted(given, waiting: Iterator[Run]) -> list[Run]:
    """Runs that have ended; those that were done before their Ctrl-C came do not count."""
    going, ended = [], []
    while len(ended) < given.runs:
        while len(going) < min(given.jobs, given.runs - len(ended)):
            going.append(next(waiting))
        time.sleep(0.01)
        over = [run for run in going if not run.goes_on()]
        going = [run for run in going if run not in over]
        for run in over:
            if run.fault:
                print(f"{run.cwd.name}, Ctrl-C after {run.at:.2f} s, {run.doing}: {run.fault}")
                print(run.stderr(), flush=True)
        ended += [run for run in over if run.pressed or run.fault]
    return ended


def report(ended: list[Run]) -> int:
    seconds = defaultdict(list)
    for run in ended:
        seconds[run.doing].append(run.seconds)
    for doing, found in seconds.items():
        middle, most = np.median(found), max(found)
        print(f"{doing:<16}{len(found):>5} runs, {middle:6.2f} s median, {most:6.2f} s at most")
    failed = sum(bool(run.fault) for run in ended)
    print(f"{failed} of {len(ended)} failed")
    return int(failed > 0)


if __name__ == "__main__":
    import faulthandler

    faulthandler.enable()
    sys.exit(main())
