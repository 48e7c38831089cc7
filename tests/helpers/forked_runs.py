"""A server that runs main.py many times: it imports TensorFlow once, and each run is a fork of it.

It reads a line of JSON on stdin for each run and answers on stdout. The networks are small, and
there are fewer validation patches and events; everything else is the program itself.
"""

import json
import os
import signal
import sys
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
WRITES = ("open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate")


class Clock:
    """Counts, by kind, writes below a folder and training steps, and kills the process at one.

    last: the number of the write, or [kind, number]. The process is killed before it.
    """

    def __init__(self, folder: str, last: int | list | None):
        self.folder, self.counts = folder, Counter()
        self.last = ["writes", last] if isinstance(last, int) else last
        sys.addaudithook(self.tick)

    def tick(self, event: str, arguments: tuple) -> None:
        if event not in WRITES or not isinstance(arguments[0], str | os.PathLike):
            return
        path = os.path.abspath(arguments[0])
        writes = event != "open" or (arguments[2] & (os.O_WRONLY | os.O_RDWR))
        if writes and path.startswith(self.folder):
            self.count(kind_of(path.removeprefix(self.folder)), f"{event} {path}")

    def count(self, kind: str, what: str) -> None:
        counted = [kind] if kind == "step" else [kind, "writes"]
        self.counts.update(counted)
        if any([name, self.counts[name]] == self.last for name in counted):
            print(f"killed before {what} ({kind})", file=sys.stderr, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)

    def count_steps(self) -> None:
        """Count each training step, after its batch is made and before its update."""
        from srgan.training.trainer import Trainer

        usual = Trainer.set_rates

        def set_rates(trainer, plan, step, factor=1.0):
            self.count("step", f"the update of step {step}")
            return usual(trainer, plan, step, factor)

        Trainer.set_rates = set_rates


def kind_of(path: str) -> str:
    """grid, store, checkpoint or train, from a path below the folder of the run."""
    if "grid-" in path:
        return "grid"
    return path.split("/")[1]  # store, checkpoint, train


def make_small() -> None:
    import dataclasses
    import functools

    from srgan.models import discriminator, generator
    from srgan.training import pictures, plan, validation

    for name, form in generator.FORMS.items():
        small = functools.partial(form.build, blocks=1, maps=8)
        generator.FORMS[name] = dataclasses.replace(form, build=small)
    discriminator.CONVOLUTIONS = ((8, 1), (8, 2), (8, 2))
    validation.PATCHES, pictures.GRID = 8, 1
    plan.EVENTS, plan.ROWS = 3, 4


def run(cwd: str, arguments: str, last: int | list | None, faults: str | None) -> int:
    """A run of main.py in the child; faults: "NAME,NAME:STEP", functions of training_faults.py."""
    import main

    os.chdir(cwd)
    err = os.open("stderr.txt", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.dup2(err, 2)
    os.dup2(2, 1)
    for each in faults.split(",") if faults else ():
        from tests.helpers import training_faults

        name, *step = each.split(":")
        getattr(training_faults, name)(*map(int, step))
    clock = Clock(cwd, last)
    clock.count_steps()
    code = main.main(arguments.split())
    if code == 0:
        print(f"counts: {json.dumps(clock.counts)}", flush=True)
    return code


def serve() -> None:
    sys.path.insert(0, str(ROOT))
    import matplotlib.backends.backend_agg  # noqa: F401
    import scipy.ndimage  # noqa: F401
    import tensorflow  # noqa: F401

    from srgan.training import setup  # noqa: F401

    make_small()
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            code = 99
            try:
                code = run(**json.loads(line))
            except BaseException:
                import traceback

                traceback.print_exc()
            finally:
                os._exit(code)
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    serve()
