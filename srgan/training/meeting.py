"""How workers find each other: the chief listens beside TensorFlow's port, the others connect."""

import hashlib
import json
import logging
import socket
import threading
import time

from srgan.system.errors import TRY_AGAIN, UserError, one_line, reason
from srgan.system.progress import LINE_EVERY_S
from srgan.training.cluster import Cluster, few
from srgan.training.worker_link import Gone, Link

log = logging.getLogger(__name__)

WAIT_S = 600.0  # for all workers
RETRY_S = 1.0
GREETING_S = 5  # a stranger that says nothing is left after this time
MOST_GREETING_BYTES = 4096
MOST_STRANGERS = 64  # at a time


def meet(cluster: Cluster) -> dict[int, Link]:
    """The links of this worker: the chief's to every other one, or that to the chief.

    Raises UserError (exit code 75) where they do not all come in time, or the port is not free.
    """
    mine, n = cluster.names[cluster.index], len(cluster.names)
    log.info(f"this is {mine}, one of {n} workers{', the chief' if cluster.is_chief else ''}")
    return _Reception(cluster).meet() if cluster.is_chief else {0: _find_chief(cluster)}


class _Reception:
    """The chief's door: it takes the workers of this cluster, each once, and no strangers."""

    def __init__(self, cluster: Cluster):
        self._cluster = cluster
        self._links: dict[int, Link] = {}
        self._lock = threading.Lock()
        self._strangers = threading.Semaphore(MOST_STRANGERS)

    def meet(self) -> dict[int, Link]:
        waiting = _Waiting()
        with _listener(self._cluster) as listener:
            listener.settimeout(RETRY_S)
            while missing := self._missing():
                if waiting.for_whom(few(missing, 3)):
                    for link in list(self._links.values()):
                        link.send(b"m", few(missing, 3).encode())
                try:
                    connection, _ = listener.accept()
                except OSError:
                    continue
                if self._strangers.acquire(blocking=False):
                    threading.Thread(target=self._greet, args=(connection,), daemon=True).start()
                else:
                    connection.close()
        for link in self._links.values():
            link.send(b"g")
        return dict(sorted(self._links.items()))

    def _missing(self) -> list[str]:
        with self._lock:
            here = {self._cluster.index, *self._links}
            links = list(self._links.values())
        for link in links:
            link.beat()
        return [name for i, name in enumerate(self._cluster.names) if i not in here]

    def _greet(self, connection: socket.socket) -> None:
        is_known = False
        try:
            link = Link(connection)
            kind, content = link.receive(MOST_GREETING_BYTES, GREETING_S)
            hello = json.loads(content) if kind == b"h" else {}
            is_known = self._admit(hello, link)
        except (Gone, OSError, ValueError, RecursionError, AttributeError, TypeError):
            pass  # a stranger
        finally:
            if not is_known:
                connection.close()
            self._strangers.release()

    def _admit(self, hello: dict, link: Link) -> bool:
        """Take a worker in, or tell it why not."""
        index = hello.get("index")
        if hello.get("cluster") != _digest(self._cluster):
            log.warning("a worker with another cluster in its TF_CONFIG came, and was refused")
            link.send(b"n", b"the cluster in TF_CONFIG is not the one that the chief has")
            return False
        with self._lock:
            is_new = index in range(1, len(self._cluster.names)) and index not in self._links
            if is_new:
                link.send(b"w")
                self._links[index] = link
        if not is_new:
            link.send(b"n", b"another process with the same task in TF_CONFIG is there already")
        return is_new


def _find_chief(cluster: Cluster) -> Link:
    """Connect to the chief, whose machine may start later, and wait until all workers are there."""
    (host, port), waiting, why = cluster.channel, _Waiting(), ""
    while True:
        waiting.for_whom(f"{cluster.names[0]} at port {port}{why}")
        try:
            link = Link(socket.create_connection((host, port), timeout=RETRY_S * 5))
        except (OSError, UnicodeError) as error:
            why = f": {one_line(reason(error), 100)}"
            time.sleep(RETRY_S)
            continue
        hello = {"index": cluster.index, "cluster": _digest(cluster)}
        link.send(b"h", json.dumps(hello).encode())
        try:
            kind, content = link.receive(MOST_GREETING_BYTES, GREETING_S)
            if kind == b"n":
                raise UserError(f"the chief refused this worker: {one_line(content.decode())}")
            if kind == b"w":
                _wait_for_all(link, cluster)
                return link
            why = ": it answered with what is no message of this program"
        except Gone as gone:
            why = f": it {gone}"
        link.close()
        time.sleep(RETRY_S)


def _wait_for_all(link: Link, cluster: Cluster) -> None:
    """Until the chief says that all workers are there. Raises UserError where it ends before."""
    try:
        while (message := link.receive(MOST_GREETING_BYTES))[0] != b"g":
            log.info(f"waiting for {one_line(message[1].decode(errors='replace'))}")
    except Gone as gone:
        line = f"{cluster.names[0]} {gone}, while the workers were meeting: start all of them again"
        raise UserError(line, TRY_AGAIN) from None


class _Waiting:
    """Says every 30 s for whom this worker waits, and gives up after a while."""

    def __init__(self):
        self._began = self._said = time.monotonic()

    def for_whom(self, names: str) -> bool:
        """Was it said now? Raises UserError (exit code 75)."""
        now = time.monotonic()
        if now - self._began > WAIT_S:
            raise UserError(f"waited {WAIT_S / 60:.0f} minutes for {names}", TRY_AGAIN)
        if now - self._said < LINE_EVERY_S:
            return False
        self._said = now
        log.info(f"waiting for {names}")
        return True


def _listener(cluster: Cluster) -> socket.socket:
    """Raises UserError where the port is not free."""
    host, port = cluster.channel
    dual = False
    if host == "localhost" or host.startswith("127."):
        family = socket.AF_INET
    elif host == "::1":
        family = socket.AF_INET6
    else:
        host, dual = "", socket.has_dualstack_ipv6()
        family = socket.AF_INET6 if dual else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=128, dualstack_ipv6=dual)
    except OSError as error:
        raise UserError(
            f"cannot listen on port {port}, on which the workers meet (the first free one after "
            f"the chief's in TF_CONFIG): {reason(error)}",
            TRY_AGAIN,
        ) from None


def _digest(cluster: Cluster) -> str:
    return hashlib.sha256("\n".join(cluster.addresses).encode()).hexdigest()
