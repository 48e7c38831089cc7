"""What the program takes from its surroundings, and what it must not.

The figures of a run depend on its settings alone, so variables that change how TensorFlow, Keras or
NumPy compute, and Keras' file keras.json, have no effect. Those of threads, memory, devices and
messages act. Nothing heavy is imported here.
"""

import contextlib
import importlib.metadata
import importlib.util
import logging
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from srgan.system.errors import UserError

COMPUTES = re.compile(r"(TF|XLA|KERAS|ONEDNN|DNNL|NPY)_.*|NVIDIA_TF32_OVERRIDE|OPENBLAS_CORETYPE")
MAY_ACT = re.compile(  # where it runs, with how many threads and how much memory, what it prints
    r"KERAS_HOME|TF_CONFIG|TF_CPP_.*|TF_NUM_INT(RA|ER)OP_THREADS|TF_GPU_(ALLOCATOR|THREAD_(MODE|COUNT)|"
    r"HOST_MEM_LIMIT_IN_MB)|TF_FORCE_(GPU_ALLOW_GROWTH|UNIFIED_MEMORY)|TF_CPU_(ALLOCATOR_USE_BFC|"
    r"BFC_MEM_LIMIT_IN_MB)|TF_PER_DEVICE_MEMORY_LIMIT_MB|TF_DEVICE_MIN_SYS_MEMORY_IN_MB|"
    r"TF_MIN_GPU_MULTIPROCESSOR_COUNT|TF_CUDA_MALLOC_ASYNC_SUPPORTED_PREALLOC"
)
VERSIONS = {  # first and first too new, as in requirements.txt
    "tensorflow": ("2.19", "2.22"),
    "keras": ("3.11.3", "4"),
}
UNKNOWN = "unknown"
INSTALL = "is not installed here: pip install -r requirements.txt"
NOWHERE = os.path.join(os.devnull, "none")  # a folder that nobody can make


def set_up() -> None:
    """Before anything heavy is imported: standard streams that are open, and a clean environment.

    Raises UserError where TensorFlow or Keras is missing, or of a version that is not supported.
    """
    check_versions()
    for name in list(os.environ):
        if COMPUTES.fullmatch(name) and not MAY_ACT.fullmatch(name):
            del os.environ[name]
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's start-up lines help nobody
    os.environ["MPLBACKEND"] = "agg"  # pictures go to files; a notebook exports its own
    os.environ["MATPLOTLIBRC"] = os.devnull  # an empty file
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # a home that it cannot write is fine
    if home() is None:
        os.environ["HOME"] = NOWHERE  # libraries that ask for it would raise


def open_streams() -> None:
    """Where stdin, stdout or stderr is closed, open it to nowhere.

    Otherwise the next file that is opened takes its number, and what a library prints goes there.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.dup2(os.open(os.devnull, os.O_RDWR), number)
        if getattr(sys, name) is None:
            stream = open(number, "r" if number == 0 else "w", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # not in a notebook
            stream.reconfigure(errors="backslashreplace")  # a folder's name may not be text


def home() -> Path | None:
    """The user's folder; None where HOME is unset and the system does not know the user."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def current_folder() -> Path | None:
    """None where it was deleted; then only absolute paths lead anywhere."""
    try:
        return Path.cwd()
    except FileNotFoundError:
        return None


def check_versions() -> None:
    """Raises UserError where TensorFlow or Keras is missing or outside the supported versions."""
    for name, found in versions().items():
        first, too_new = VERSIONS[name]
        if found == UNKNOWN:
            if importlib.util.find_spec(name) is None:
                raise UserError(f"{name} {INSTALL}")
            continue
        if not _numbers(first) <= _numbers(found) < _numbers(too_new):
            raise UserError(
                f"{name} {found} is installed; this program needs at least {first} and less than "
                f"{too_new}: pip install -r requirements.txt"
            )


def versions() -> dict[str, str]:
    """Which TensorFlow and Keras are installed; UNKNOWN for a build under another name."""
    found = dict.fromkeys(VERSIONS, UNKNOWN)
    for name in VERSIONS:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def _numbers(version: str) -> tuple[int, ...]:
    """ "2.21.0rc1" to (2, 21, 0)."""
    return tuple(int(n) for n in re.match(r"[\d.]*\d", version)[0].split("."))


def import_keras(with_keras_json: bool = False):
    """Keras on TensorFlow, whatever the environment says; with its own defaults.

    with_keras_json: with those of the user's keras.json, and its folder for what Keras downloads.
    Raises UserError where Keras was imported before with another backend.
    """
    if "keras" not in sys.modules:
        home = {} if with_keras_json else {"KERAS_HOME": NOWHERE}
        with variables(KERAS_BACKEND="tensorflow", **home):
            import keras
    import keras

    if keras.backend.backend() != "tensorflow":
        raise UserError(
            f"Keras runs on {keras.backend.backend()} in this process; the networks need "
            f"TensorFlow: import srgan and load first, or set KERAS_BACKEND=tensorflow"
        )
    return keras


@contextlib.contextmanager
def variables(**values: str) -> Iterator[None]:
    """The environment, also of what is started, has these values, and its old ones afterwards."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def float32_keras() -> Iterator[None]:
    """Networks that are built or traced here have Keras' defaults, whatever was set elsewhere."""
    config = import_keras(with_keras_json=True).config
    before = config.dtype_policy(), config.floatx(), config.epsilon(), config.image_data_format()
    _configure(config, "float32", "float32", 1e-7, "channels_last")
    try:
        yield
    finally:
        _configure(config, *before)


def _configure(config, policy, floatx: str, epsilon: float, image_data_format: str) -> None:
    config.set_floatx(floatx)
    config.set_epsilon(epsilon)
    config.set_image_data_format(image_data_format)
    config.set_dtype_policy(policy)  # the last: Keras may derive it from floatx
