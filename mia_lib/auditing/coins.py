"""Memberships drawn by coins before a model is trained: with them a single training run proves a bound on its privacy."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from mia_lib.auditing.evidence import Evidence
from mia_lib.auditing.hearing import hear
from mia_lib.auditing.listing import Listed, listed
from mia_lib.auditing.material import copies
from mia_lib.corpora.found import real
from mia_lib.support.draws import generator
from mia_lib.support.errors import MiaError, UsageError
from mia_lib.support.files import write_atomically
from mia_lib.support.spreadsheets import to_csv

IMPOSSIBLE = 1e-6
"""Below this chance of what was drawn, or something more uneven, the coins were not fair."""


def draw_coins(members: Any, seed: int, workers: int | None = None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """An independent fair coin for each recording of a folder or table: the columns path, speaker and member, 1 where the
    next model is to be trained on it; and path and reason of what cannot be drawn for.

    A copy of a recording, which would be trained on under another name, is drawn for with the first. Raises MiaError where
    there is nothing to draw for, or one recording is under two speakers.
    """
    listing = listed(members, sided=False)
    _, about = hear(Listed(), listing.utterances(), workers)
    reasons = [heard.bad for heard in about]
    copies(listing, about, reasons, workers)
    usable = np.array([not why for why in reasons])
    if not usable.any():
        raise MiaError(f"no recording can be drawn for; the first: {reasons[0]}")
    table = listing.table[usable].reset_index(drop=True)
    heads = generator(seed, "coins of the next training run").random(len(table)) < 0.5
    drawn = pd.DataFrame({"path": map(real, table["path"]), "speaker": table["speaker"], "member": heads.astype(int)})
    lost = pd.DataFrame({"path": listing.table["name"], "reason": reasons})[~usable]
    return drawn, lost.reset_index(drop=True)


def write_coins(drawn: pd.DataFrame, path: str | os.PathLike) -> None:
    """Write what `draw_coins` drew as a CSV; raises UsageError for a file that is there already: its coins may be in use."""
    check_free(Path(path))
    write_atomically(Path(path), to_csv(drawn))


def check_free(target: Path) -> None:
    """Raise UsageError unless a list of coins can be written to a file."""
    if target.exists():
        raise UsageError(f"{target} is there already, and a model may be trained by it: name another file")
    if not target.absolute().parent.is_dir():
        raise UsageError(f"{target}: there is no folder {target.parent}")


def check_coins(member: np.ndarray) -> None:
    """Raise MiaError where memberships, 1 or 0 for each recording [R], cannot well be independent fair coins."""
    inside, count = int((member == 1).sum()), int((member >= 0).sum())
    if count and binomtest(inside, count).pvalue < IMPOSSIBLE:
        raise MiaError(
            f"{inside} of {count} recordings are members, which fair coins do not give: leave --coins out unless each "
            "recording's membership was drawn by a coin of its own"
        )


def _check_within_speakers(evidence: Evidence) -> None:
    """Raise MiaError where whole speakers are on one side, as coins of single recordings do not put them."""
    audited = evidence.member >= 0
    units, first = np.unique(evidence.unit[audited], return_index=True)
    speaker, side = evidence.speaker[audited][first], evidence.member[audited][first]
    names = np.unique(speaker)
    one_sided = all(len(set(side[speaker == name])) == 1 for name in names)
    if one_sided and 2.0 ** (len(names) - len(units)) < IMPOSSIBLE:
        raise MiaError(
            f"each of {len(names)} speakers has all of their {len(units)} recordings on one side, which coins of single "
            "recordings do not give: leave --coins out, since whole persons were drawn"
        )


def drawn_by_coins(evidence: Evidence) -> Evidence:
    """The same evidence where it was said that coins drew it; raises MiaError where fair coins do not give such a draw."""
    member = evidence.member[np.unique(evidence.unit, return_index=True)[1]]
    check_coins(member[member >= 0])
    if evidence.speakers_known:
        _check_within_speakers(evidence)
    return replace(evidence, coins=True)
