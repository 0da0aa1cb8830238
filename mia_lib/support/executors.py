"""Executors by name: where a run or a sweep was asked to carry out what takes minutes."""

import os
from functools import cache

from mia_lib.support.cluster import OnRay
from mia_lib.support.errors import UsageError
from mia_lib.support.executor import VARIABLE, Executor, Here
from mia_lib.support.workers import Workers


@cache
def make_executor(name: str) -> Executor:
    """The executor of a name, as VARIABLE has it; workers and connections live as long as this process."""
    kind, _, rest = name.partition(":")
    if kind == "workers" and rest.isdecimal() and int(rest):
        return Workers(int(rest))
    if kind == "ray":
        return OnRay(rest)
    if name not in ("", "here"):
        raise UsageError(f"{VARIABLE}={name!r} names no executor: use here, workers:N, ray or ray:ADDRESS")
    return Here()


def chosen() -> Executor:
    """The executor that the environment names."""
    return make_executor(os.environ.get(VARIABLE, ""))


def ready(name: str) -> str:
    """The executor's name for processes that are started from here; a cluster is joined, or started, and checked first."""
    executor = make_executor(name)
    return f"ray:{executor.place}" if isinstance(executor, OnRay) else name
