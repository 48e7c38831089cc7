"""Input pipeline, store building and start-up, each beside the bare thing it is built on."""

import itertools
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import store, turns
from benchmarks.turns import Row

MAIN = turns.ROOT / "main.py"
FIRST_STEP = """
import os, sys
from srgan.training import health
health.Health.count_step = lambda self, applied: os._exit(0)
from srgan.cli import main
sys.exit(main() or 1)
"""


def pipeline(rounds: int, n_batches: int) -> Iterator[Row]:
    """Pairs a second through tf.data, and from one call after the other in this thread."""
    from benchmarks import pipeline as usual
    from srgan.models import tensorflow_setup
    from srgan.settings import Settings, degradation_of
    from srgan.training import batches

    tensorflow_setup.start("float32")
    for kind, part in usual.slice_sets().items():
        s = Settings(noise=kind)

        def loop(s=s, part=part) -> float:
            began = time.perf_counter()
            for k in range(n_batches // 2):
                batches.batch(part, s.batch_size, s.crop, degradation_of(s), 0, k)
            return s.batch_size * (n_batches // 2) / (time.perf_counter() - began)

        def ours(kind=kind, part=part) -> float:
            return usual.pairs_a_second(part, kind, n_batches)[0]

        name = f"input pipeline, {kind} noise"
        yield turns.in_turn(name, "pairs/s", ours, "NumPy loop, one thread", loop, rounds)


def store_building(rounds: int, scans: int) -> Iterator[Row]:
    """Slices a second from volumes to a new store, and from a read of the same files."""
    with tempfile.TemporaryDirectory() as name:
        folder, numbers = Path(name), itertools.count()
        volumes = store.write_volumes(folder / "volumes", scans)
        files = [path for path in volumes.iterdir() if path.is_file()]
        slices = store.SLICES_IN_A_SCAN * scans

        def ours() -> float:
            began = time.perf_counter()
            built = store.build(volumes, folder / str(next(numbers)))
            return built / (time.perf_counter() - began)

        def read() -> float:
            began = time.perf_counter()
            for path in files:
                path.read_bytes()
            return slices / (time.perf_counter() - began)

        yield turns.in_turn("store building", "slices/s", ours, "read of the files", read, rounds)


def seconds(*command: str) -> float:
    """How long a command takes. Raises CalledProcessError where it fails."""
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, cwd=turns.ROOT)
    return time.perf_counter() - began


def start(rounds: int, scans: int) -> Iterator[Row]:
    """Seconds of --help, and from the command to the first step with a warm store."""
    python = sys.executable
    yield turns.in_turn(
        "--help",
        "s",
        lambda: seconds(python, str(MAIN), "--help"),
        "python -c pass",
        lambda: seconds(python, "-c", "pass"),
        2 * rounds,
        less_is_better=True,
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        volumes = store.write_volumes(folder / "volumes", scans)
        folders = [f"--{each}-dir={folder / each}" for each in ("store", "train", "checkpoint")]
        command = [python, "-c", FIRST_STEP, "--run", "train", "--fresh", f"--data={volumes}"]
        command += [*folders, "--vgg-weights=random"]
        seconds(*command)  # builds the store
        yield turns.in_turn(
            "command to first step",
            "s",
            lambda: seconds(*command),
            "import tensorflow",
            lambda: seconds(python, "-c", "import tensorflow"),
            rounds,
            less_is_better=True,
        )
