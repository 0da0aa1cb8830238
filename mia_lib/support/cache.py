"""The stage cache: every expensive result is written atomically, verified when read, and never computed twice.

A stage is a folder `<name>-<key>`. The key hashes the stage's parameters, the contents that it reads, and the code that
makes it: the module of its `build` and everything of ours that this imports (see `mia_lib.support.source`). So changed code,
data or settings never meet an old result, and no list of modules is kept by hand. Of two processes that want one stage the
first makes it, and the other waits for it. Machines without a common folder may share what is finished (`support.shared`).
"""

import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from mia_lib.support.death import ANEW, main_file, started_anew
from mia_lib.support.digests import digest, file_digest, regular
from mia_lib.support.errors import MiaError
from mia_lib.support.files import sealed, unsealed
from mia_lib.support.leftovers import own, remove
from mia_lib.support.progress import tell
from mia_lib.support.shared import shared_cache
from mia_lib.support.source import code_digest

MANIFEST, LOCKS = "manifest.json", ".locks"
LEFT_OVER = 86_400  # seconds after which what a killed process left behind is removed

Build = Callable[[Path, Path], None]
"""Writes a stage's files into the first folder; the second survives a kill, for checkpoints."""


def _manifest(folder: Path) -> dict:
    return unsealed(regular(folder / MANIFEST).read_text(encoding="utf-8"))


def _intact(folder: Path, name: str) -> bool:
    """Whether a folder holds what was written as the stage of a name. Raises MiaError where that cannot be told: what is not
    readable now may be somebody else's, or readable in a minute, and is no damage."""
    try:
        about = _manifest(folder)
        return about["stage"] == name and all(
            file_digest(folder / name) == checksum for name, checksum in about["files"].items()
        )
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return False
    except OSError as error:
        raise MiaError(f"cannot read stage {name}: {error.strerror}: {error.filename or folder}") from error
    except (ValueError, KeyError, TypeError, AttributeError):
        return False


def _folder(path: Path) -> Path:
    """A folder of ours, made where there is none, in place of whatever else lies there."""
    if os.path.lexists(path) and not path.is_dir():
        remove(path)
    path.mkdir(parents=True, exist_ok=True)
    return path


def last_used(folder: Path) -> float:
    """When a stage was last asked for, in seconds since 1970."""
    manifest = folder / MANIFEST
    return (manifest if manifest.exists() else folder).lstat().st_mtime


def content(stage: Path, *names: str) -> str:
    """Hex digest of what a finished stage holds, or of some of its files: what goes into the keys of stages that read it."""
    files = _manifest(stage)["files"]
    return digest({name: files[name] for name in names or files})


class Cache:
    """Stages under one root folder. `timings` holds, per stage used, its name, whether it was cached, and wall seconds less
    those of the stages that it needed: they sum up to what all took. `journal`: a file to which the names of stages are added
    before they are read or made, so that it is known who rests on them."""

    def __init__(self, root: str | Path):
        self.root = Path(root)
        self.timings: list[dict] = []
        self.journal: Path | None = None
        self._noted: set[str] = set()
        self._checked: set[Path] = set()
        self._shared = shared_cache()
        self._within = 0.0  # seconds of the stages that the present one needed
        try:
            (self.root / LOCKS).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MiaError(
                f"cannot write to the outputs folder {self.root.parent}: {error.strerror}: {error.filename}"
            ) from None
        self._remove_left_overs()

    def _remove_left_overs(self) -> None:
        """What nobody has written to for a day, or whose stage is there, and nobody works on: who makes a stage locks it."""
        for folder in self.root.glob("*.partial"):
            try:
                touched = max(path.stat().st_mtime for path in (folder, *folder.rglob("*")))
                over = time.time() - touched > LEFT_OVER or folder.with_suffix("").exists()
                if over and own(folder):
                    with self._locked(folder.name.removesuffix(".partial"), timeout=0):
                        shutil.rmtree(folder, ignore_errors=True)
            except (Timeout, OSError):
                continue

    @contextmanager
    def _locked(self, name: str, timeout: float = -1):
        if started_anew():  # the parent holds the lock, and waits for this worker
            raise MiaError(f"this is a worker process, and {main_file()} {ANEW}")
        with FileLock(self.root / LOCKS / f"{name}.lock", timeout=timeout):
            yield

    def stage(self, name: str, params: dict, build: Build, uses: Iterable[object] = ()) -> Path:
        """The folder of a finished stage, computed by `build(folder, scratch)` if it is not there or is damaged.

        params: JSON-serialisable; contents that the stage reads stand there by their digests (see `content`). uses: classes
        and functions that were looked up by name, which no import tells of: their code counts too. `build` writes its files
        into `folder`; `scratch` survives a kill (for checkpoints) and is removed when the stage is complete.
        """
        with self.timed(name) as timing:
            final = self._folder(name, params, [build, *uses])
            if not self._finished(final):
                with self._refused(final.name), self._locked(final.name):
                    if not self._finished(final):  # by now, by another process
                        timing["cached"] = self._fetched(final)
                        if not timing["cached"]:
                            self._make(final, params, build)
            if self._shared and not timing["cached"]:
                self._shared.give(final)
            self._checked.add(final)
        return final

    @contextmanager
    def _refused(self, name: str) -> Iterator[None]:
        """What the system refuses in the block, in one sentence; safetensors only quotes the system."""
        try:
            yield
        except Exception as error:
            quoted = re.search(r"\(os error (\d+)\)", str(error))
            if not isinstance(error, OSError):
                if quoted is None:
                    raise
                error = OSError(int(quoted[1]), os.strerror(int(quoted[1])))
            raise MiaError(self._refusal(name, error)) from error

    def _refusal(self, name: str, error: OSError) -> str:
        """What failed, by the path that the system names; the cache's disk only where it may be meant."""
        place = error.filename
        root, named = (Path(os.path.realpath(path)) for path in (self.root, os.fsdecode(place or self.root)))
        if place is not None and root not in named.parents:
            return f"stage {name} cannot be made: {error.strerror}: {os.fsdecode(place)}"
        return f"cannot write stage {name} under {self.root}: {error}"

    @contextmanager
    def timed(self, name: str) -> Iterator[dict]:
        """Note in `timings` how long the block takes; it says in what it is given whether its result was `cached`."""
        started, before, self._within = time.monotonic(), self._within, 0.0
        timing = {"stage": name, "seconds": 0.0, "cached": True}
        yield timing
        spent = time.monotonic() - started
        self.timings.append(timing | {"seconds": round(spent - self._within, 3)})
        self._within = before + spent

    @contextmanager
    def working(self, name: str, params: object, makers: Sequence[object]) -> Iterator[Path]:
        """A folder for checkpoints of work whose results become several stages: it survives a kill and is found again by the
        same work, is this process's alone meanwhile, and is removed when the block ends well."""
        begun = self._folder(name, params, makers)
        with self._refused(begun.name), self._locked(begun.name):
            scratch = _folder(begun.with_name(f"{begun.name}.partial"))
            yield scratch
            shutil.rmtree(scratch, ignore_errors=True)

    def _make(self, final: Path, params: dict, build: Build) -> None:
        """Build a stage in its place; what an earlier attempt left in its scratch is found there."""
        with self._placed(final) as (folder, scratch):
            build(folder, scratch)
            files = {p.name: file_digest(p) for p in sorted(folder.iterdir())}
            manifest = sealed({"stage": final.name, "files": files, "params": params})
            (folder / MANIFEST).write_text(manifest, encoding="utf-8")

    def _fetched(self, final: Path) -> bool:
        """Whether a stage that is missing here, or damaged, came from the shared cache."""
        if self._shared is None or not self._shared.has(final.name):
            return False
        with self._placed(final) as (folder, _):
            whole = self._shared.fetch(final.name, folder) and _intact(folder, final.name)
            if not whole:
                (folder / MANIFEST).unlink(missing_ok=True)
        return whole

    @contextmanager
    def _placed(self, final: Path) -> Iterator[tuple[Path, Path]]:
        """A folder beside a stage's place, renamed to it at the end if there is a manifest in it by then; and its scratch."""
        if os.path.lexists(final):
            tell(f"stage {final.name} was damaged and is computed again")
            remove(final)
        begun = _folder(self.root / f"{final.name}.partial")
        folder, scratch = begun / "folder", _folder(begun / "scratch")
        if os.path.lexists(folder):
            remove(folder)
        folder.mkdir()
        try:
            yield folder, scratch
            finished = (folder / MANIFEST).is_file()
            if finished:
                for path in folder.iterdir():  # safetensors writes for its owner alone, and others may share the cache
                    path.chmod((folder / MANIFEST).stat().st_mode)
                os.rename(folder, final)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            if not any(scratch.iterdir()):
                shutil.rmtree(begun)
        if finished:
            shutil.rmtree(begun, ignore_errors=True)

    def _finished(self, folder: Path) -> bool:
        """Whether a stage is there and whole; it is noted first that it is used, and now: so it is not pruned meanwhile."""
        if folder.name not in self._noted and self.journal is not None:
            with suppress(OSError), open(self.journal, "a", encoding="utf-8") as journal:
                journal.write(f"{folder.name}\n")
        self._noted.add(folder.name)
        if folder not in self._checked:
            with suppress(OSError):
                os.utime(folder / MANIFEST)
        return folder.exists() and (folder in self._checked or _intact(folder, folder.name))

    def discard(self, name: str, unused_since: float) -> bool:
        """Remove a stage that nobody makes or has used since a moment; whether it is gone. A kill leaves no half one."""
        folder, going = self.root / name, self.root / f"{name}.partial"
        try:
            with self._locked(name, timeout=0):
                if last_used(folder) >= unused_since or not own(folder):
                    return False
                shutil.rmtree(going, ignore_errors=True)
                os.rename(folder, going)
                remove(going)
        except (Timeout, OSError):
            return False
        return True

    def find(self, name: str, params: dict, makers: Sequence[object]) -> Path | None:
        """The folder of a stage that is finished and undamaged; makers: its `build`, or another of its module, and `uses`."""
        folder = self._folder(name, params, makers)
        if not self._finished(folder) and not self._taken(folder):
            return None
        self._checked.add(folder)
        return folder

    def _taken(self, folder: Path) -> bool:
        """`_fetched` of a stage that another process may be about to make or fetch."""
        if self._shared is None or not self._shared.has(folder.name):
            return False
        with self._refused(folder.name), self._locked(folder.name):
            return self._finished(folder) or self._fetched(folder)

    def _folder(self, name: str, params: object, makers: Sequence[object]) -> Path:
        return self.root / f"{name}-{digest([params, code_digest(makers)])}"
