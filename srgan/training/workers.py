"""Workers that train together: they meet, agree, share what the chief has, stop and end together.

TensorFlow's collectives carry the gradients. This channel beside them carries the rest: each worker
has one connection to the chief, in threads of its own. So it ends a process whose main thread hangs
in a collective because another worker died or froze, with one line that names that worker.
"""

import json
import logging
import queue
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from srgan.system import signals
from srgan.system.errors import BAD_INPUT, TRY_AGAIN, UserError, one_line
from srgan.system.progress import LINE_EVERY_S
from srgan.training import worker_link
from srgan.training.cluster import Cluster, few
from srgan.training.meeting import meet
from srgan.training.worker_link import EVERY_S, Gone, Link

log = logging.getLogger(__name__)

CHIEF = 0
AGAIN = "the same command on every worker continues from the last state"
BROKEN = {  # TensorFlow's errors where a collective fails on one side
    "AbortedError",
    "CancelledError",
    "DeadlineExceededError",
    "FailedPreconditionError",
    "InternalError",
    "UnavailableError",
    "UnknownError",
}


class Workers:
    """The channel of this worker to the others; see `joined`.

    Every worker calls the same methods in the same order, from its main thread.
    """

    def __init__(self, cluster: Cluster, links: dict[int, Link]):
        """links: by index; the chief has one to every other worker, the others one to the chief."""
        self.cluster, self._links = cluster, links
        self._inbox: dict[tuple[int, bytes], queue.Queue] = defaultdict(queue.Queue)
        self._over = threading.Lock()  # held once this process ends, for whatever reason
        self._last_beat = time.monotonic()
        self._calls, self._stop_at = 0, None  # of `stops_here`
        self._asked = False  # a stop has been asked of the chief
        self._listeners = [
            threading.Thread(target=self._listen, args=(index,), daemon=True) for index in links
        ]
        for thread in self._listeners:
            thread.start()
        threading.Thread(target=self._beat, daemon=True).start()

    @property
    def is_chief(self) -> bool:
        return self.cluster.is_chief

    # ---- what the workers do together ----

    def agree(self, mine: dict[str, object]) -> None:
        """Every worker gives the same names and values (JSON), or all end with one line.

        Raises UserError (exit code 2) on every worker, which says what differs between whom.
        """
        if self.is_chief:
            given = [mine] + [json.loads(self._from(i, b"a")) for i in self._links]
            found = _differences(json.loads(json.dumps(given)), self.cluster.names)
            if found:
                self._over.acquire(blocking=False)
            self._to_all(b"v", json.dumps(found).encode())
        else:
            self._links[CHIEF].send(b"a", json.dumps(mine).encode())
            found = json.loads(self._from(CHIEF, b"v"))
        if found:
            raise UserError(f"the workers differ: {'; '.join(found)}", BAD_INPUT)

    def connect_tensorflow(self) -> None:
        """To be called right before the strategy is made, in which TensorFlow's workers connect.

        Its coordination service is left out: it takes SIGTERM for itself, and would hold Python's
        lock until all workers have connected, so that one that dies then is not noticed.
        """
        self.agree({})  # wait for all
        from tensorflow.python.eager import context

        context.context().configure_coordination_service(service_type="")

    def from_chief(self, content: bytes = b"") -> bytes:
        """The chief's content, on every worker, which waits for it; the others' is not used."""
        if self.is_chief:
            self._to_all(b"c", content)
            return content
        return self._from(CHIEF, b"c")

    def stops_here(self, signal_number: int) -> bool:
        """Do all workers stop here? To be called by each after every step.

        signal_number: the signal that this worker has caught, or 0. One on any worker stops all of
        them at the same call: the next one, which no worker can reach before the chief goes on.
        """
        self._calls += 1
        if not self.is_chief:
            if signal_number and not self._asked:
                self._asked = True
                self._links[CHIEF].send(b"s")
        elif self._stop_at is None and (signal_number or not self._inbox[CHIEF, b"s"].empty()):
            self._stop_at = self._calls + 1
            self._to_all(b"S", str(self._stop_at).encode())
            for index in self._links:
                self._from(index, b"k")
        return self._stop_at is not None and self._calls >= self._stop_at

    def leave(self) -> None:
        """Wait until every worker is here: none ends while another still needs it."""
        if self.is_chief:
            for index in self._links:
                self._from(index, b"d")
            self._over.acquire(blocking=False)
            self._to_all(b"D")
        else:
            self._links[CHIEF].send(b"d")
            self._from(CHIEF, b"D")

    def end_others(self, exit_code: int, why: str) -> None:
        """This worker ends, and says why: the others end with the same code and one line."""
        if self._over.acquire(blocking=False):
            name = self.cluster.names[self.cluster.index]
            self._tell(f"{name} ended: {one_line(why)}", exit_code)

    def close(self) -> None:
        """The chief goes last: what it said may still be on its way."""
        self._over.acquire(blocking=False)
        if self.is_chief:
            for thread in self._listeners:
                thread.join(2)
        for link in self._links.values():
            link.close()

    # ---- messages ----

    def _to_all(self, kind: bytes, content: bytes = b"") -> None:
        for link in self._links.values():
            link.send(kind, content)

    def _from(self, index: int, kind: bytes) -> bytes:
        """The next message of this kind. That its sender lives is the listener's business."""
        while True:
            try:
                return self._inbox[index, kind].get(timeout=LINE_EVERY_S)
            except queue.Empty:
                log.info(f"waiting for {self.cluster.names[index]}")

    def _listen(self, index: int) -> None:
        """In a thread of its own: take the messages of one worker until it is gone."""
        while True:
            try:
                self._take(index, *self._links[index].receive())
            except (Gone, ValueError, TypeError, KeyError) as gone:
                self._end(f"{self.cluster.names[index]} {gone}; {AGAIN}", TRY_AGAIN)
                return

    def _take(self, index: int, kind: bytes, content: bytes) -> None:
        if kind == b"e":
            end = json.loads(content)
            self._end(one_line(end["line"], 600), int(end["code"]))
        elif kind == b"S":
            self._stop_at = int(content)
            self._links[index].send(b"k")
        else:
            if kind == b"D" or (kind == b"v" and json.loads(content)):
                self._over.acquire(blocking=False)  # the chief is about to end as well
            self._inbox[CHIEF if kind == b"s" else index, kind].put(content)

    def _beat(self) -> None:
        while True:
            time.sleep(EVERY_S)
            asleep = time.monotonic() - self._last_beat
            if asleep > worker_link.SILENCE_S:
                self._end(self._woke(asleep), TRY_AGAIN)
            self._last_beat = time.monotonic()
            for link in self._links.values():
                link.beat()

    def _woke(self, asleep_s: float) -> str:
        return f"this process was frozen for {asleep_s:.0f} s, so the others ended; {AGAIN}"

    # ---- the end ----

    def _end(self, line: str, exit_code: int) -> None:
        """End this process from a thread, and tell the others, unless it is ending already."""
        if not self._over.acquire(blocking=False):
            return
        asleep = time.monotonic() - self._last_beat
        if asleep > worker_link.SILENCE_S:
            line, exit_code = self._woke(asleep), TRY_AGAIN
        self._tell(line, exit_code)
        signals.end_now(line, exit_code)

    def _tell(self, line: str, exit_code: int) -> None:
        """The others are told, but for those that take no message any more."""
        content = json.dumps({"line": line, "code": exit_code}).encode()
        threads = [
            threading.Thread(target=link.send, args=(b"e", content), daemon=True)
            for link in self._links.values()
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(1)
        time.sleep(0.2)  # a connection that is closed at once may lose what was sent last


@contextmanager
def joined(cluster: Cluster | None) -> Iterator[Workers | None]:
    """The channel to the other workers, while this one trains; None without a cluster.

    At the end of the block all workers wait for each other. An error that ends it on one worker
    ends the others too. Raises UserError (exit code 75) where not all of them come.
    """
    if cluster is None:
        yield None
        return
    workers = Workers(cluster, meet(cluster))
    try:
        stopped = signals.undone(lambda: workers.end_others(TRY_AGAIN, f"it was stopped; {AGAIN}"))
        with stopped, _told(workers):
            yield workers
            workers.leave()
    finally:
        workers.close()


@contextmanager
def _told(workers: Workers) -> Iterator[None]:
    """An error is told to the others; one of TensorFlow's is most often that of another worker."""
    try:
        yield
    except UserError as error:
        workers.end_others(error.exit_code, str(error))
        raise
    except Exception as error:
        if type(error).__name__ not in BROKEN:
            code = TRY_AGAIN if isinstance(error, OSError) else 1
            workers.end_others(code, f"{type(error).__name__} {error}")
            raise
        # Meanwhile the channel names the worker that died, and ends this process.
        time.sleep(worker_link.SILENCE_S + 5 * EVERY_S)
        line = f"the connection between the workers broke: {one_line(error, 200)}; {AGAIN}"
        workers.end_others(TRY_AGAIN, line)
        raise UserError(line, TRY_AGAIN) from None


def _differences(given: list[dict], names: tuple[str, ...]) -> list[str]:
    """What differs: each name, its values, and which workers have them."""
    found = []
    for key in sorted({key for each in given for key in each}):
        by_value = defaultdict(list)
        for name, each in zip(names, given, strict=True):
            value = each.get(key)
            text = value if isinstance(value, str) else json.dumps(value)
            by_value[one_line(text, 60)].append(name)
        if len(by_value) > 1:
            texts = [f"{value} on {few(whose, 2)}" for value, whose in by_value.items()]
            found.append(f"{key} is {' and '.join(texts)}")
    return found
