"""Worker processes of this machine: one that dies costs the task that it was at, which is tried again."""

import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar

import numpy as np

from mia_lib.support.cores import side_by_side
from mia_lib.support.executor import TRIES, VARIABLE, CarryOut, WorkerDied
from mia_lib.support.parallel import Pool
from mia_lib.support.progress import FILE_VARIABLE, Relay, tell
from mia_lib.support.shipping import Store, packed, unpacked

Task = TypeVar("Task")
Result = TypeVar("Result")
LOOK = 0.2  # seconds between two looks at how far a worker is


def _carry_out(task: bytes, progress: str) -> Any:
    """In a worker: a function and its argument, arrays read from files where they lie."""
    os.environ[FILE_VARIABLE] = progress
    os.environ.pop(VARIABLE, None)  # what a task has to train, it trains itself
    function, argument = unpacked(task, lambda path: np.load(path, mmap_mode="c", allow_pickle=False))
    return side_by_side(function, [argument], workers=1)[0]


class Worker:
    """One process, started when it is first needed, and anew when it has died."""

    _starting = threading.Lock()  # of several that start at once it could not be told which are whose

    def __init__(self) -> None:
        self.pool: Pool | None = None

    def carry_out(self, task: bytes, folder: Path) -> Any:
        """The result of a packed function and argument; folder: for its progress. Raises WorkerDied if it dies TRIES
        times."""
        for attempt in range(TRIES):
            path = Path(tempfile.mkstemp(suffix=".jsonl", dir=folder)[1])
            future = self._submit(task, path)
            try:
                return self._watched(future, Relay(path))
            except BrokenProcessPool:
                assert self.pool is not None
                why, self.pool = self.pool.why(), None
                if attempt + 1 == TRIES:
                    break
                tell(f"a worker process ended unexpectedly: {why}; its part is tried again")
            finally:
                path.unlink(missing_ok=True)
        raise WorkerDied(f"a worker process ended unexpectedly, {TRIES} times over the same part: {why}")

    def _submit(self, task: bytes, path: Path) -> Future:
        with self._starting:
            if self.pool is None:
                self.pool = Pool(1)
            return self.pool.submit(_carry_out, task, str(path))

    def _watched(self, future: Future, relay: Relay) -> Any:
        """A future's result, while progress is passed on; the process is ended with whoever waits for it."""
        try:
            while wait([future], LOOK).not_done:
                relay.pass_on()
            return future.result()
        except BrokenProcessPool:
            raise
        except BaseException:
            if not future.done() and self.pool is not None:
                self.pool.end()
                self.pool = None
            raise
        finally:
            relay.close()


class Workers:
    """So many worker processes; arrays of their tasks are written once, and mapped by each that reads them."""

    def __init__(self, count: int):
        self.count, self._idle = count, SimpleQueue[Worker]()
        for _ in range(count):
            self._idle.put(Worker())

    @contextmanager
    def session(self) -> Iterator[CarryOut]:
        with tempfile.TemporaryDirectory(prefix="mia-", ignore_cleanup_errors=True) as name:
            folder = Path(name)

            def put(array: np.ndarray) -> str:
                path = Path(tempfile.mkstemp(suffix=".npy", dir=folder)[1])
                np.save(path, array)
                return str(path)

            store = Store(put)

            def carry_out(function: Callable[[Task], Result], task: Task, /) -> Result:
                worker = self._idle.get()
                try:
                    return worker.carry_out(packed((function, task), store), folder)
                finally:
                    self._idle.put(worker)

            yield carry_out
