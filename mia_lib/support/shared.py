"""A cache that machines share: finished stages at an address that fsspec knows, one archive each.

The cache of an outputs folder takes from there what it lacks, verified as all that it reads, and gives there what it makes.
Nothing is locked: where two machines make one stage, the second archive takes the first one's place and holds the same. What
is half written is no archive, and as good as not there. Whoever may write to the address decides what all others read.
"""

import functools
import os
import posixpath
import time
import zipfile
from pathlib import Path
from typing import Any

from mia_lib.support.errors import MiaError, UsageError
from mia_lib.support.progress import tell

VARIABLE = "MIA_CACHE"
"""Environment variable with the address: a folder, or as in s3://BUCKET/FOLDER. Kernels inherit it."""
ENDING = ".zip"
FRESH = 20  # seconds for which what was listed is taken for all that is there


def absolute(address: str) -> str:
    """An address that means the same in every working folder."""
    return address if "://" in address else os.path.realpath(os.path.expanduser(address))


class SharedCache:
    """Stages by their names at an address. Once it cannot be reached this is told, and the work goes on without it.

    Raises UsageError for an address of a kind that nothing installed knows.
    """

    def __init__(self, address: str):
        import fsspec

        try:
            found: tuple[Any, str] = fsspec.core.url_to_fs(address)
        except (ValueError, ImportError, TypeError) as error:
            raise UsageError(f"--cache {address}: {' '.join(str(error).split())}") from None
        self.files, self.root = found
        self.address, self._lost = address, False
        self._names, self._listed = set[str](), -float("inf")

    def check(self) -> None:
        """Raise MiaError unless something can be written there, and read again."""
        probe = f"{self.root}/.probe-{os.getpid()}-{time.time_ns()}"
        try:
            self.files.makedirs(self.root, exist_ok=True)
            self.files.pipe_file(probe, b"here")
            self.files.cat_file(probe)
            self.files.rm_file(probe)
        except Exception as error:  # of as many kinds as there are stores
            raise MiaError(f"cannot use the shared cache {self.address}: {_said(error)}") from error

    def has(self, name: str) -> bool:
        """Whether there is something by the name of a stage."""
        if not self._lost and time.monotonic() - self._listed > FRESH:
            try:
                self.files.invalidate_cache()
                listed = self.files.ls(self.root, detail=False)
            except Exception as error:
                self._lose(error)
            else:
                self._names = {posixpath.basename(path.rstrip("/")) for path in listed}
                self._listed = time.monotonic()
        return not self._lost and name + ENDING in self._names

    def fetch(self, name: str, folder: Path) -> bool:
        """Write the files of a stage into a folder; False where what is there is not whole, or no archive of ours."""
        place = f"{self.root}/{name}{ENDING}"
        try:
            with self.files.open(place, "rb") as file, zipfile.ZipFile(file) as archive:
                if any(not _plain(entry) for entry in archive.infolist()):
                    return False
                archive.extractall(folder)
        except (zipfile.BadZipFile, RuntimeError, FileNotFoundError, EOFError):  # also one that is encrypted
            return False
        except Exception as error:
            self._lose(error)
            return False
        return True

    def give(self, stage: Path) -> None:
        """Put a finished stage there."""
        if self._lost:
            return
        place = f"{self.root}/{stage.name}{ENDING}"
        try:
            with self.files.open(place, "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
                for path in sorted(stage.iterdir()):
                    archive.write(path, path.name)
        except Exception as error:
            self._lose(error)

    def _lose(self, error: Exception) -> None:
        self._lost = True
        tell(f"the shared cache {self.address} cannot be used any more, the work goes on without it: {_said(error)}")


def _plain(entry: zipfile.ZipInfo) -> bool:
    """Whether an entry is a file of a stage: nothing below another folder or outside, and no larger than it lies there."""
    bare = Path(entry.filename).name == entry.filename and "\\" not in entry.filename
    return bare and entry.compress_type == zipfile.ZIP_STORED and entry.file_size == entry.compress_size


def _said(error: Exception) -> str:
    """What an error says, without the error number that the system's have."""
    return (getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__)[:300]


@functools.cache
def _at(address: str) -> SharedCache:
    return SharedCache(address)


def shared_cache() -> SharedCache | None:
    """The cache that the environment names, one for this process; None where it names none."""
    address = os.environ.get(VARIABLE, "")
    return _at(absolute(address)) if address else None


def ready(address: str) -> str:
    """The address for processes that are started from here. Raises UsageError or MiaError where it cannot be used."""
    place = absolute(address)
    SharedCache(place).check()
    return place
