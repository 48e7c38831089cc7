"""One training on one device, on two of one machine and on two workers: the same networks."""

import os
import subprocess
import sys

import numpy as np
import pytest

from tests.conftest import ROOT
from tests.helpers.worker_ports import free_ports, tf_config

MAIN = ROOT / "tests" / "helpers" / "small_main.py"
RUN = (
    "--run train --deterministic --batch-size 4 --crop 32 --precision float32 --content-loss pixel "
    "--pretrain-steps 6 --gan-steps 6"
)
pytestmark = pytest.mark.slow


def variables(folder) -> dict[str, np.ndarray]:
    """Of the last state: networks, averages, optimizers."""
    import tensorflow as tf

    state = tf.train.load_checkpoint(str(folder / "checkpoint" / "step-0000012" / "state"))
    names = [n for n in state.get_variable_to_shape_map() if "OBJECT_GRAPH" not in n]
    return {name: state.get_tensor(name) for name in names}


def train(folder, options, workers=1):
    """Start as many workers, in folders of their own; returns the variables of the first."""
    addresses = [f"127.0.0.1:{port}" for port in free_ports(workers)]
    processes = []
    for index in range(workers):
        cwd = folder / str(index)
        cwd.mkdir(parents=True)
        processes.append(
            subprocess.Popen(
                [sys.executable, str(MAIN), *RUN.split(), *options.split()],
                cwd=cwd,
                env=os.environ | {"TF_CONFIG": tf_config(addresses, index)},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
    for process in processes:
        _, err = process.communicate(timeout=150)
        assert process.returncode == 0, err
    return variables(folder / "0")


@pytest.mark.parametrize("form", ["fast", "paper"])
def test_networks_do_not_depend_on_the_number_of_devices(small_scans, tmp_path, form):
    options = f"--data {small_scans} --generator {form}"
    one = train(tmp_path / "one", options)
    two = train(tmp_path / "two", f"{options} --devices cpu:2")
    workers = train(tmp_path / "workers", options, workers=2)
    for other in (two, workers):
        assert other.keys() == one.keys()
        for name, array in one.items():
            np.testing.assert_allclose(other[name], array, rtol=1e-4, atol=1e-5, err_msg=name)
