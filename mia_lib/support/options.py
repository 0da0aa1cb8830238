"""Options that several commands share: who carries out what takes long."""

import argparse
from collections.abc import Callable

from mia_lib.support.errors import UsageError

MOST_WORKERS = 1024


def add_executor_options(add: Callable) -> None:
    """Add --workers and --ray by a parser's `add_argument`."""
    add("--workers", type=int, metavar="N", help="train in N worker processes of this machine")
    text = "train on a Ray cluster, as ray://HOST:10001 (one started here)"
    add("--ray", nargs="?", const="", metavar="ADDRESS", help=text)


def executor_of(arguments: argparse.Namespace) -> str:
    """The name of the executor that was asked for (see `support.executors`); empty where none was."""
    if arguments.workers is not None and arguments.ray is not None:
        raise UsageError("--workers and --ray are two ways: choose one")
    if arguments.workers is not None:
        if not 1 <= arguments.workers <= MOST_WORKERS:
            raise UsageError(f"--workers must be from 1 to {MOST_WORKERS}, not {arguments.workers}")
        return f"workers:{arguments.workers}"
    return "" if arguments.ray is None else f"ray:{arguments.ray}".rstrip(":")
