"""How much there is of each person on both sides: what attacks on persons could find in place of training."""

from collections.abc import Sequence

import numpy as np

from mia_lib.auditing.evidence import Evidence
from mia_lib.evaluation.audit import Audit
from mia_lib.evaluation.evaluate import evaluate

CHANCE = 0.5


def balance(evidence: Evidence, draws: int, seed: int) -> Sequence[str]:
    """A sentence where members and non-members can be told apart by the number of a person's answers alone, none where they
    cannot, or where persons are not what is asked about. The interval is that of a score, the number, of each person."""
    if evidence.protocol != "speaker" or not evidence.speakers_known:
        return ()
    rows = np.flatnonzero(evidence.member >= 0)
    names, first, count = np.unique(evidence.speaker[rows], return_index=True, return_counts=True)
    inside = evidence.member[rows[first]] == 1
    by_number = Audit(count.astype(float), inside, names, np.inf, rows[first])
    found = evaluate([by_number], draws, seed, control=True)["auc"]
    if found.low <= CHANCE <= found.high or min(inside.sum(), (~inside).sum()) < 2:
        return ()
    more, fewer = ("Members", "non-members") if found.low > CHANCE else ("Non-members", "members")
    medians = sorted((np.median(count[inside]), np.median(count[~inside])), reverse=True)
    return (
        f"{more} have more answers a person than {fewer} (medians {medians[0]:g} and {medians[1]:g}), and can be told by "
        f"that alone (AUC {found.text()}): an attack that judges persons by all their recordings may find the number in "
        "place of training. Give as many of each person on both sides.",
    )
