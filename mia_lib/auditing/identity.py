"""What data an audit is of: a digest of all that evidence holds."""

import hashlib
from dataclasses import fields
from pathlib import Path

import numpy as np
import pandas as pd

from mia_lib.auditing.evidence import Evidence
from mia_lib.support.digests import file_digest


def data_hash(evidence: Evidence) -> str:
    """Digest, 16 hex digits, of everything that decides the numbers; a mapped array counts by its file, whose bytes are read
    once for all arrays in it."""
    state, files = hashlib.sha256(), dict[str, str]()
    for one in fields(evidence):
        value = getattr(evidence, one.name)
        state.update(f"{one.name} {_described(value, files)}\n".encode())
    return state.hexdigest()[:16]


def _described(value, files: dict[str, str]) -> str:
    if isinstance(value, np.memmap):
        name = str(value.filename)
        files.setdefault(name, file_digest(Path(name)))
        return f"{files[name]} {value.offset} {value.dtype} {value.shape}"
    if isinstance(value, np.ndarray):
        content = (
            np.char.encode(value, "utf-8", "surrogatepass").tolist()
            if value.dtype.kind == "U"
            else np.ascontiguousarray(value).tobytes()
        )
        body = b"\x1f".join(content) if isinstance(content, list) else content
        return f"{value.dtype.kind} {value.shape} {hashlib.sha256(body).hexdigest()}"
    return value.to_json() if isinstance(value, pd.DataFrame) else repr(value)
