"""A model that is asked within a time limit: in a process of its own where it has a name, else in a thread of this one."""

import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from mia_lib.auditing.frames import receive, send
from mia_lib.features.foreign.models import Model, of_function, one_line
from mia_lib.support.death import cause
from mia_lib.support.errors import MiaError, UsageError
from mia_lib.support.limits import killed_for_memory


class NoAnswer(Exception):
    """A model did not answer one question; the message says in a few words why."""


class Served:
    """A model by its name, in a process that is started when it is first asked, and anew after it crashed or hung.

    seconds: time that one answer may take. Loading it may take any time.
    """

    def __init__(self, name: str, device: str, seconds: float):
        self.name, self.device, self.seconds = name, device, seconds
        self.batch: int | None = None
        self.samples: int | None = None
        self._process: subprocess.Popen | None = None
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  # lives as long
        self._killed = killed_for_memory()
        self._start()

    def __call__(self, waves: np.ndarray) -> np.ndarray:
        """Its answers to waveforms [B, T]; raises NoAnswer where there are none, MiaError where they are of no use."""
        process = self._process or self._start()
        assert process.stdin is not None and process.stdout is not None
        late = threading.Event()

        def end() -> None:
            late.set()
            process.kill()

        timer = threading.Timer(self.seconds, end)
        timer.start()
        try:
            send(process.stdin, waves)
            about, answers = receive(process.stdout)
        except (EOFError, OSError):
            self.close()
            why = (
                f"no answer within {self.seconds:g} s"
                if late.is_set()
                else f"its process ended: {self._why(process, True)}"
            )
            raise NoAnswer(why) from None
        finally:
            timer.cancel()
        if about.get("wrong"):
            raise MiaError(about["error"])
        if answers is None:
            raise NoAnswer(about["error"])
        return answers

    def _start(self) -> subprocess.Popen:
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
        command = [sys.executable, "-m", "mia_lib.auditing.worker", self.name, self.device]
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said, env=environment
        )
        self._process = process
        assert process.stdout is not None
        try:
            about, _ = receive(process.stdout)
        except EOFError:
            self.close()
            raise MiaError(
                f"the model {self.name} cannot be loaded: its process ended: {self._why(process, False)}"
            ) from None
        if "error" in about:
            self.close()
            raise (UsageError if about["usage"] else MiaError)(about["error"])
        self.batch, self.samples = about["batch"], about["samples"]
        return process

    def _why(self, process: subprocess.Popen, started: bool) -> str:
        self._said.seek(0)
        said = self._said.read()[-2000:].decode("utf-8", "replace")
        return cause(process.wait(), started=started, killed_before=self._killed, said=said)

    def close(self) -> None:
        """End the process, if there is one."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        for stream in (process.stdin, process.stdout):
            with suppress(OSError):
                stream.close()  # type: ignore[union-attr]
        process.wait()


class Here:
    """A function that is asked in this process. seconds: time that one answer may take: a thread cannot be ended, so one that
    takes longer is waited for no more, and left to itself."""

    def __init__(self, model: Model, seconds: float):
        self.name, self.batch, self.samples = model.name, model.batch, model.samples
        self.model, self.seconds = model, seconds

    def __call__(self, waves: np.ndarray) -> np.ndarray:
        """Its answers to waveforms [B, T]; raises NoAnswer where there are none, MiaError where they are of no use."""
        answered: queue.SimpleQueue = queue.SimpleQueue()

        def ask() -> None:
            try:
                answered.put((self.model(waves), None))
            except BaseException as error:
                answered.put((None, error))

        threading.Thread(target=ask, daemon=True).start()
        try:
            answers, error = answered.get(timeout=self.seconds)
        except queue.Empty:
            raise NoAnswer(f"no answer within {self.seconds:g} s") from None
        if isinstance(error, MiaError):
            raise error
        if error is not None:
            raise NoAnswer(one_line(error)) from error
        return answers


@contextmanager
def opened(model: Any, device: str = "cpu", seconds: float = 60.0) -> Iterator[Served | Here]:
    """A model to be asked, by a name that `load_model` knows or as a function; closed after the block."""
    if not isinstance(model, str):
        yield Here(model if isinstance(model, Model) else of_function(model, device=device), seconds)
        return
    served = Served(model, device, seconds)
    try:
        yield served
    finally:
        served.close()
