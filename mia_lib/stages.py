"""The stage cache: every expensive result is written atomically, verified when read, and never computed twice.

A stage is a folder `<name>-<key>`; the key hashes the stage's parameters and the source of the modules that compute it,
so that changed code or settings never meet an old result. Two processes may compute the same stage at once: the first
to finish wins, the other's identical result is dropped.
"""

import hashlib
import importlib
import inspect
import json
import os
import shutil
import time
import uuid
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from mia_lib.errors import MiaError

MANIFEST = "manifest.json"


def digest(value) -> str:
    """Hex digest (16 characters) of a JSON-serialisable value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]


def source_digest(modules: Sequence[str]) -> str:
    """Hex digest of the source code of the modules with these dotted names."""
    sources = [inspect.getsource(importlib.import_module(name)) for name in sorted(set(modules))]
    return hashlib.sha256("\0".join(sources).encode()).hexdigest()[:16]


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content, read in pieces."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_atomically(path: Path, text: str) -> None:
    """Write `text` under a temporary name and rename it, so that a reader sees all of it or nothing."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    temporary.write_text(text)
    os.replace(temporary, path)


def _intact(folder: Path) -> bool:
    try:
        files = json.loads((folder / MANIFEST).read_text())["files"]
        return all(file_digest(folder / name) == checksum for name, checksum in files.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


class Cache:
    """Stages under one root folder. `timings` holds, per stage used, its name, whether it was cached, and wall seconds less
    those of the stages that it needed: they sum up to what all took."""

    def __init__(self, root: str | Path):
        self.root = Path(root)
        self.timings: list[dict] = []
        self._checked: set[Path] = set()
        self._within = 0.0  # seconds of the stages that the present one needed
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MiaError(f"cannot write to the outputs folder {self.root.parent}: {error.strerror}") from None
        for leftover in self.root.glob("*.tmp-*"):  # of processes killed more than a day ago
            if time.time() - leftover.stat().st_mtime > 86_400:
                shutil.rmtree(leftover, ignore_errors=True)

    def stage(self, name: str, params: dict, code: Sequence[str], build: Callable[[Path, Path], None]) -> Path:
        """The folder of a finished stage, computed by `build(folder, scratch)` if it is not there or is damaged.

        `params` must be JSON-serialisable; `code` names the modules whose source decides the result. `build` writes its
        files into `folder`; `scratch` survives a kill (for checkpoints) and is removed when the stage is complete.
        """
        started, before, self._within = time.monotonic(), self._within, 0.0
        final = self._folder(name, params, code)
        scratch = final.with_name(f"{final.name}.partial")
        cached = final in self._checked or (final.exists() and _intact(final))
        if not cached:
            if final.exists():
                warnings.warn(f"stage {final.name} was damaged and is computed again", stacklevel=2)
                shutil.rmtree(final)
            temporary = self.root / f"{final.name}.tmp-{uuid.uuid4().hex[:8]}"
            try:
                temporary.mkdir()
                scratch.mkdir(exist_ok=True)
                build(temporary, scratch)
                self._seal(temporary, params)
                try:
                    os.rename(temporary, final)
                except OSError:
                    if not _intact(final):  # another process did not finish it first: a real failure
                        raise
            except OSError as error:
                raise MiaError(f"cannot write stage {final.name} under {self.root}: {error}") from error
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
            shutil.rmtree(scratch, ignore_errors=True)
        self._checked.add(final)
        spent = time.monotonic() - started
        self.timings.append({"stage": name, "seconds": round(spent - self._within, 3), "cached": cached})
        self._within = before + spent
        return final

    def has(self, name: str, params: dict, code: Sequence[str]) -> bool:
        """Whether a stage is finished and undamaged."""
        folder = self._folder(name, params, code)
        return folder in self._checked or (folder.exists() and _intact(folder))

    def _folder(self, name: str, params: dict, code: Sequence[str]) -> Path:
        return self.root / f"{name}-{digest([params, source_digest(code)])}"

    @staticmethod
    def _seal(folder: Path, params: dict) -> None:
        files = {p.name: file_digest(p) for p in sorted(folder.iterdir())}
        (folder / MANIFEST).write_text(json.dumps({"files": files, "params": params}, indent=1, default=str))
