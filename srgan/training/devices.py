"""Which devices train together: one, several of this machine, or those of several machines.

The training is the same on all of them: TensorFlow's strategy says how many devices work on a batch
(trainer.py), and the workers of a cluster get from the chief what only it can know.
"""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from srgan.settings import Settings
from srgan.system.errors import UserError, plural
from srgan.training import checkpoint_states
from srgan.training.checkpoint_folder import Saved
from srgan.training.checkpoint_models import npz
from srgan.training.cluster import Cluster
from srgan.training.manifest import Manifest
from srgan.training.workers import Workers

CPU = "cpu:"  # --devices cpu:2


def check(settings: Settings, cluster: Cluster | None) -> None:
    """What can be said before TensorFlow starts. Raises UserError."""
    devices = settings.devices
    if cluster is not None and devices.startswith(CPU) and devices != "cpu:1":
        raise UserError(
            f"--devices {devices}: with TF_CONFIG a worker's processor is one device; start more "
            f"workers, or leave TF_CONFIG away"
        )
    if devices != "all":
        check_batch(settings, _count(devices) * (len(cluster.addresses) if cluster else 1))


def check_batch(settings: Settings, n: int) -> None:
    """Raises UserError where n devices cannot have equal parts of a batch."""
    size = settings.batch_size
    if size % n:
        fits = " or ".join(f"{k * n}" for k in (size // n, size // n + 1) if k)
        raise UserError(
            f"--batch-size {size} cannot be divided among {n} devices: give --batch-size {fits}"
        )


def _count(devices: str) -> int:
    return int(devices.removeprefix(CPU))


def strategy_of(devices: str, cluster: Cluster | None):
    """The tf.distribute.Strategy of --devices. To be made before TensorFlow's first operation.

    Raises UserError where the machine has fewer devices.
    """
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if devices.startswith(CPU):
        n, kind = _count(devices), "CPU"
        if gpus:
            tf.config.set_visible_devices([], "GPU")
        if n > 1:
            processor = tf.config.list_physical_devices("CPU")[0]
            parts = [tf.config.LogicalDeviceConfiguration()] * n
            tf.config.set_logical_device_configuration(processor, parts)
    else:
        n, kind = len(gpus) or 1 if devices == "all" else _count(devices), "GPU"
        if n > max(len(gpus), 1):
            has = plural(len(gpus), "GPU") if gpus else "no GPU"
            raise UserError(f"--devices {devices}: this machine has {has}; give --devices all")
        if n < len(gpus):
            tf.config.set_visible_devices(gpus[:n], "GPU")
    if cluster is not None:
        return tf.distribute.MultiWorkerMirroredStrategy()
    if n == 1:
        return tf.distribute.get_strategy()
    return tf.distribute.MirroredStrategy([f"{kind}:{i}" for i in range(n)])


def described(strategy, cluster: Cluster | None) -> str:
    """What trains, for a line at the start."""
    import tensorflow as tf

    n = strategy.num_replicas_in_sync // (len(cluster.addresses) if cluster else 1)
    there = len(tf.config.list_physical_devices("GPU"))
    if tf.config.get_visible_devices("GPU"):
        mine = plural(n, "GPU") + (
            f" of {there} (--devices all takes them all)" if n < there else ""
        )
    else:
        mine = "the processor" if n == 1 else f"the processor as {n} devices"
    if cluster is None:
        return f"trains on {mine}"
    return f"trains on {len(cluster.addresses)} workers, each on {mine}"


def is_chief(workers: Workers | None) -> bool:
    """Does this process write, validate and decide? One that trains alone does."""
    return workers is None or workers.is_chief


def machines(workers: Workers | None) -> int:
    """Among how many processes, as a rule each on a machine of its own, a batch is divided."""
    return 1 if workers is None else len(workers.cluster.addresses)


def from_chief(workers: Workers | None, make: Callable[[], Any]) -> Any:
    """What `make` gives where the chief calls it, as JSON values, on every worker."""
    if workers is None:
        return make()
    mine = json.dumps(make()).encode() if workers.is_chief else b""
    return json.loads(workers.from_chief(mine))


def newest_state(
    folder: Path,
    workers: Workers | None,
    serves: Callable[[int], bool] = lambda step: True,
    fresh: bool = False,
) -> Saved | None:
    """checkpoint_states.newest of the chief: the others know its manifest.

    None where the chief starts a fresh run.
    """
    saved = None
    if is_chief(workers) and not fresh:
        saved = checkpoint_states.newest(folder, serves)
    if workers is None:
        return saved
    content = from_chief(workers, lambda: saved and saved.manifest.as_dict())
    return saved or (content and Saved(folder, Manifest.from_dict(content)))


def share_variables(workers: Workers | None, variables: list) -> None:
    """Every worker's variables take the values of the chief's."""
    if workers is None:
        return
    if workers.is_chief:
        workers.from_chief(npz({str(i): v.numpy() for i, v in enumerate(variables)}))
        return
    with np.load(io.BytesIO(workers.from_chief()), allow_pickle=False) as arrays:
        for i, variable in enumerate(variables):
            variable.assign(arrays[str(i)])
