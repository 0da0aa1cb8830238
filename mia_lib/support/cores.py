"""Work on all cores at once: tasks on threads of one process, each with one core inside torch's operations.

Operations release the interpreter's lock, so threads share features and memory and cost nothing to start. One core inside an
operation waits for nobody: with all of them inside, every small operation ends with its slowest thread, and a machine that
somebody else uses becomes ten times slower. And a task then gives the same bits however many run beside it.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import copy_context
from typing import TypeVar

import torch

from mia_lib.support import limits
from mia_lib.support.progress import Stopped, Team, in_team, within

Task = TypeVar("Task")
Result = TypeVar("Result")
SHOWN_EVERY = 0.2  # seconds
_turn = threading.RLock()  # the number of threads inside operations is the whole process's


@contextmanager
def _one_core() -> Iterator[None]:
    """Operations within the block, and on threads that it starts, use one core each."""
    with _turn:
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(before)


def side_by_side(
    function: Callable[[Task], Result], tasks: Sequence[Task], most: int | None = None, workers: int | None = None
) -> list[Result]:
    """`function(task)` of all tasks, in their order, as many at a time as there are cores.

    most: no more than so many at a time, where memory is short. workers: cores (None: those that this process may use).
    Progress of the tasks is shown as one. The first error ends the others at their next step of progress and is raised; so
    does an interrupt. Tasks of a task are done by its own thread.
    """
    if in_team():
        return [function(task) for task in tasks]
    team = Team(len(tasks))
    count = max(1, min(workers or limits.cores(), len(tasks), most or len(tasks)))
    with _one_core(), within(team):
        if count == 1:
            return [function(task) for task in tasks]
        pool = ThreadPoolExecutor(count, "part", _denormals_are_zero)
        futures = [pool.submit(copy_context().run, function, task) for task in tasks]
        try:
            while wait(futures, SHOWN_EVERY, FIRST_EXCEPTION).not_done and not _failed(futures):
                team.show()
            _raise_first(futures)
            return [future.result() for future in futures]
        finally:
            team.stop()
            pool.shutdown(wait=True, cancel_futures=True)


def _denormals_are_zero() -> None:
    torch.set_flush_denormal(True)  # each thread has a register of its own


def _failed(futures: Sequence[Future]) -> bool:
    return any(future.done() and future.exception() is not None for future in futures)


def _raise_first(futures: Sequence[Future]) -> None:
    """Raise what made a task fail, rather than that others were stopped for it."""
    errors = [error for future in futures if future.done() and (error := future.exception()) is not None]
    if errors:
        raise next((error for error in errors if not isinstance(error, Stopped)), errors[0])
