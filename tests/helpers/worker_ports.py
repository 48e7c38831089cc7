"""Ports for workers on loopback, and the TF_CONFIG of each."""

import json
import socket


def free_ports(n: int) -> list[int]:
    """n in a row that are free, and the one behind them, on which the workers meet."""
    while True:
        with socket.socket() as first:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
        try:
            for p in range(port, port + n + 1):
                with socket.socket() as each:
                    each.bind(("127.0.0.1", p))
        except (OSError, OverflowError):
            continue
        return [port + i for i in range(n)]


def tf_config(addresses: list[str], index: int) -> str:
    task = {"type": "worker", "index": index}
    return json.dumps({"cluster": {"worker": addresses}, "task": task})
