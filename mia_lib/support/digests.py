"""Short names for contents."""

import errno
import hashlib
import json
from pathlib import Path


def digest(value) -> str:
    """Hex digest (16 characters) of a JSON-serialisable value."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()[:16]


def regular(path: Path) -> Path:
    """The path of what is to be read; raises FileNotFoundError for a pipe or a device, which would be waited for."""
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise FileNotFoundError(errno.ENOENT, "Is no file", str(path))
    return path


def file_digest(path: Path) -> str:
    """SHA-256 of a file's content, read in pieces. Raises OSError where it cannot be read or is no file."""
    with open(regular(path), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
