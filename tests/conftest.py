"""What all tests share."""

import signal

import pytest


@pytest.fixture(autouse=True, scope="session")
def interrupts_reach_child_processes():
    """A suite started in the background inherits an ignored SIGINT, and so would every process that the tests start."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
