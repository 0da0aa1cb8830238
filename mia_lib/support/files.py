"""Small files, written whole or not at all, and read with a default; sealed ones tell when they were damaged."""

import contextlib
import json
import os
import uuid
from pathlib import Path
from typing import Any

from mia_lib.support.digests import digest, regular
from mia_lib.support.errors import MiaError

SEAL = "digest"


def write_atomically(path: Path, text: str) -> None:
    """Write `text` under a temporary name and rename it, so that a reader sees all of it or nothing."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        temporary.write_text(text, encoding="utf-8", errors="surrogateescape")
        os.replace(temporary, path)
    except OSError as error:
        error.filename = str(path)  # a full disk names no file
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def check_file(path: Path) -> None:
    """Raise MiaError for what lies in a file's place and is none: a folder, or a pipe, which would be waited for."""
    if path.exists() and not path.is_file():
        raise MiaError(f"{path}: is no file, where one should be")


def check_writable(folder: Path) -> None:
    """Raise MiaError where a folder cannot be written to, or made, as far as that can be told without trying."""
    place = next(place for place in (folder.absolute(), *folder.absolute().parents) if place.exists())
    if not place.is_dir():
        raise MiaError(f"cannot write to {folder}: {place} is no folder")
    if not os.access(place, os.W_OK | os.X_OK):
        raise MiaError(f"cannot write to {folder}: there is no right to write to {place}")


def read_json(path: Path, default: Any) -> Any:
    """The content of a JSON file; `default` where there is none, it cannot be read, or it is of another kind."""
    try:
        value = json.loads(regular(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return default
    return value if isinstance(value, type(default)) else default


def sealed(about: dict) -> str:
    """A dictionary as JSON, with a digest of itself."""
    plain = json.loads(json.dumps(about, default=str))
    return json.dumps(plain | {SEAL: digest(plain)}, indent=1)


def unsealed(text: str) -> dict:
    """What `sealed` made a text of; raises ValueError if it is not as it was written."""
    try:
        about = json.loads(text)
        if about.pop(SEAL) == digest(about):
            return about
    except (KeyError, TypeError, AttributeError, RecursionError):
        pass
    raise ValueError("damaged")
