"""What all tests share."""

import os

if "PYTEST_XDIST_WORKER" in os.environ:  # tests run beside each other: one core each
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import signal

import pytest
from support.two_nodes import nodes  # noqa: F401, a fixture

LONGEST = "test_end_to_end.py"
"""What takes longest starts first, so that the others go on beside it."""


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.name != LONGEST)


@pytest.fixture(autouse=True, scope="session")
def interrupts_reach_child_processes():
    """A suite started in the background inherits ignored signals, and so would every process that the tests start."""
    usual = {signal.SIGINT: signal.default_int_handler}
    if hasattr(signal, "SIGHUP"):
        usual[signal.SIGHUP] = signal.SIG_DFL
    before = {number: signal.signal(number, handler) for number, handler in usual.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
