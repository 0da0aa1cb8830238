"""The folder of a run: held by one process, made with one set of parameters, and what every kernel finds there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mia_lib.support.errors import MiaError, UsageError
from mia_lib.support.files import read_json


def refuse_other_parameters(folder: Path, parameters: dict) -> None:
    """Two different runs must not share a folder; a folder may move with all that is in it."""
    made_with = read_json(folder / "run.json", {}).get("parameters", parameters)
    for name, value in parameters.items():
        if made_with.get(name) != value and name != "outputs":
            raise UsageError(
                f"{folder} was made with {name} = {made_with.get(name)!r}, not {value!r}: choose another --run-id"
            )


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the run's folder; the operating system lets go of it should this process die."""
    from filelock import FileLock, Timeout

    lock = FileLock(folder / ".lock", timeout=0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise MiaError(f"another process is working in {folder}: wait for it, or choose another --run-id") from None
    except OSError as error:
        raise MiaError(f"cannot write to the outputs folder {folder.parent}: {error.strerror}") from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def environment(data_root: str) -> Iterator[None]:
    """What every kernel finds: local corpora where this process sees them, and no chatter about coming changes."""
    before = dict(os.environ)
    root = data_root or os.environ.get("MIA_DATA_ROOT") or "data"
    os.environ["MIA_DATA_ROOT"] = str(Path(root).expanduser().resolve())
    os.environ.setdefault("PYTHONWARNINGS", "ignore::DeprecationWarning,ignore::FutureWarning")
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
