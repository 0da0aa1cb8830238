"""Executes one notebook with papermill in a kernel of this very Python; a failure is told in a few lines."""

import contextlib
import json
import logging
import os
import re
import socket
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, ClassVar

import zmq
from ipykernel.kernelspec import get_kernel_dict
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.provisioning import LocalProvisioner

from mia_lib.series.folding import portable
from mia_lib.series.notebooks import Notebook
from mia_lib.series.nursery import Child, Nursery
from mia_lib.support.console import INDENT, Console
from mia_lib.support.death import cause, remedy
from mia_lib.support.errors import MiaError
from mia_lib.support.files import write_atomically
from mia_lib.support.imports import without
from mia_lib.support.leftovers import remove
from mia_lib.support.limits import killed_for_memory
from mia_lib.support.progress import FILE_VARIABLE

with without(
    "rfc3987_syntax"
):  # a grammar of addresses, which the validator of notebooks builds for seconds and never asks
    import papermill
    from papermill.engines import NBClientEngine, papermill_engines


class CellFailure(Exception):
    """A notebook did not run to its end; the message shows where and why in a few lines."""


ENGINE = "saved at the end"


class SavedAtTheEnd(NBClientEngine):
    """Writes the executed notebook once, however it ended: before and behind each cell, as is usual, costs a second for each
    figure of a notebook."""

    @classmethod
    def execute_managed_notebook(cls, nb_man, kernel_name: str, **options) -> None:
        path, nb_man.output_path = nb_man.output_path, None
        try:
            super().execute_managed_notebook(nb_man, kernel_name, **options)
        finally:
            nb_man.output_path = path


papermill_engines.register(ENGINE, SavedAtTheEnd)


def _can_hold_sockets(name: str) -> bool:
    """Whether sockets can lie at a path: it may be too long, the folder full, or the system without."""
    with contextlib.suppress(OSError, AttributeError), socket.socket(socket.AF_UNIX) as probe:
        probe.bind(f"{name}-0")
        os.unlink(f"{name}-0")
        return zmq.has("ipc")
    return False


class OwnKernelManager(AsyncKernelManager):
    """Starts kernels of the running interpreter, whatever kernels are registered, and talks to them encrypted: through files
    of the run's temporary folder where there can be such, since a free port may be another process's before a kernel takes
    it."""

    transport_encryption = "auto"
    given: ClassVar["Given"]

    async def start_kernel(self, **options) -> None:  # type: ignore[override]
        sockets = os.path.join(tempfile.gettempdir(), uuid.uuid4().hex[:8])
        if _can_hold_sockets(sockets):
            self.transport, self.ip = "ipc", sockets
        variables = dict(os.environ) | self.given.variables
        options |= {"stderr": self.given.words, "env": variables, "cwd": str(self.given.folder)}
        await super().start_kernel(**options)
        self.given.process = getattr(self.provisioner, "process", None)

    async def _async_launch_kernel(self, kernel_cmd: list[str], **options) -> None:
        """From the nursery, if there is one; this is where the library has subclasses start kernels in their own way."""
        given, provisioner = self.given, self.provisioner
        if given.nursery is not None and isinstance(provisioner, LocalProvisioner):
            arguments, words = kernel_cmd[kernel_cmd.index("-f") :], given.words.name
            child = given.nursery.kernel(arguments, options["env"], options["cwd"], words)
            if child is not None:
                provisioner.process, provisioner.cwd = child, options["cwd"]  # type: ignore[assignment]
                provisioner.pid = provisioner.pgid = child.pid
                self._reconcile_connection_info(provisioner.connection_info)
                return
        await super()._async_launch_kernel(kernel_cmd, **options)

    @property
    def kernel_spec(self) -> KernelSpec:
        return KernelSpec(**get_kernel_dict())


@dataclass
class Given:
    """What the kernel of one notebook is given, and the process that it is."""

    variables: dict[str, str]  # beside those of this process
    words: IO  # where its own standard error goes
    folder: Path  # where it works
    nursery: Nursery | None = None  # that it is split off from
    process: subprocess.Popen | Child | None = None

    def manager(self) -> type[OwnKernelManager]:
        """Who starts it."""
        return type("KernelManager", (OwnKernelManager,), {"given": self})


class Kernels:
    """The kernels that run at present, so that all can be ended at once from another thread."""

    def __init__(self, nursery: Nursery | None = None) -> None:
        """nursery: where they come from; None: each starts anew."""
        self.nursery = nursery
        self._running: list[Given] = []
        self.ending = False

    @contextlib.contextmanager
    def running(self, given: Given) -> Iterator[None]:
        """A kernel runs in the block."""
        self._running.append(given)
        try:
            yield
        finally:
            self._running.remove(given)

    def end(self) -> None:
        """Kill those that have started; who waits for one is told that it is dead."""
        self.ending = True
        for given in list(self._running):
            if given.process is not None:
                with contextlib.suppress(OSError):
                    given.process.kill()


def execute(
    notebook: Notebook,
    run_folder: Path,
    parameters: dict,
    console: Console,
    kernels: Kernels,
    variables: dict[str, str] | None = None,
    label: str = "",
) -> None:
    """Run a notebook to `<run_folder>/NN_name.ipynb`; a failed one stays as `NN_name.failed.ipynb` (CellFailure).

    kernels: where its kernel is listed. variables: of the environment, which it gets beside those of this process. label:
    said before what it reports. Earlier results of the same notebook are removed first, so that old and new numbers are never
    mixed.
    """
    _forget(notebook.name, run_folder)
    running, words = (run_folder / f".{notebook.name}.running.{ending}" for ending in ("ipynb", "txt"))
    killed = killed_for_memory()
    logging.getLogger("papermill").setLevel(logging.CRITICAL)  # its errors are raised as well
    try:
        with console.following(label) as progress, open(words, "wb") as file:
            own = {FILE_VARIABLE: str(progress)} | (variables or {})
            # papermill's cwd would move this process, and others beside it
            given = Given(own, file, notebook.path.parent, kernels.nursery)
            with kernels.running(given):
                papermill.execute_notebook(
                    _literal(notebook.path),
                    _literal(running),
                    parameters,
                    engine_name=ENGINE,
                    progress_bar=False,
                    kernel_name="python3",
                    language="python",
                    kernel_manager_class=given.manager(),
                    shutdown_kernel="immediate",  # all it made is on disk by then, and Ctrl-C should not wait
                )
        _keep(running, run_folder / f"{notebook.name}.ipynb")
    except (papermill.PapermillExecutionError, RuntimeError) as error:  # RuntimeError: the kernel is dead
        if kernels.ending:
            return
        kept = run_folder / f"{notebook.name}.failed.ipynb"
        with contextlib.suppress(FileNotFoundError):
            _keep(running, kept)
        if isinstance(error, papermill.PapermillExecutionError):
            raise CellFailure(_explain(error, kept)) from error
        raise CellFailure(f"{INDENT}the kernel died: {_why(error, given.process, words, killed)}") from error
    except (OSError, zmq.ZMQError) as error:
        place = getattr(error, "filename", None) or running
        raise MiaError(f"{notebook.name} cannot be run to {place}: {remedy(error)}") from error
    finally:
        running.unlink(missing_ok=True)
        words.unlink(missing_ok=True)


def _why(error: RuntimeError, process: subprocess.Popen | Child | None, words: Path, killed: int | None) -> str:
    """Why the kernel is dead: its status, or its last words if it did not come to its work."""
    message = str(error).splitlines()[0]
    if process is None or process.poll() is None:  # it lives, but does not answer
        return message
    said = words.read_text(encoding="utf-8", errors="replace")
    return cause(process.returncode, started="before replying" not in message, killed_before=killed, said=said)


def _keep(running: Path, kept: Path) -> None:
    """Put an executed copy in its place, without the folders of this machine."""
    write_atomically(kept, json.dumps(portable(json.loads(running.read_text(encoding="utf-8"))), indent=1) + "\n")


def _forget(name: str, run_folder: Path) -> None:
    copies = [run_folder / f"{name}{ending}" for ending in (".ipynb", ".failed.ipynb")]
    for old in [run_folder / "parts" / name, *(run_folder / "figures").glob(f"{name}-*"), *copies]:
        with contextlib.suppress(FileNotFoundError):
            remove(old)


def _literal(path: Path) -> str:
    """A path as papermill wants it, which takes braces for its own placeholders."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _explain(error: papermill.PapermillExecutionError, kept: Path) -> str:
    """The failing cell, its first lines and its error."""
    source = [line for line in error.source.splitlines() if line.strip()][:4]
    message = re.sub(r"\x1b\[[0-9;]*m", "", f"{error.ename}: {error.evalue}").splitlines()[:4]
    lines = [f"failed in cell [{error.exec_count}] of {kept.name}:", *(f"    {line[:110]}" for line in source)]
    return "\n".join(INDENT + line for line in [*lines, *(line[:400] for line in message)])
