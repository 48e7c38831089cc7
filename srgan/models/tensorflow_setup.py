"""Start TensorFlow: quietly, with its threads set, and in the precision this machine is fast at."""

import os
import sys
from collections.abc import Callable
from contextlib import contextmanager, suppress
from pathlib import Path

from srgan.system import signals, surroundings


def start(
    precision: str, deterministic: bool = False, choose_devices: Callable[[], None] = lambda: None
) -> str:
    """Import TensorFlow and set the dtype policy of Keras; returns its name.

    precision: auto (what this machine is fast at), float32, bfloat16 or float16. deterministic:
    equal inputs give equal bits, with slower kernels on a GPU. choose_devices: is called before the
    first operation, as TensorFlow demands.
    """
    with _without_chatter():
        keras = surroundings.import_keras()
        import tensorflow as tf

        with suppress(RuntimeError):  # it runs already, in a program that uses this one
            tf.config.threading.set_inter_op_parallelism_threads(1)  # two are at times half as fast
        _take_gpu_memory_as_needed(tf)
        if deterministic:
            tf.config.experimental.enable_op_determinism()
        choose_devices()
        tf.constant(0)  # finds the devices, and prints much about it
    if precision == "auto":
        precision = _fast_precision(tf)
    policy = precision if precision == "float32" else f"mixed_{precision}"
    keras.mixed_precision.set_global_policy(policy)
    return policy


def described(asked: str, policy: str, why_auto: str = "which this machine is fast at") -> str:
    """The precision in words. asked: --precision. policy: of `start`."""
    why = f", {why_auto}" if asked == "auto" else ""
    return f"precision: {policy.removeprefix('mixed_')}{why} (--precision)"


def _take_gpu_memory_as_needed(tf) -> None:
    """TensorFlow would take a GPU's whole memory at once, and leave none to other programs."""
    for gpu in tf.config.list_physical_devices("GPU"):
        with suppress(RuntimeError):  # it runs already
            tf.config.experimental.set_memory_growth(gpu, True)


@contextmanager
def _without_chatter():
    """Discard stderr: TensorFlow prints its first lines whatever its settings."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        with signals.stderr_is(kept):
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _fast_precision(tf) -> str:
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        capability = tf.config.experimental.get_device_details(gpus[0]).get("compute_capability")
        return "bfloat16" if capability and capability >= (8, 0) else "float16"
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return "float32"
    return "bfloat16" if "avx512_bf16" in flags or "amx_bf16" in flags else "float32"
