"""The product under trouble: a tiny run as a process, what it says and leaves, and whether its numbers are the right ones."""

import contextlib
import csv
import os
import random
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import psutil

ROOT = Path(__file__).resolve().parents[2]
TINY = "--profile smoke --corpus demo:16x6 --device cpu --set epochs=4 shadow_epochs=4 bootstrap=20 n_references=4"
GONE = 30.0  # seconds that processes may take to end after their parent
LONGEST = 900.0


class End(NamedTuple):
    """How a run ended, and what it said."""

    status: int
    out: str
    err: str

    @property
    def faults(self) -> list[str]:
        """What a person should not see: a traceback, no reason or more than one, an error that nobody foresaw."""
        lines = [line for line in self.err.splitlines() if line.strip()]
        found = ["traceback"] if "Traceback" in self.out + self.err else []
        found += [f"unforeseen: {line}" for line in lines if "unexpected" in line and "unexpectedly" not in line]
        if self.status and (len(lines) != 1 or not lines[0].startswith("mia_lib: ")):
            found.append(f"status {self.status} with {len(lines)} lines: {self.err[-300:]!r}")
        return found


class Place:
    """An outputs folder with a temporary folder of its own, and runs in it."""

    def __init__(self, folder: Path, only: str):
        self.folder, self.only = folder, only
        self.outputs, self.temporary = folder / "outputs", folder / "temporary"
        self.temporary.mkdir(parents=True, exist_ok=True)

    def fresh(self, like: "Place | None" = None) -> None:
        """Start anew, from nothing or from what another place holds."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.temporary.mkdir(parents=True)
        if like:
            shutil.copytree(like.outputs, self.outputs)

    @property
    def cache(self) -> Path:
        return self.outputs / "cache"

    def start(self, run_id: str = "tiny", limit: Callable[[], None] | None = None, more: str = "") -> "Work":
        """Begin a run. limit: called in the new process before it works. more: options."""
        options = [
            *TINY.split(),
            "--only",
            self.only,
            "--outputs",
            str(self.outputs),
            "--run-id",
            run_id,
            *more.split(),
        ]
        return Work(self, "run", options, limit)

    def prune(self) -> End:
        """Remove the stages on which no run rests."""
        return Work(self, "cache", ["--prune", "--outputs", str(self.outputs)]).end()

    def run(self, run_id: str = "tiny", limit: Callable[[], None] | None = None) -> End:
        return self.start(run_id, limit).end()

    def rows(self, run_id: str = "tiny") -> set[tuple[str, ...]]:
        """The rows of `results.csv` but those of times; none where there is no such file."""
        with contextlib.suppress(FileNotFoundError), open(self.outputs / run_id / "results.csv", newline="") as file:
            return {tuple(row) for row in csv.reader(file) if "seconds" not in row[7]}
        return set()

    def alive(self) -> Iterator[psutil.Process]:
        """The processes of this place, whoever started them: they have its temporary folder."""
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get("TMPDIR", "").startswith(str(self.temporary)):
                    yield process

    def left_behind(self) -> list[str]:
        """Processes, half files and temporary folders that are there although nothing runs."""
        end = time.monotonic() + GONE
        while (living := list(self.alive())) and time.monotonic() < end:
            time.sleep(0.1)
        half = [*self.cache.glob("*.partial"), *self.outputs.glob("*/.*.running.*"), *self.temporary.iterdir()]
        half += [path for path in self.outputs.rglob(".*") if re.search(r"\.[0-9a-f]{8}$", path.name)]
        return [*(f"process {process.pid}" for process in living), *(str(p.relative_to(self.folder)) for p in half)]


def _is_kernel(process: psutil.Process) -> bool:
    """Whether it was started as a kernel, or split off a nursery."""
    above = process.parent()
    return "ipykernel" in " ".join(process.cmdline()) or (
        above is not None and "series.nursery" in " ".join(above.cmdline())
    )


class Work:
    """A running command of the product."""

    def __init__(self, place: Place, command: str, options: list[str], limit: Callable[[], None] | None = None):
        self.place = place
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mia_lib", command, *options],
            cwd=ROOT,
            env=os.environ | {"TMPDIR": str(place.temporary), "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            start_new_session=True,
            preexec_fn=limit,
        )

    def going(self, seconds: float) -> bool:
        """Whether it still works after so many seconds."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        return self.process.poll() is None

    def end(self) -> End:
        out, err = self.process.communicate(timeout=LONGEST)
        return End(self.process.returncode, out, err)

    def parts(self, who: str) -> list[psutil.Process]:
        """The runner itself, what kernels are split off, its kernels, its workers, which decode, or those of kernels, which
        train: who is there now."""
        with contextlib.suppress(psutil.Error):
            runner = psutil.Process(self.process.pid)
            if who == "runner":
                return [runner]
            above = self.parts("kernel") if who == "trainer" else [runner]
            below = [process for parent in above for process in parent.children(recursive=True)]
            if who == "kernel":
                return [process for process in below if _is_kernel(process)]
            sign = "series.nursery" if who == "nursery" else "spawn_main"
            found = [process for process in below if sign in " ".join(process.cmdline())]
            return found[:1] if who == "nursery" else found  # what is split off it has its name
        return []

    def kill(self, who: str, draw: random.Random) -> str:
        """Kill one such part with SIGKILL, the runner where there is none; returns who was killed, "" if nobody was."""
        if self.process.poll() is not None:
            return ""
        victims = self.parts(who) or self.parts(who := "runner")
        try:
            draw.choice(victims).kill()
        except (IndexError, psutil.Error):
            return ""
        return who
