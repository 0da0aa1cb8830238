"""Small files, written whole or not at all, and read with a default."""

import contextlib
import json
import os
import uuid
from pathlib import Path


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


def read_json(path: Path, default):
    """The content of a JSON file, or `default` where there is none or it cannot be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return default
