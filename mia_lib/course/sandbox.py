"""A submission's process from outside: started behind what walls the system permits, asked in frames, stopped in time."""

import contextlib
import functools
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from mia_lib.course.chapters import SET_UP
from mia_lib.course.confinement import landlock_version
from mia_lib.course.frames import BadFrame, pack, read_frame
from mia_lib.support.errors import MiaError

NAMESPACES = (
    "unshare", "--user", "--map-root-user", "--net", "--ipc", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc",
)  # fmt: skip
START, PATIENCE, GRACE = 60.0, 3, 2.0
"""Seconds until a process must have started; and a cell or call that may use s seconds of processor time is stopped from
outside after PATIENCE s + GRACE seconds of the clock."""
WALLS = {
    "namespaces": "no network and no sight of other processes (namespaces)",
    "landlock": "no file but Python's to read and none to write (Landlock)",
    "seccomp": "no further process (seccomp)",
    "limits": "memory and processor time limited by the system",
    "hook": "sockets, processes and signals refused by Python",
}
"""What each wall does, as the grader says it."""


class Died(Exception):
    """A submission's process ended or had to be ended; `reason` is `time`, `memory` or `end`."""

    def __init__(self, reason: str):
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class Limits:
    """What a submission may use: processor seconds of a cell or call, seconds of all, bytes; and what it must not see."""

    seconds: float = 10.0
    total: float = 120.0
    memory: int = 2048 * 2**20
    hidden: tuple[str, ...] = field(default=())


@functools.cache
def namespaces() -> tuple[str, ...]:
    """The words of a command that give a process a network and process numbers of its own; none where that is refused."""
    if shutil.which(NAMESPACES[0]) is None:
        return ()
    try:
        done = subprocess.run([*NAMESPACES, "true"], capture_output=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return ()
    return NAMESPACES if done.returncode == 0 else ()


class Submission:
    """One notebook's cells, run in a process of their own; a context, whose end is the end of the process.

    cells: source of each code cell; functions: those to be called. After `run`, `names` are the ones that there are, `faults`
    what went wrong in which cell, and `walls` what stands around it.
    """

    def __init__(self, cells: list[str], functions: list[str], limits: Limits):
        self.cells, self.functions, self.limits = cells, functions, limits
        self.names: set[str] = set()
        self.faults: dict[int, dict] = {}
        self.walls: list[str] = []
        self.at = -1
        self._answers: queue.Queue = queue.Queue(maxsize=4)

    def __enter__(self) -> "Submission":
        self._folder, self._errors = tempfile.TemporaryDirectory(), tempfile.TemporaryFile()
        kept = {name: os.environ[name] for name in ("PATH", "SYSTEMROOT", "LD_LIBRARY_PATH") if name in os.environ}
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        self._process = subprocess.Popen(
            [*namespaces(), sys.executable, "-B", "-u", "-m", "mia_lib.course.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            cwd=self._folder.name,
            env={
                **kept,
                **threads,
                "HOME": self._folder.name,
                "PYTHONPATH": os.pathsep.join(_paths()),
                "MPLBACKEND": "Agg",
                "MPLCONFIGDIR": self._folder.name,  # is there, and writable as far as matplotlib looks
            },
            start_new_session=True,
        )
        self._end = time.monotonic() + self.limits.total
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        with contextlib.suppress(OSError, AttributeError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.kill()
        self._process.wait()
        while True:  # whoever listens may wait for room
            try:
                self._answers.get_nowait()
            except queue.Empty:
                break
        for pipe in (self._process.stdin, self._errors):
            with contextlib.suppress(OSError):
                pipe.close()  # type: ignore[union-attr]
        self._folder.cleanup()

    def run(self) -> None:
        """Run the cells; raises Died where the process did not come to their end, with the cell that it was at in `at`."""
        limits = self.limits
        order = {
            "cells": self.cells, "functions": self.functions, "hidden": list(limits.hidden), "memory": limits.memory,
            "cpu": int(limits.total) + 1,
            "seconds": limits.seconds, "set_up": SET_UP,
        }  # fmt: skip
        self._say(order)
        first = self._hear(START)
        if "walls" not in first:
            raise self._not_started()
        self.walls = [*["namespaces"] * bool(namespaces()), *map(str, first["walls"])]
        while True:
            told = self._hear(PATIENCE * limits.seconds + GRACE)
            if isinstance(told.get("names"), list):
                self.names = set(map(str, told["names"]))
                return
            if told.get("cell") not in range(len(self.cells)):  # no worker says this: a cell forged it
                raise Died("end")
            self.at = int(told["cell"])
            if "error" in told:
                self.faults[self.at] = _fault(told)

    def call(self, function: str, arguments: tuple) -> dict:
        """What a function gives, `{"value": …}`, or what went wrong in it; raises Died where no answer comes."""
        self._say({"function": function, "arguments": arguments})
        told = self._hear(PATIENCE * self.limits.seconds + GRACE)
        if "value" in told:
            return {"value": told["value"], "changed": told.get("changed") is True}
        if "error" not in told:
            raise Died("end")
        return _fault(told)

    def _listen(self) -> None:
        stream = self._process.stdout
        try:
            while True:
                self._answers.put(read_frame(stream.read))  # type: ignore[union-attr]
        except (EOFError, BadFrame, OSError, ValueError):
            self._answers.put(None)

    def _say(self, message: Any) -> None:
        try:
            self._process.stdin.write(pack(message))  # type: ignore[union-attr]
            self._process.stdin.flush()  # type: ignore[union-attr]
        except OSError:
            raise Died("end") from None

    def _hear(self, seconds: float) -> dict:
        """The next message; raises Died where none comes in time."""
        left = self._end - time.monotonic()
        try:
            told = self._answers.get(timeout=max(0.0, min(seconds, left)))
        except queue.Empty:
            raise Died("time") from None
        if not isinstance(told, dict):
            raise Died("end")
        return told

    def _not_started(self) -> MiaError:
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip().splitlines() or ["it says nothing"]
        return MiaError(f"no process for a submission could be started: {said[-1]}")


def _fault(told: dict) -> dict:
    """A fault with text where text belongs, whoever wrote it."""
    line = told.get("line")
    return {
        "error": str(told["error"])[:80],
        "message": str(told.get("message", ""))[:300],
        "line": line if isinstance(line, int) else 0,
    }


def _paths() -> list[str]:
    """Where modules are found here, this package's own place first."""
    own = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return [
        own,
        *(path for path in map(os.path.abspath, filter(None, sys.path)) if path != own and os.path.exists(path)),
    ]


def missing_walls() -> list[str]:
    """What this machine does not permit, in a sentence each: empty where every wall can stand."""
    told = []
    if not namespaces():
        told.append(
            "no namespaces here (`unshare` is missing or refused): Python alone keeps submissions from the network"
        )
    if not landlock_version():
        told.append(
            "no Landlock here (Linux 5.13 or later): only Python keeps them off files, which stops simple tries; "
            "grade in a container or a virtual machine"
        )
    return told
