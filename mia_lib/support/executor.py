"""Where tasks that take minutes are carried out: here, by worker processes of this machine, or by the nodes of a Ray cluster.

One small interface: `each(function, tasks)` gives the results in the order of the tasks. Function and tasks are such that
another process can be given them: a function of a module, and values of our classes. A task gives the same bits wherever it
is carried out, so nothing that is kept depends on the executor.
"""

import os
from collections.abc import Callable, Sequence
from functools import cache
from typing import Protocol, TypeVar

from mia_lib.support.cores import side_by_side
from mia_lib.support.errors import MiaError, UsageError

Task = TypeVar("Task")
Result = TypeVar("Result")
VARIABLE = "MIA_EXECUTOR"
"""Environment variable that names the executor: empty, `workers:N`, `ray` or `ray:ADDRESS`. Kernels inherit it."""
TRIES = 3
"""How often a task is tried whose worker dies."""


class WorkerDied(MiaError):
    """A task was tried TRIES times, and each time its worker died."""


class Executor(Protocol):
    """Carries out tasks side by side."""

    def each(
        self,
        function: Callable[[Task], Result],
        tasks: Sequence[Task],
        most: int | None = None,
        lost: Callable[[Task, MiaError], Result] | None = None,
    ) -> list[Result]:
        """`function(task)` of all tasks, in their order; most: at a time on this machine. The first error ends the others
        and is raised. A task over which workers have died TRIES times is such an error, MiaError, unless there is something
        that can stand for its result: `lost(task, error)`."""


class Here:
    """Threads of this process, one a core (`cores.side_by_side`); workers: cores (None: those that it may use)."""

    def __init__(self, workers: int | None = None):
        self.workers = workers

    def each(
        self,
        function: Callable[[Task], Result],
        tasks: Sequence[Task],
        most: int | None = None,
        lost: Callable[[Task, MiaError], Result] | None = None,
    ) -> list[Result]:
        return side_by_side(function, tasks, most, self.workers)


@cache
def make_executor(name: str) -> Executor:
    """The executor of a name, as VARIABLE has it; workers and connections live as long as this process."""
    kind, _, rest = name.partition(":")
    if kind == "workers" and rest.isdecimal() and int(rest):
        from mia_lib.support.workers import Workers

        return Workers(int(rest))
    if kind == "ray":
        from mia_lib.support.cluster import OnRay

        return OnRay(rest)
    if name:
        raise UsageError(f"{VARIABLE}={name!r} names no executor: use workers:N, ray or ray:ADDRESS")
    return Here()


def chosen() -> Executor:
    """The executor that the environment names."""
    return make_executor(os.environ.get(VARIABLE, ""))
