"""Which processes train together: TF_CONFIG, as TensorFlow's guides and schedulers set it."""

import json
import os
import re
from dataclasses import dataclass

from srgan.system.errors import UserError, one_line

ADDRESS = re.compile(r"(?P<host>\[[0-9A-Fa-f:.%\w]+\]|[\w.-]+):(?P<port>\d{1,5})")
EXAMPLE = (
    '{"cluster": {"worker": ["node1:12345", "node2:12345"]}, '
    '"task": {"type": "worker", "index": 0}}'
)
TRAINS = ("chief", "worker")  # the task types whose processes train; the chief comes first


@dataclass(frozen=True)
class Cluster:
    """The workers of one training, the chief first, and which of them this process is."""

    addresses: tuple[str, ...]  # host:port on which TensorFlow listens
    names: tuple[str, ...]  # for messages: "worker 1 (node2:12345)"
    index: int

    @property
    def is_chief(self) -> bool:
        return self.index == 0

    @property
    def channel(self) -> tuple[str, int]:
        """Host and port on which the chief listens for the other workers.

        The first port after TensorFlow's that no worker has: several may be on one machine. Where
        that was the last one, the first free one before it.
        """
        taken = {_split(address)[1] for address in self.addresses}
        host, port = _split(self.addresses[0])
        others = (*range(port + 1, 65536), *range(port, 0, -1))
        return host, next(p for p in others if p not in taken)


def cluster() -> Cluster | None:
    """The cluster that TF_CONFIG describes; None where this process trains alone.

    Raises UserError where TF_CONFIG is wrong, or gives this process a task that does not train.
    """
    text = os.environ.get("TF_CONFIG", "").strip()
    if not text:
        return None
    try:
        return _parsed(json.loads(text))
    except (ValueError, RecursionError) as error:
        raise UserError(
            f"TF_CONFIG: {error}; it should be like {EXAMPLE}, or unset to train alone"
        ) from None


def few(names: list[str], most: int) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _parsed(config: object) -> Cluster | None:
    """Raises ValueError."""
    if not isinstance(config, dict):
        raise ValueError("it is no JSON object")
    jobs, task = config.get("cluster", {}), config.get("task", {})
    if not isinstance(jobs, dict) or not isinstance(task, dict):
        raise ValueError("cluster and task must be JSON objects")
    if unknown := [name for name in jobs if name not in TRAINS and jobs[name]]:
        raise ValueError(
            f"the cluster has tasks of type {_shown(unknown[0])}; here only chief and worker train"
        )
    places = [(job, i, a) for job in TRAINS for i, a in enumerate(_addresses(jobs, job))]
    addresses = tuple(address for _, _, address in places)
    if len(addresses) < 2:
        return None
    if len(jobs.get("chief", ())) > 1:
        raise ValueError("there is more than one chief")
    if len(set(addresses)) < len(addresses):
        raise ValueError("two workers have the same address")
    index = task.get("index")
    if isinstance(index, str) and index.isdecimal():  # TensorFlow takes it too
        index = int(index)
    mine = task.get("type"), index
    places = [(job, i) for job, i, _ in places]
    if mine not in places or isinstance(mine[1], bool):
        raise ValueError(
            f"the task, type {_shown(mine[0])} and index {_shown(mine[1])}, is none of the "
            f"cluster's {len(places)} workers"
        )
    names = tuple(
        f"{'chief' if job == 'chief' else f'worker {i}'} ({address})"
        for (job, i), address in zip(places, addresses, strict=True)
    )
    return Cluster(addresses, names, places.index(mine))


def _addresses(jobs: dict, job: str) -> list[str]:
    found = jobs.get(job, [])
    if not isinstance(found, list):
        raise ValueError(f"the addresses of {job} are no list")
    for address in found:
        match = ADDRESS.fullmatch(address) if isinstance(address, str) else None
        if not match or not 0 < int(match["port"]) < 65536:
            raise ValueError(f"{_shown(address)} is no address of the form host:port")
    return found


def _split(address: str) -> tuple[str, int]:
    match = ADDRESS.fullmatch(address)
    return match["host"].strip("[]"), int(match["port"])


def _shown(value: object) -> str:
    return one_line(json.dumps(value), 60)
