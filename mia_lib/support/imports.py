"""Modules that others try to import, can do without, and that take seconds."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without(module: str) -> Iterator[None]:
    """In the block a module that is not loaded yet is as if it were not installed."""
    here = module in sys.modules
    if not here:
        sys.modules[module] = None  # type: ignore[assignment]  # how Python notes that there is none
    try:
        yield
    finally:
        if not here:
            del sys.modules[module]
