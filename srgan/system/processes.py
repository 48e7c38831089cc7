"""One function over many tasks in several processes, the results in the order of the tasks.

Processes are spawned, so the function and the tasks are pickled: take a function of a module.
"""

import itertools
import multiprocessing
import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import resource_tracker
from typing import TypeVar

from srgan.system import memory, signals, surroundings
from srgan.system.errors import BAD_INPUT, TRY_AGAIN, UserError

Task = TypeVar("Task")
Result = TypeVar("Result")
IN_FLIGHT = 2  # tasks a process: one at work, one ready
MOST = 32  # processes; each may hold a few hundred MB, and Windows takes 61 at most


def cpus() -> int:
    """CPUs that this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_order(function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Result]:
    """`map(function, tasks)` in one process per CPU, at most two tasks per process in flight.

    With one CPU, one task, or a program from stdin, all of it runs in this process. What the
    function raises is raised here. Leaving early (an exception, Ctrl-C, close()) ends the processes
    at once: use contextlib.closing where they write files. Raises UserError if a process is lost.
    """
    processes = min(cpus(), len(tasks), MOST)
    if processes > 1 and _can_spawn():
        yield from _spawned(processes, function, tasks)
    else:
        yield from map(function, tasks)


def _can_spawn() -> bool:
    """A spawned process runs the main file again; a program from stdin has none."""
    path = getattr(sys.modules["__main__"], "__file__", None)
    return path is None or os.path.exists(path)


def _spawned(processes: int, function, tasks) -> Iterator:
    _start_tracker()
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), _begin)
    waiting = deque()
    remaining = iter(tasks)
    done = False
    try:
        while True:
            with signals.postponed():  # a process that is half started complains
                for task in itertools.islice(remaining, IN_FLIGHT * processes - len(waiting)):
                    waiting.append(pool.submit(function, task))
            if not waiting:
                break
            yield waiting.popleft().result()
        done = True
    except BrokenProcessPool:
        raise UserError(
            "a worker process was lost (out of memory?): free some memory and start again",
            BAD_INPUT if memory.is_limited() else TRY_AGAIN,
        ) from None
    finally:
        if not done:
            for process in set(multiprocessing.active_children()) - others:
                process.kill()
        pool.shutdown(cancel_futures=True)


def _start_tracker() -> None:
    """It removes the semaphores of a process that a signal ended: without a word about it."""
    if os.name != "nt":
        with surroundings.variables(PYTHONWARNINGS="ignore:resource_tracker"):
            resource_tracker.ensure_running()


def _begin() -> None:
    """What each process starts with; until here SIGINT is blocked (signals.postponed)."""
    signals.leave_interrupts_to_parent()
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    multiprocessing.parent_process().join()
    os._exit(1)
