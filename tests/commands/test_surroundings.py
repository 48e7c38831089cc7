"""The figures of a run depend on its settings alone, not on where and how it is started."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import ROOT

TINY = (
    "train --batch-size 2 --crop 32 --content-loss pixel --precision float32 --pretrain-steps 2 "
    "--gan-steps 2"
)
KERAS_JSON = {
    "backend": "torch",
    "image_data_format": "channels_first",
    "floatx": "float64",
    "epsilon": 0.1,
}


def ignore(*signals):
    for number in signals:
        signal.signal(number, signal.SIG_IGN)


def close_streams():
    for number in range(3):
        os.close(number)


def gone_folder():
    folder = tempfile.mkdtemp()
    os.chdir(folder)
    os.rmdir(folder)


def surroundings(folder: Path) -> dict[str, tuple[dict, tuple]]:
    """Name to (the environment, None for a variable that is unset; what is called first)."""
    mine, broken = folder / "mine", folder / "broken"
    (mine / ".keras").mkdir(parents=True)
    (mine / ".keras" / "keras.json").write_text(json.dumps(KERAS_JSON))
    (broken / "keras.json").mkdir(parents=True)  # no file
    (broken / "matplotlibrc").write_text("backend: none\nfigure.dpi: x\naxes.titlesize: \xff\n")
    return {
        "plain": ({}, ()),
        "notebook": (
            {
                "MPLBACKEND": "module://matplotlib_inline.backend_inline",
                "KERAS_BACKEND": "jax",
                "TF_ENABLE_ONEDNN_OPTS": "0",
                "TF_CPP_MIN_LOG_LEVEL": "0",
                "TF_FORCE_GPU_ALLOW_GROWTH": "true",
                "LC_ALL": "de_DE.ISO-8859-1",
            },
            (),
        ),
        "keras.json": (
            {
                "HOME": str(mine),
                "MPLBACKEND": "nonsense",
                "KERAS_BACKEND": "nonsense",
                "TF_XLA_FLAGS": "--tf_xla_auto_jit=2 --tf_xla_cpu_global_jit",
                "TF_USE_LEGACY_KERAS": "1",
                "TF_DETERMINISTIC_OPS": "1",
                "LC_ALL": "tr_TR.UTF-8",
            },
            (),
        ),
        "streams closed": (
            {"KERAS_HOME": str(broken), "MATPLOTLIBRC": str(broken), "LC_ALL": "C"},
            (close_streams, lambda: ignore(signal.SIGINT, signal.SIGHUP)),
        ),
        "no home, no folder": (
            {
                "HOME": None,
                "UNKNOWN_USER": "1",
                "TF_NUM_INTEROP_THREADS": "3",
                "KERAS_MAX_EPOCHS": "x",
            },
            (gone_folder,),
        ),
    }


def started(folder: Path, data: Path, name: str, environment: dict, first: tuple) -> tuple:
    """Run in a folder of this name: (log.csv, exit code, what it said)."""
    place = os.fsencode(folder) + b"/" + name.encode() + b"-\xff"  # no UTF-8
    os.mkdir(place)

    def prepare():
        for call in first:
            call()

    variables = {**os.environ, **environment}
    variables = {key: value for key, value in variables.items() if value is not None}
    command = [sys.executable, "-P", ROOT / "tests/helpers/small_main.py", *TINY.split()]
    for kind in ("store", "checkpoint", "train"):
        command += [f"--{kind}-dir", place + b"/" + kind.encode()]
    done = subprocess.run(
        [*command, "--data", data],
        cwd=folder,
        env=variables,
        preexec_fn=prepare,
        capture_output=True,
        check=False,
    )
    log = Path(os.fsdecode(place)) / "train" / "log.csv"
    said = done.stderr.decode(errors="replace") + done.stdout.decode(errors="replace")
    return (log.read_bytes() if log.exists() else b""), done.returncode, said


@pytest.mark.slow
def test_ctrl_c_at_random_moments_ends_a_run_and_leaves_nothing_half_written():
    """Within 20 seconds: the benchmark shows that it takes less than five."""
    command = "benchmarks/interrupts.py --runs 10 --jobs 2 --seconds 20"
    command = [sys.executable, *command.split()]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 of 10 failed" in done.stdout


@pytest.mark.slow
def test_log_csv_is_the_same_in_every_surrounding(small_scans):
    """A notebook's and other variables, keras.json, locales, closed streams, no home, odd paths."""
    with tempfile.TemporaryDirectory() as name, ThreadPoolExecutor(2) as pool:
        folder = Path(name)
        runs = {
            name: pool.submit(started, folder, small_scans, name, *more)
            for name, more in surroundings(folder).items()
        }
        ended = {name: run.result() for name, run in runs.items()}
    for name, (log, code, said) in ended.items():
        assert code == 0, f"{name}: {said}"
        assert "Traceback" not in said, name
        assert log == ended["plain"][0], name
        assert log.count(b"\n") == 5
