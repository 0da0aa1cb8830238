"""Notebooks beside each other: each on its share of the cores, as soon as all that it builds on is there.

Much of a notebook keeps one core busy however many there are: its start, fits of attacks, figures. Beside another one nothing
of this is lost. Which notebook is executed when changes no number: what several need is a stage of the cache, which the first
makes and the others wait for.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from mia_lib.series.kernel import Kernels
from mia_lib.series.notebooks import Notebook, needed
from mia_lib.support import limits
from mia_lib.support.device import choose_device

MOST = 4
ROOM = 4 * 2**30  # bytes of memory for each
LOOK = 0.2  # seconds until kernels that had not started yet are ended as well

Execute = Callable[[Notebook, int, Kernels], None]


def lanes(device: str, executor: str) -> int:
    """How many notebooks are executed beside each other: one for each core, and 4 GiB for each; one alone where a graphics
    card or other workers (`executor`) do what takes long."""
    if executor or choose_device(device).type != "cpu":
        return 1
    return max(1, min(MOST, limits.cores(), limits.memory() // ROOM))


def ready(waiting: Sequence[Notebook], running: Collection[Notebook], made: Collection[str]) -> Notebook | None:
    """The first that can start: all that it needs has ended, and nobody trains just now what it would train too.

    made: words of `Notebook.work` that a finished notebook stands for.
    """
    series = [*waiting, *running]
    unfinished = {notebook.name for notebook in series}
    in_work = {word for notebook in running for word in notebook.work} - set(made)
    for notebook in waiting:
        if not needed(notebook.name, series) & unfinished and not in_work & set(notebook.work):
            return notebook
    return None if running else next(iter(waiting), None)  # those that need each other


def in_lanes(
    notebooks: Sequence[Notebook],
    count: int,
    made: Collection[str],
    execute: Execute,
    skip: Callable[[Notebook], bool],
    kernels: Kernels,
) -> Iterator[tuple[Notebook, Future]]:
    """Each notebook with what came of it, when it has ended, at most `count` at a time.

    execute(notebook, cores, kernels) is called on a thread. skip: whether a notebook whose turn it is is not executed. made:
    work that was done before. kernels: where those that run are listed. An interrupt ends all kernels.
    """
    waiting, running, made = list(notebooks), dict[Future, Notebook](), set(made)
    pool = ThreadPoolExecutor(count, "notebook")
    try:
        while waiting or running:
            while len(running) < count and (notebook := ready(waiting, list(running.values()), made)):
                waiting.remove(notebook)
                if not skip(notebook):
                    cores = max(1, limits.cores() // min(count, 1 + len(running) + len(waiting)))
                    running[pool.submit(execute, notebook, cores, kernels)] = notebook
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                notebook = running.pop(future)
                if future.exception() is None:
                    made.update(notebook.work)
                yield notebook, future
    finally:
        while wait(running, LOOK).not_done:
            kernels.end()
        pool.shutdown()
