"""One run of a sweep, given to whoever carries it out: a worker process of this machine, or a node of a cluster.

Who sees the sweep's folder works in it, with the cache that all runs share. Who does not, on another machine without a shared
file system, is given what there is of the run, works in a folder of its own, and sends back what came of it.
"""

import io
import tempfile
import uuid
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from mia_lib.series.notebooks import NOTEBOOKS
from mia_lib.series.request import Request
from mia_lib.series.runner import run_series
from mia_lib.support.console import Console
from mia_lib.support.errors import MiaError
from mia_lib.support.files import write_atomically
from mia_lib.support.leftovers import clear_run, temporary
from mia_lib.support.limits import CORES_VARIABLE
from mia_lib.support.progress import Bar, Share, progress
from mia_lib.support.variables import variable

MARK = ".mark"
"""A file in a sweep's folder, by whose content a machine knows that it sees that very folder."""


def name_of(request: Request) -> str:
    """The name of a checked request's run, without that of its sweep."""
    return request.run_id.rpartition("/")[2]


@dataclass(frozen=True)
class Assignment:
    """A checked request, whose outputs folder is absolute, as a part of the sweep `within`; the other fields are arguments of
    `run_series`.

    cores: that it may use. mark: the content of the sweep's MARK. before: what there is of the run's folder, packed.
    """

    request: Request
    within: str
    cores: int
    mark: str
    before: bytes = b""
    only: str | None = None
    download: bool = False
    notebooks: Path = NOTEBOOKS
    prepare: Callable | None = None
    cache: str = ""

    @property
    def run(self) -> str:
        """The name of the run."""
        return name_of(self.request)


@dataclass(frozen=True)
class Report:
    """What was said meanwhile, why the run failed (empty: it did not), and its folder, packed, where nobody else sees it."""

    said: str
    error: str
    folder: bytes = b""


class _Told(Console):
    """Keeps what is said, and shows the last line as the state of the run."""

    def __init__(self, bar: Bar | Share):
        self.text = io.StringIO()
        super().__init__(self.text)
        self.bar = bar

    def say(self, text: str) -> None:
        super().say(text)
        self.bar.update(0, text.strip()[:60])


def carry_out(assignment: Assignment) -> Report:
    """Carry out one run of a sweep."""
    with progress(f"run {assignment.run}", None, "notebook") as bar, variable(CORES_VARIABLE, str(assignment.cores)):
        told = _Told(bar)
        if _sees(assignment):
            error = _failure(assignment, assignment.request, told)
            return Report(told.text.getvalue(), error)
        with temporary(), tempfile.TemporaryDirectory(prefix="mia-", ignore_cleanup_errors=True) as outputs:
            request = replace(assignment.request, outputs=outputs)
            folder = Path(outputs) / assignment.within / assignment.run
            unpack(assignment.before, folder)
            error = _failure(assignment, request, told)
            return Report(told.text.getvalue(), error, pack(folder))


def marked(folder: Path) -> str:
    """The content of the MARK of a sweep's folder, which is made anew."""
    mark = uuid.uuid4().hex
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / MARK, mark)
    return mark


def _sees(assignment: Assignment) -> bool:
    """Whether the sweep's folder is here."""
    try:
        mark = Path(assignment.request.outputs) / assignment.within / MARK
        return mark.read_text(encoding="utf-8") == assignment.mark
    except (OSError, ValueError):
        return False


def _failure(assignment: Assignment, request: Request, console: Console) -> str:
    """Why the run failed; empty where it came to its end."""
    a = assignment
    try:
        run_series(
            replace(request, run_id=a.run),
            only=a.only,
            download=a.download,
            notebooks=a.notebooks if a.notebooks.exists() else NOTEBOOKS,
            prepare=a.prepare,
            console=console,
            within=a.within,
            cache=a.cache,
        )
    except MiaError as error:
        return str(error)
    return ""


def pack(folder: Path) -> bytes:
    """All files of a folder as the bytes of a zip archive; empty where there are none."""
    files, content = sorted(path for path in folder.rglob("*") if path.is_file()), io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files:
            archive.write(path, path.relative_to(folder))
    return content.getvalue() if files else b""


def unpack(content: bytes, folder: Path) -> None:
    """Write what `pack` packed into a folder."""
    if content:
        folder.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            archive.extractall(folder)  # never outside of it
        clear_run(folder)
