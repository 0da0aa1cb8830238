"""Numbers in place of names: an audit that can be shown without saying whose voice it is about."""

from dataclasses import replace

import numpy as np
import pandas as pd

from mia_lib.auditing.evidence import Evidence


def anonymous(evidence: Evidence) -> Evidence:
    """The same evidence with numbers for speakers and recordings, without paths; every number of the audit stays the same."""
    recording = numbered(evidence.unit, "recording")
    lost = evidence.lost
    if lost is not None:
        kinds = [str(reason).split(":")[0].split("(")[0].strip() for reason in lost["reason"]]
        hidden = [
            "cannot be used" if any(part and part in kind for part in _parts(path)) else kind
            for path, kind in zip(lost["path"], kinds, strict=True)
        ]
        lost = pd.DataFrame(dict(path=[f"lost {i}" for i in range(1, len(lost) + 1)], reason=hidden))
    return replace(evidence, speaker=numbered(evidence.speaker, "speaker"), recording=recording, sound=None, lost=lost)


def numbered(names: np.ndarray, what: str) -> np.ndarray:
    """Names, str [N], as `what` and a number, in the same order, so that what is drawn by names stays the same."""
    unique, code = np.unique(names, return_inverse=True)
    return np.array([f"{what} {i:0{len(str(len(unique)))}}" for i in range(1, len(unique) + 1)])[code]


def _parts(path) -> list[str]:
    return [str(path), *str(path).replace("\\", "/").split("/")]
