"""The folder of a run: held by one process, made with one set of parameters, and what every kernel finds there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from mia_lib.corpora.found import real
from mia_lib.support import shared
from mia_lib.support.digests import digest
from mia_lib.support.errors import MiaError, UsageError
from mia_lib.support.files import read_json
from mia_lib.support.leftovers import clear_run, temporary
from mia_lib.support.source import ROOT

LOCK = ".lock"
USES = "uses.txt"
"""Where it is noted what stages a run, or a part of one, rests on (see `kept`)."""
WRITTEN = ("results.csv", "claims.csv", "run.json", "index.html", USES)
"""Files of a run's folder that every run writes anew."""


def refuse_other_parameters(folder: Path, parameters: dict) -> None:
    """Two different runs must not share a folder; a folder may move with all that is in it. What a damaged `run.json` says
    counts for nothing: parts know themselves what they were made with."""
    run = read_json(folder / "run.json", {})
    made_with = run.get("parameters", parameters)
    if not isinstance(made_with, dict) or run.get("parameters_digest", digest(made_with)) != digest(made_with):
        return
    for name, value in parameters.items():
        if made_with.get(name) != value and name != "outputs":
            raise UsageError(
                f"{folder} was made with {name} = {made_with.get(name)!r}, not {value!r}: choose another --run-id"
            )


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the run's folder; the operating system lets go of it should this process die."""
    from filelock import FileLock, Timeout

    lock = FileLock(folder / LOCK, timeout=0.2)  # `in_progress` holds it for a moment
    new = [place for place in (folder, *folder.parents) if not os.path.exists(place)]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        raise MiaError(f"another process is working in {folder}: wait for it, or choose another --run-id") from None
    except OSError as error:
        raise MiaError(
            f"cannot write to the outputs folder {folder.parent}: {error.strerror}: {error.filename}"
        ) from None
    try:
        clear_run(folder)
        yield
    finally:
        if folder in new and {path.name for path in folder.glob("*")} <= {LOCK, USES}:
            _take_back(folder, new)
        lock.release()


def put_aside(folder: Path) -> Iterator[str]:
    """Give another name to what lies in a run's folder where a run writes, and cannot be written to: a folder or a pipe in a
    file's place, or whatever is in a folder's. A line on each."""
    pages = folder / "pages"
    files = [folder / name for name in WRITTEN] + [page for page in pages.glob("*") if page.suffix in (".html", ".js")]
    wrong = [path for path in files if os.path.lexists(path) and not path.is_file()]
    wrong += [
        path for path in (folder / "parts", folder / "figures", pages) if os.path.lexists(path) and not path.is_dir()
    ]
    for path in wrong:
        names = (path.with_name(f"{path.name}.{number}") for number in count(1))
        aside = path.rename(next(name for name in names if not os.path.lexists(name)))
        yield f"{path.relative_to(folder)} was damaged and is made again; what was in its place is {aside.name}"


def in_progress(folder: Path) -> bool:
    """Whether a process works in a run's folder, as far as that can be told."""
    from filelock import FileLock, Timeout

    if not (folder / LOCK).exists():
        return False
    try:
        with FileLock(folder / LOCK, timeout=0):
            return False
    except (Timeout, OSError):
        return True


def _take_back(folder: Path, new: list[Path]) -> None:
    """Remove the folder of a run that left nothing, such as one whose corpus was not there, and those made for it."""
    with suppress(OSError):
        for name in (LOCK, USES):
            (folder / name).unlink(missing_ok=True)
        for place in new:
            place.rmdir()


FOR_PERSONS = ("PYTHONSTARTUP", "IPYTHONDIR")
"""Variables with which a person sets up a console of their own; kernels run such files too."""


@contextmanager
def environment(data_root: str, executor: str = "", cache: str = "") -> Iterator[None]:
    """What every kernel finds: local corpora where this process sees them, the code that runs here, who trains parts of
    stacks (see `support.executors`), the cache that machines share (see `support.shared`), no chatter about coming changes,
    and nothing that a person has set up for consoles."""
    before = dict(os.environ)
    root = data_root or os.environ.get("MIA_DATA_ROOT") or "data"
    os.environ["MIA_DATA_ROOT"] = os.path.realpath(os.path.expanduser(real(root)))
    os.environ.setdefault("PYTHONWARNINGS", "ignore::DeprecationWarning,ignore::FutureWarning")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    if executor:
        from mia_lib.support.executors import VARIABLE, ready

        os.environ[VARIABLE] = ready(executor)
    if cache := cache or os.environ.get(shared.VARIABLE, ""):
        os.environ[shared.VARIABLE] = shared.ready(cache)
    for name in FOR_PERSONS:
        os.environ.pop(name, None)
    with temporary() as folder:
        if folder is not None:
            os.environ |= {"TMPDIR": str(folder), "IPYTHONDIR": str(folder / "ipython")}
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)
