"""Many small tasks on all processor cores: results in order, few in memory, and a quiet end on Ctrl-C."""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from mia_lib.support.errors import MiaError
from mia_lib.support.limits import cores


def ordered_map(function: Callable, tasks: Iterable, workers: int | None = None) -> Generator:
    """`function(task)` for each of `tasks`, in their order, computed by `workers` processes (None: one per allowed core).

    At most three tasks per worker are under way, so memory does not grow with their number. With one worker everything
    happens in this process. Raises MiaError if a worker process dies.
    """
    workers = workers or cores()
    if workers == 1:
        yield from map(function, tasks)
        return
    context = multiprocessing.get_context("spawn")  # the same on every system, and safe beside threads
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_follow_parent)
    waiting: deque[Future] = deque()
    try:
        for task in tasks:
            if len(waiting) == 3 * workers:
                yield waiting.popleft().result()
            with _interrupts_ignored():  # workers start here and inherit it: Ctrl-C is the parent's business
                waiting.append(pool.submit(function, task))
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool:
        raise MiaError("a worker process ended unexpectedly: is there enough memory?") from None
    finally:
        pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def _interrupts_ignored():
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


def _follow_parent() -> None:
    """In a worker: ignore Ctrl-C, and end when the parent is gone, even if it was killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None  # this is a worker

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
