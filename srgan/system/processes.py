"""One function over many tasks in several processes, the results in the order of the tasks.

Processes are spawned, so function, initializer and tasks are pickled: functions at module level.
"""

import contextlib
import itertools
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from srgan.system.errors import TRY_AGAIN, UserError

IN_FLIGHT = 2  # tasks a process: one at work, one ready
MOST = 32  # processes; each may hold a few hundred MB, and Windows takes 61 at most


def cpus() -> int:
    """CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_order(
    function: Callable[[Any], Any],
    tasks: Sequence[Any],
    initializer: Callable[..., None] | None = None,
    initargs: tuple = (),
) -> Iterator[Any]:
    """`map(function, tasks)`, a process a CPU; at most two tasks a process are in flight.

    initializer(*initargs) is called once in each process. With one CPU, one task, or a program from
    stdin all of it runs in this process. What the function raises is raised here. Leaving early (an
    exception, Ctrl-C, close()) ends the processes at once: use contextlib.closing where they write
    files. Raises UserError where a process is lost.
    """
    processes = min(cpus(), len(tasks), MOST)
    if processes > 1 and _can_spawn():
        yield from _spawned(processes, function, tasks, initializer, initargs)
        return
    if initializer and tasks:
        initializer(*initargs)
    yield from map(function, tasks)


def _can_spawn() -> bool:
    """A spawned process runs the main file again; a program from stdin has none."""
    path = getattr(sys.modules["__main__"], "__file__", None)
    return path is None or os.path.exists(path)


def _spawned(processes, function, tasks, initializer, initargs) -> Iterator[Any]:
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(
        processes, multiprocessing.get_context("spawn"), _begin, (initializer, initargs)
    )
    waiting = deque()
    remaining = iter(tasks)
    done = False
    try:
        while True:
            with _signals_wait():
                for task in itertools.islice(remaining, IN_FLIGHT * processes - len(waiting)):
                    waiting.append(pool.submit(function, task))
            if not waiting:
                break
            yield waiting.popleft().result()
        done = True
    except BrokenProcessPool:
        raise UserError(
            "a worker process was lost (out of memory?): free some memory and start again",
            TRY_AGAIN,
        ) from None
    finally:
        if not done:
            for process in set(multiprocessing.active_children()) - others:
                process.kill()
        pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def _signals_wait():
    """Hold Ctrl-C and SIGTERM back while processes start: one that is half started complains."""
    if threading.current_thread() is not threading.main_thread():
        yield  # no signal ends a thread
        return
    numbers, seen = (signal.SIGINT, signal.SIGTERM), []
    before = [
        signal.signal(number, lambda number, frame: seen.append(number)) for number in numbers
    ]
    masks = hasattr(signal, "pthread_sigmask")  # not on Windows
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if masks else None
    try:
        yield
    finally:
        if masks:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler or signal.SIG_DFL)
        if seen:
            signal.raise_signal(seen[0])


def _begin(initializer, initargs) -> None:
    """What each process starts with: Ctrl-C is its parent's, and it ends when its parent does.

    Until here Ctrl-C was held back: the mask above is inherited.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if initializer:
        initializer(*initargs)


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)
