"""Temporary files of one run in one folder, which goes when the run ends, or at the next start if it was killed."""

import contextlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

PREFIX, LOCK = "mia-", ".lock"
DAY = 86_400


def own(path: Path) -> bool:
    """Whether something is ours to remove: of this user, and no link to elsewhere."""
    about = path.lstat()
    return not path.is_symlink() and (not hasattr(os, "getuid") or about.st_uid == os.getuid())


def remove(path: Path) -> None:
    """Remove a folder with all that is in it, or whatever else lies in its place."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _maker_is_gone(folder: Path) -> bool:
    """Whether the process that made a folder, whose number its name holds, has ended. Without a number: after a day."""
    touched = folder.stat().st_mtime
    found = re.match(rf"{PREFIX}(\d+)-", folder.name)
    if found is None:
        return time.time() - touched > DAY
    try:
        return psutil.Process(int(found[1])).create_time() > touched + 1  # its number was given to another since
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False


def clear(root: Path) -> None:
    """Remove what killed runs left in the temporary folder; what another machine's process holds is locked."""
    for folder in root.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError, Timeout, NotImplementedError):
            if folder.is_dir() and own(folder) and _maker_is_gone(folder):
                with FileLock(folder / LOCK, timeout=0):
                    shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def temporary() -> Iterator[Path | None]:
    """A folder for all that this process and those it starts keep for a while; None where there is no room for one."""
    with contextlib.ExitStack() as stack:
        try:
            clear(Path(tempfile.gettempdir()))
            made = tempfile.TemporaryDirectory(prefix=f"{PREFIX}{os.getpid()}-", ignore_cleanup_errors=True)
            folder = Path(stack.enter_context(made))
            stack.enter_context(FileLock(folder / LOCK))
        except (OSError, NotImplementedError):
            yield None
            return
        before, tempfile.tempdir = tempfile.tempdir, str(folder)
        stack.callback(setattr, tempfile, "tempdir", before)
        yield folder


def clear_run(folder: Path) -> None:
    """Remove half notebooks and half written files of a run that was killed; the run's folder is locked."""
    half = [*folder.glob(".*.running.*"), *(p for p in folder.rglob(".*") if re.search(r"\.[0-9a-f]{8}$", p.name))]
    for path in half:
        with contextlib.suppress(OSError):
            path.unlink()
