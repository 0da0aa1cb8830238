"""Where tasks that take minutes are carried out: here, by worker processes of this machine, or by the nodes of a Ray cluster.

One small interface: give a function and a task, get the result back. Both are such that another process can be given
them: a function of a module, and values of our classes. A task gives the same bits wherever it is carried out, so nothing
that is kept depends on the executor.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol, TypeVar

from mia_lib.support.cores import side_by_side
from mia_lib.support.errors import MiaError

Task = TypeVar("Task")
Result = TypeVar("Result")
VARIABLE = "MIA_EXECUTOR"
"""Environment variable that names the executor: empty or `here`, `workers:N`, `ray` or `ray:ADDRESS`. Kernels inherit it."""
TRIES = 3
"""How often a task is tried whose worker dies."""


class WorkerDied(MiaError):
    """A task was tried TRIES times, and each time its worker died."""


class CarryOut(Protocol):
    """`carry_out(function, task)` gives `function(task)`, and waits for it. Raises what that raises, and WorkerDied."""

    def __call__(self, function: Callable[[Task], Result], task: Task, /) -> Result: ...


class Executor(Protocol):
    """Whoever carries out tasks; arrays that several tasks of one session hold are given away once."""

    @property
    def count(self) -> int | None:
        """How many tasks at a time (None: as many as this process may use cores)."""

    def session(self) -> AbstractContextManager[CarryOut]:
        """Carries out tasks within the block, also called from several threads."""


class Here:
    """This process; workers: cores (None: those that it may use)."""

    def __init__(self, workers: int | None = None):
        self.count = workers

    def session(self) -> AbstractContextManager[CarryOut]:
        return nullcontext(lambda function, task: function(task))


def each(
    executor: Executor, function: Callable[[Task], Result], tasks: Sequence[Task], most: int | None = None
) -> list[Result]:
    """`function(task)` of all tasks, side by side and in their order; most: no more than so many at a time, where memory is
    short. The first error ends the others and is raised (see `side_by_side`)."""
    with executor.session() as carry_out:
        return side_by_side(lambda task: carry_out(function, task), tasks, most, executor.count)
