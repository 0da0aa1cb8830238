"""Why another process of ours is gone, as far as the system tells; memory is named where nothing else fits."""

import errno
import multiprocessing
import signal
import subprocess
import sys
from pathlib import Path

from mia_lib.support.limits import killed_for_memory

FILES_NEEDED = 256  # open files; a kernel or a pool of workers needs a part of them
REMEDIES = {
    errno.EMFILE: "raise the limit of open files (`ulimit -n`)",
    errno.ENFILE: "the whole system has no more open files",
    errno.EAGAIN: "raise the limit of processes (`ulimit -u`)",
    errno.ENOMEM: "is there enough memory?",
}

ANEW = 'starts anew in it: put what it does under `if __name__ == "__main__":`'


def remedy(error: BaseException) -> str:
    """What the system said when it refused something, with what helps."""
    known = REMEDIES.get(getattr(error, "errno", None) or 0)
    words = getattr(error, "strerror", None) or str(error)
    return f"{words}: {known}" if known else words


def _of_signal(number: int, killed_before: int | None) -> str:
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    words = f"it was ended by {name} ({signal.strsignal(number) or 'unknown'})"
    if name != "SIGKILL":
        return words
    killed = killed_for_memory()
    if killed is None or killed_before is None:
        return f"{words}: is there enough memory?"
    return (
        f"{words}, by the kernel, {'out of memory' if killed > killed_before else 'or anybody: not for want of memory'}"
    )


def main_file() -> Path | None:
    """The script that runs here, which worker processes import; None for modules, and where there is no script."""
    main = sys.modules["__main__"]
    file = getattr(main, "__file__", None)
    return Path(file) if file and getattr(main, "__spec__", None) is None else None


def _without_guard() -> bool:
    """Whether the script that runs here lets every process that imports it start anew."""
    file = main_file()
    try:
        return file is not None and "__main__" not in file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False


def started_anew() -> bool:
    """Whether this is a worker process in which the script does its work once more, while that is imported only to find what
    the worker is to do. Python refuses it to start workers of its own; it must not wait for its parent either."""
    return getattr(multiprocessing.current_process(), "_inheriting", False)


def _few_files() -> int | None:
    """How many files a process may open, if those are few."""
    try:
        import resource
    except ImportError:
        return None
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return allowed if 0 <= allowed < FILES_NEEDED else None


def _start_up_fault() -> str | None:
    """What keeps a new Python from its work, if anything does: one is started that has nothing to do."""
    command = [sys.executable, "-c", "print('at work')"]
    try:
        done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", timeout=30)
    except (OSError, subprocess.SubprocessError) as error:
        return remedy(error)
    if "at work" in done.stdout:
        return None
    said = done.stderr.strip().splitlines() or ["it says nothing"]
    return f"a new Python ends before its work, by a start-up file (sitecustomize, usercustomize, .pth)? {said[-1]}"


def cause(status: int | None, *, started: bool, killed_before: int | None, said: str = "", script: bool = False) -> str:
    """Why a process ended, in a few words.

    status: as `subprocess` has it. started: it had come to its work. killed_before: `killed_for_memory` before it began.
    said: its last words. script: it imports the script that runs here.
    """
    if status is not None and status < 0:
        return _of_signal(-status, killed_before)
    if started:
        return "is there enough memory?" if status is None else f"it ended by itself, with status {status}"
    if script and _without_guard():
        return f"{main_file()} {ANEW}"
    last = next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "")
    if (few := _few_files()) is not None and (not last or "open files" in last):
        return f"it could not start, with {few} open files allowed: {REMEDIES[errno.EMFILE]}"
    if last and "MemoryError" not in last and "allocate" not in last:
        return f"it could not start: {last[:300]}"
    return (None if last else _start_up_fault()) or "it could not start: is there enough memory?"
