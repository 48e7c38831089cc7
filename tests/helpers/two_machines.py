"""Two machines on this one: network namespaces of Linux, which only root can make."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

ADDRESSES = ("10.77.0.1", "10.77.0.2")


def _ip(command: str) -> None:
    subprocess.run(["ip", *command.split()], check=True, capture_output=True)


def _can() -> bool:
    return shutil.which("ip") is not None and os.name == "posix" and os.geteuid() == 0


@contextmanager
def two_machines() -> Iterator[tuple[str, str]]:
    """The names of two namespaces that a cable joins; ADDRESSES are theirs. Skips without them.

    A command runs in one by `ip netns exec NAME COMMAND`.
    """
    if not _can():
        pytest.skip("network namespaces take root, and ip of iproute2")
    names = tuple(f"srgan-{os.getpid()}-{i}" for i in range(2))
    try:
        try:
            for name in names:
                _ip(f"netns add {name}")
            _ip(f"link add cable0 netns {names[0]} type veth peer name cable1 netns {names[1]}")
        except subprocess.CalledProcessError as error:
            pytest.skip(f"no network namespaces here: {error.stderr.decode().strip()}")
        for i, name in enumerate(names):
            _ip(f"-n {name} addr add {ADDRESSES[i]}/24 dev cable{i}")
            _ip(f"-n {name} link set cable{i} up")
            _ip(f"-n {name} link set lo up")
        yield names
    finally:
        for name in names:
            with suppress(subprocess.CalledProcessError):
                _ip(f"netns del {name}")


def cut_cable(names: tuple[str, str]) -> None:
    _ip(f"-n {names[0]} link set cable0 down")
