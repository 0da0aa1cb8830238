"""Progress of long work: a bar in a terminal or notebook, or lines for the runner when a notebook runs under it."""

import json
import os
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path

FILE_VARIABLE = "MIA_PROGRESS_FILE"
"""Environment variable naming the file to which a notebook's kernel reports; set by the runner."""


class Bar:
    """One running task. `update` is cheap enough to call at every step."""

    def __init__(self, label: str, total: int | None, unit: str):
        self.label, self.total, self.done, self.note = label, total, 0, ""
        self._started = self._reported = time.monotonic()
        self._file = os.environ.get(FILE_VARIABLE)
        self._tqdm = None
        if not self._file:
            from tqdm import tqdm

            with self._harmless():
                self._tqdm = tqdm(total=total, desc=label, unit=unit, delay=2, leave=False, dynamic_ncols=True)

    @contextmanager
    def _harmless(self):
        """Progress never stops the work: what cannot be shown, or written to a full disk, is left out from there on."""
        try:
            yield
        except (OSError, ValueError, AttributeError):  # closed, full or missing; a character that it does not know
            if self._tqdm is not None:
                self._tqdm.disable = True
            self._tqdm = None

    def update(self, n: int = 1, note: str = "") -> None:
        """Advance by `n`, with an optional short note such as the current loss."""
        self.done += n
        self.note = note or self.note
        if self._tqdm is not None:
            with self._harmless():
                if note:
                    self._tqdm.set_postfix_str(note, refresh=False)
                self._tqdm.update(n)
        elif self._file and time.monotonic() - self._reported > 0.5:
            self.report("running")

    def resize(self, total: int) -> None:
        """Another total than was thought."""
        self.total = total
        if self._tqdm is not None:
            self._tqdm.total = total

    def report(self, state: str) -> None:
        """Append one line of JSON to the runner's file."""
        self._reported = time.monotonic()
        line = {
            "label": self.label,
            "state": state,
            "done": self.done,
            "total": self.total,
            "note": self.note,
            "seconds": round(self._reported - self._started, 2),
        }
        assert self._file is not None  # without a file there is a bar
        with self._harmless(), open(self._file, "a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

    def close(self, state: str) -> None:
        if self._tqdm is not None:
            with self._harmless():
                self._tqdm.close()
        elif self._file:
            self.report(state)


class Stopped(BaseException):
    """Ends a task of a team of which another has failed, or which has been interrupted: nobody is meant to handle it."""


@dataclass
class _Count:
    """How far the tasks of a team are with one kind of work."""

    unit: str
    totals: list[int] = field(default_factory=list)  # of those that have begun
    done: int = 0
    note: str = ""


class Team:
    """Tasks that do the same side by side and are shown as one: their bars of one label are one bar.

    Tasks on other threads only count; who made the team shows: a terminal is written to by one thread, and no lock of the
    library that draws can stop the work.
    """

    def __init__(self, size: int):
        self.size, self._lock, self._stopped, self._owner = (
            size,
            threading.Lock(),
            threading.Event(),
            threading.get_ident(),
        )
        self._counts: dict[str, _Count] = {}
        self._bars: dict[str, Bar] = {}

    def stop(self) -> None:
        """End all tasks at their next step of progress."""
        self._stopped.set()

    def begin(self, label: str, total: int | None, unit: str) -> None:
        """A task begins; those that are still to come are taken to be as long as the others."""
        with self._lock:
            self._counts.setdefault(label, _Count(unit)).totals.append(total or 0)

    def check(self) -> None:
        """Raises Stopped where the tasks are to end."""
        if self._stopped.is_set():
            raise Stopped

    def update(self, label: str, n: int, note: str) -> None:
        """A task has gone on."""
        self.check()
        with self._lock:
            count = self._counts[label]
            count.done, count.note = count.done + n, note or count.note
        if threading.get_ident() == self._owner:
            self.show()

    def show(self) -> None:
        """Show how far all tasks are."""
        with self._lock:
            counts = list(self._counts.items())
        for label, count in counts:
            if label not in self._bars:
                self._bars[label] = Bar(label, None, count.unit)
            bar, totals = self._bars[label], list(count.totals)
            bar.resize(round(sum(totals) / len(totals) * max(self.size, len(totals))))
            bar.update(count.done - bar.done, count.note)

    def close(self, state: str) -> None:
        """All have ended."""
        self.show()
        for bar in self._bars.values():
            bar.close(state)


class Share:
    """What one task of a team sees of the team's bar."""

    def __init__(self, team: Team, label: str):
        self.team, self.label, self.note = team, label, ""

    def update(self, n: int = 1, note: str = "") -> None:
        """Advance the team's bar; raises Stopped where the team has been stopped."""
        self.team.update(self.label, n, note or self.note)


_team: ContextVar[Team | None] = ContextVar("team", default=None)


def in_team() -> bool:
    """Whether this is one of several tasks that run side by side."""
    return _team.get() is not None


@contextmanager
def within(team: Team) -> Iterator[None]:
    """Bars within the block, and on threads that run in a copy of its context, are the team's."""
    token, state = _team.set(team), "failed"
    try:
        yield
        state = "done"
    finally:
        _team.reset(token)
        team.close(state)


@contextmanager
def progress(label: str, total: int | None = None, unit: str = "it") -> Iterator[Bar | Share]:
    """Show progress of a task of `total` units while the block runs; yields a `Bar`, or a `Share` of a team's."""
    team = _team.get()
    if team is not None:
        team.begin(label, total, unit)
        yield Share(team, label)
        return
    bar, state = Bar(label, total, unit), "failed"
    try:
        yield bar
        state = "done"
    finally:
        bar.close(state)


class Relay:
    """Passes on what another process of ours reports in a file: its bars are bars here."""

    def __init__(self, path: Path):
        self._path, self._at, self._bars = path, 0, dict[str, Bar | Share]()
        self._stack, self._done = ExitStack(), dict[str, int]()

    def pass_on(self) -> None:
        """Show what is new. Raises Stopped where the team of whoever waits has been stopped."""
        for line in self._new():
            label, done = str(line["label"]), int(line.get("done") or 0)
            if line["state"] == "told":
                tell(label)
                continue
            if label not in self._bars:
                bar = self._stack.enter_context(progress(label, line.get("total"), "step"))
                self._bars[label], self._done[label] = bar, 0
            self._bars[label].update(done - self._done[label], line.get("note", ""))
            self._done[label] = done
        if (team := _team.get()) is not None:
            team.check()

    def _new(self) -> Iterator[dict]:
        with suppress(OSError), open(self._path, encoding="utf-8", errors="replace") as file:
            file.seek(self._at)
            while (text := file.readline()).endswith("\n"):
                self._at = file.tell()
                with suppress(ValueError, KeyError, TypeError):
                    line = json.loads(text)
                    line["label"], line["state"]
                    yield line

    def close(self) -> None:
        """Nothing more comes."""
        self._stack.close()


def tell(text: str) -> None:
    """Say something in one line to whoever watches: the runner's console, or a warning where there is none."""
    if file := os.environ.get(FILE_VARIABLE):
        with suppress(OSError), open(file, "a", encoding="utf-8") as lines:
            lines.write(json.dumps({"label": text, "state": "told", "seconds": 0}) + "\n")
            return
    warnings.warn(text, stacklevel=3)


def duration(seconds: float) -> str:
    """Seconds as people say them: `8.1 s` or `3 min 20 s`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"
