"""A process that has imported what notebooks import, and becomes a kernel as often as it is asked to.

A kernel that starts anew spends five seconds of a core on imports, more than on all else in a short notebook. One that is
split off a process that has done so has them at once, and shares the memory. Splitting a process is safe here because this
one has started no thread and computed nothing. On Linux only; elsewhere, and where this one is gone, kernels start anew.
"""

import ast
import contextlib
import gc
import importlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from typing import IO

from mia_lib.series.notebooks import Notebook

LATER = (
    "mia_lib.models.kernels",
    "matplotlib.backends.backend_agg",
    "matplotlib.backends.backend_svg",
    "matplotlib_inline.backend_inline",
    "torch.optim.adam",
)
"""What `mia_lib` imports only when it is needed, and nearly every notebook needs."""
OURS = "mia_lib"
PICTURES = "module://matplotlib_inline.backend_inline"  # what a kernel sets, and matplotlib reads when it is imported


def imported(notebooks: Iterable[Notebook]) -> list[str]:
    """The modules that notebooks name in statements of import, and what these import later; cells that are no Python are
    passed over."""
    names: dict[str, None] = {}
    for notebook in notebooks:
        for cell in notebook.content["cells"]:
            if cell["cell_type"] == "code":
                with contextlib.suppress(SyntaxError, ValueError):
                    for node in ast.walk(ast.parse("".join(cell["source"]))):
                        if isinstance(node, ast.Import):
                            names |= dict.fromkeys(alias.name for alias in node.names)
                        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                            names |= dict.fromkeys([node.module, *(f"{node.module}.{a.name}" for a in node.names)])
    return [*names, *(LATER if any(name.partition(".")[0] == OURS for name in names) else ())]


class Child:
    """A kernel of a nursery, with what is used of `subprocess.Popen`."""

    stdin = stdout = stderr = None

    def __init__(self, pid: int):
        self.pid = pid
        self.returncode: int | None = None
        self._ended = threading.Event()

    def ended(self, status: int) -> None:
        """Note the status that it ended with."""
        if not self._ended.is_set():
            self.returncode = status
            self._ended.set()

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int | None:
        if not self._ended.wait(timeout):
            raise subprocess.TimeoutExpired("kernel", timeout or 0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Nursery:
    """The process that kernels are split off from, seen from the run; it ends with it, however that ends."""

    def __init__(self, modules: list[str]):
        """modules: what it imports beforehand; those that cannot be imported are left to the kernels."""
        self._children: dict[int, Child] = {}
        self._asking, self._answer = threading.Lock(), threading.Condition()
        self._answers: list[int] = []
        self._gone = False
        read, write = os.pipe()
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", __name__, str(write)],
                stdin=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                pass_fds=(write,),
                start_new_session=True,
            )
        except BaseException:
            os.close(read)
            raise
        finally:
            os.close(write)
        threading.Thread(target=self._listen, args=(os.fdopen(read, encoding="utf-8"),), daemon=True).start()
        self._say(modules)

    def kernel(self, arguments: list[str], variables: dict[str, str], folder: str, words: str) -> Child | None:
        """A kernel started with such arguments and environment, working in a folder; words: the file to which its standard
        error goes. None if the nursery is gone."""
        with self._asking:
            self._say({"arguments": arguments, "variables": variables, "folder": folder, "words": words})
            with self._answer:
                self._answer.wait_for(lambda: self._answers or self._gone)
                return self._children[self._answers.pop()] if self._answers else None

    def close(self) -> None:
        """End it, and with it what is left of its kernels."""
        with contextlib.suppress(OSError):
            self._process.stdin.close()  # type: ignore[union-attr]
        self._process.kill()
        self._process.wait()

    def _say(self, message: object) -> None:
        with contextlib.suppress(OSError, ValueError):  # gone: nobody will answer
            stream = self._process.stdin
            stream.write(json.dumps(message).encode() + b"\n")  # type: ignore[union-attr]
            stream.flush()  # type: ignore[union-attr]

    def _listen(self, stream: IO[str]) -> None:
        """Take what it says: the number of a kernel that has started, or that of one that has ended, and its status."""
        with stream:
            for line in stream:
                pid, *ends = map(int, line.split())
                with self._answer:
                    if ends:
                        self._children[pid].ended(*ends)
                    else:
                        self._children[pid] = Child(pid)
                        self._answers.append(pid)
                    self._answer.notify_all()
        status = self._process.wait()
        with self._answer:
            self._gone = True
            for child in self._children.values():  # they end as soon as they see that it is gone
                child.ended(status)
            self._answer.notify_all()


@contextlib.contextmanager
def nursery(notebooks: list[Notebook]) -> Iterator[Nursery | None]:
    """One for the kernels of these notebooks, in the block; None where there can be none, and for one kernel alone."""
    if sys.platform != "linux" or len(notebooks) < 2:
        yield None
        return
    try:
        one = Nursery(imported(notebooks))
    except OSError:
        yield None
        return
    try:
        yield one
    finally:
        one.close()


def _prepare(modules: list[str]) -> None:
    os.environ.setdefault("MPLBACKEND", PICTURES)
    for module in ["ipykernel.kernelapp", "ipykernel.ipkernel", "ipykernel.zmqshell", *modules]:
        with contextlib.suppress(Exception):  # names that are no modules, and faults that the notebook will show
            importlib.import_module(module)
    if any(module.partition(".")[0] == OURS for module in modules):
        importlib.import_module(f"{OURS}.support.source").whole_digest()  # parses all code once
    gc.collect()
    gc.freeze()  # what is there stays where it is, shared by all


def _serve(answers: int) -> dict | None:
    """Split off kernels until the run is gone (None); in such a kernel, what it was asked to be."""
    awake, wake = os.pipe()
    for end in (awake, wake):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    with open(0, "rb", buffering=0, closefd=False) as requests:
        _prepare(json.loads(_line(requests)))
        while True:
            readable, _, _ = select.select([0, awake], [], [])
            if awake in readable:
                os.read(awake, 4096)
                for pid, status in _ended():
                    os.write(answers, f"{pid} {status}\n".encode())
            if 0 in readable:
                line = _line(requests)
                if not line:
                    return None
                pid = os.fork()
                if pid == 0:
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    for end in (awake, wake, answers):
                        os.close(end)
                    return json.loads(line)
                os.write(answers, f"{pid}\n".encode())


def _line(stream) -> bytes:
    """One line, read byte by byte: nothing that follows is taken away from who looks whether there is more."""
    taken = bytearray()
    while (byte := stream.read(1)) not in (b"", b"\n"):
        taken += byte
    return bytes(taken)


def _ended() -> Iterator[tuple[int, int]]:
    """The kernels that have ended, and with what status."""
    with contextlib.suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            yield found[0], os.waitstatus_to_exitcode(found[1])


def _become(request: dict) -> None:
    """Be the kernel that was asked for, until it ends."""
    follow = f"--IPKernelApp.parent_handle={os.getppid()}"  # it ends when that does
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    words = os.open(request["words"], os.O_WRONLY | os.O_APPEND)
    os.dup2(words, 2)
    os.close(words)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.environ.clear()
    os.environ.update(request["variables"])
    os.chdir(request["folder"])
    sys.argv = ["ipykernel_launcher", *request["arguments"], follow]
    importlib.import_module("ipykernel.kernelapp").launch_new_instance()


def main() -> None:
    """Serve the run that started this; its kernels are this process, split off."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    request = _serve(int(sys.argv[1]))
    if request is not None:
        _become(request)


if __name__ == "__main__":
    main()
