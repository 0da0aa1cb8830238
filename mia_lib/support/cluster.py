"""A Ray cluster: tasks go to its nodes, large arrays into its object store once, results come back as values.

Nothing is taken for granted of a shared file system. Ray tries a task again whose worker or node has died.
"""

import importlib.metadata
import os
import platform
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any, TypeVar

from mia_lib.support.cores import side_by_side
from mia_lib.support.errors import MiaError, UsageError
from mia_lib.support.executor import TRIES, VARIABLE, CarryOut, WorkerDied
from mia_lib.support.progress import FILE_VARIABLE, progress
from mia_lib.support.shipping import Store, packed, unpacked
from mia_lib.support.source import whole_digest

Task = TypeVar("Task")
Result = TypeVar("Result")
PATIENCE = 10  # seconds until a cluster must answer
LOOK = 0.2  # seconds between two looks at whether a task is done or to be given up


def state() -> dict[str, str]:
    """What must be the same on all nodes: the versions of Python and torch, and our code."""
    return {
        "Python": platform.python_version(),
        "torch": importlib.metadata.version("torch"),
        "the code of mia_lib": whole_digest(),
    }


def _carry_out(task: bytes, *arrays: Any) -> Any:
    """On a node: a function and its argument, arrays read from the object store where they lie."""
    os.environ.pop(VARIABLE, None)  # what a task has to train, it trains itself
    os.environ.pop(FILE_VARIABLE, None)  # of another machine
    function, argument = unpacked(task, arrays.__getitem__)
    return side_by_side(function, [argument], workers=1)[0]


def load_ray() -> Any:
    """The module. Raises UsageError where it is not installed."""
    try:
        import ray
    except ImportError:
        raise UsageError("Ray is not installed: `pip install mia-lib[cluster]` brings it") from None
    return ray


class OnRay:
    """The nodes of a Ray cluster. address: as Ray takes it, such as ray://HOST:10001; empty: one that is started here.

    Raises MiaError where there is no cluster, or its nodes differ from this machine in what `state` says.
    """

    def __init__(self, address: str = ""):
        self.address, self.ray, self.wanted = address, load_ray(), state()

    @cached_property
    def joined(self) -> Any:
        """The module, once it is connected and the nodes are checked."""
        ray = self.ray
        if not ray.is_initialized():
            where = self.address or "this machine"
            try:
                _reach(self.address)
                ray.init(
                    self.address or None,
                    log_to_driver=False,
                    logging_level="ERROR",
                    **({} if self.address else {"include_dashboard": False}),
                )
            except Exception as error:  # of several kinds, by what is missing
                raise MiaError(f"cannot join a Ray cluster at {where}: {_first_line(error)}") from error
        self._check_nodes(ray)
        return ray

    def _check_nodes(self, ray: Any) -> None:
        """Ask every node for its state."""
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        own, ask = self.wanted, ray.remote(num_cpus=0, max_retries=1)(state)
        nodes = [node for node in ray.nodes() if node["Alive"]]
        to = [NodeAffinitySchedulingStrategy(node["NodeID"], soft=False) for node in nodes]
        answers = [ask.options(scheduling_strategy=place).remote() for place in to]
        for node, answer in zip(nodes, answers, strict=True):
            place = node["NodeManagerAddress"]
            try:
                found = ray.get(answer)
            except Exception as error:
                raise MiaError(f"node {place} of the Ray cluster cannot use mia_lib: {_first_line(error)}") from error
            if differs := [name for name in own if found[name] != own[name]]:
                name = differs[0]
                raise MiaError(f"node {place} of the Ray cluster differs in {name}: {found[name]}, here {own[name]}")

    @property
    def count(self) -> int:
        """Processors of all nodes."""
        return max(1, int(self.joined.cluster_resources().get("CPU", 1)))

    @contextmanager
    def session(self) -> Iterator[CarryOut]:
        ray = self.joined
        remote, references = ray.remote(num_cpus=1, max_retries=TRIES - 1)(_carry_out), list[Any]()

        def put(array: Any) -> int:
            references.append(ray.put(array))
            return len(references) - 1

        store = Store(put)

        def carry_out(function: Callable[[Task], Result], task: Task, /) -> Result:
            reference = remote.remote(packed((function, task), store), *references)
            with progress(f"parts on {self.nodes} nodes", 1, "part") as bar:
                try:
                    while not ray.wait([reference], timeout=LOOK)[0]:
                        bar.update(0)
                except BaseException:  # all are to end; Ray does not bear it that a task is cancelled which has ended
                    ray.cancel(reference)
                    raise
                result = self._result(reference)
                bar.update(1)
            return result

        yield carry_out

    @property
    def place(self) -> str:
        """The address by which other processes of this machine join."""
        ray = self.joined
        return self.address or ray.get_runtime_context().gcs_address

    @property
    def nodes(self) -> int:
        """How many machines there are."""
        return sum(node["Alive"] for node in self.joined.nodes())

    def _result(self, reference: Any) -> Any:
        """What a task gave. Raises what it raised, and WorkerDied where its workers did."""
        errors = self.ray.exceptions
        try:
            return self.ray.get(reference)
        except errors.RayTaskError as error:
            raise (error.cause if isinstance(error.cause, MiaError) else error) from None
        except errors.RayError as error:
            what = f"{TRIES} times over the same part: {_first_line(error)}"
            raise WorkerDied(f"a worker of the Ray cluster ended unexpectedly, {what}") from error


def _reach(address: str) -> None:
    """Raise OSError where nobody listens at an address with a port: Ray itself would wait for minutes."""
    host, colon, port = address.rpartition("://")[2].rpartition(":")
    if colon and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), PATIENCE).close()


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines or [type(error).__name__])[0][:300]
