"""A disk of its own for a folder, as small as one likes: for a full or a read-only one (needs the right to mount)."""

import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True, capture_output=True)


def resize(folder: Path, size: str) -> None:
    """Give the disk at a folder another size, such as `10m`; it can be written to."""
    mount("-o", f"remount,rw,size={size}", str(folder))


@contextmanager
def own_disk(folder: Path, size: str) -> Iterator[None]:
    """A disk in memory at a folder while the block runs."""
    folder.mkdir(parents=True, exist_ok=True)
    mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder))
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """A folder can only be read while the block runs."""
    mount("--bind", str(folder), str(folder))
    try:
        mount("-o", "remount,ro,bind", str(folder))
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def largest_file(size: int) -> Callable[[], None]:
    """A limit for a process: no file may grow beyond so many bytes."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
