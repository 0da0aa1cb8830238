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
from multiprocessing.synchronize import Semaphore

from mia_lib.support.death import cause, main_file, remedy
from mia_lib.support.errors import MiaError
from mia_lib.support.limits import cores, killed_for_memory


def ordered_map(function: Callable, tasks: Iterable, workers: int | None = None) -> Generator:
    """`function(task)` for each of `tasks`, in their order, computed by `workers` processes (None: one per allowed core).

    At most three tasks per worker are under way, so memory does not grow with their number. With one worker everything
    happens in this process. Raises MiaError if a worker process dies.
    """
    workers = workers or cores()
    script = main_file()
    if workers == 1 or (
        script is not None and not script.exists()
    ):  # typed into standard input: no other can import it
        yield from map(function, tasks)
        return
    pool = Pool(workers)
    waiting: deque[Future] = deque()
    try:
        for task in tasks:
            if len(waiting) == 3 * workers:
                yield waiting.popleft().result()
            waiting.append(pool.submit(function, task))
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool:
        raise MiaError(f"a worker process ended unexpectedly: {pool.why()}") from None
    finally:
        pool.close()


class Pool:
    """Worker processes, and what is known of their end."""

    def __init__(self, workers: int):
        self._workers = workers
        context = multiprocessing.get_context("spawn")  # the same on every system, and safe beside threads
        self._killed, self._others = killed_for_memory(), {*multiprocessing.active_children()}
        self._processes: set[multiprocessing.process.BaseProcess] = set()
        self._refused = False
        try:
            self._started = context.Semaphore(0)
            self._pool = ProcessPoolExecutor(workers, context, initializer=_follow_parent, initargs=(self._started,))
        except OSError as error:
            raise MiaError(f"cannot start worker processes: {remedy(error)}") from error

    def submit(self, function: Callable, *task: object) -> Future:
        starting = len(self._processes) < self._workers
        with (
            _interrupts_ignored() if starting else contextlib.nullcontext()
        ):  # workers inherit it: Ctrl-C is the parent's
            try:
                return self._pool.submit(function, *task)
            except OSError as error:
                self._refused = True
                raise MiaError(f"cannot start worker processes: {remedy(error)}") from error
            finally:
                self._processes |= {*multiprocessing.active_children()} - self._others

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)
        if self._refused:  # workers that had started are not known to the pool, and would be waited for at the end
            self._end_processes()

    def end(self) -> None:
        """End the workers, whatever they are at."""
        self._end_processes()
        self._pool.shutdown(cancel_futures=True)

    def _end_processes(self) -> None:
        for process in self._processes:
            process.terminate()
            process.join()

    def why(self) -> str:
        """Why a worker ended: those that were left are ended by the pool itself, with SIGTERM."""
        self.close()
        ends = [process.exitcode for process in self._processes if process.exitcode]
        first = next((end for end in ends if end != -signal.SIGTERM), next(iter(ends), None))
        return cause(first, started=self._started.acquire(block=False), killed_before=self._killed, script=True)


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


def _follow_parent(started: Semaphore) -> None:
    """In a worker: say that it is at work, ignore Ctrl-C, and end when the parent is gone, even if it was killed."""
    started.release()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    assert parent is not None  # this is a worker

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
