"""What an attack proves of differential privacy: lower bounds of epsilon (Jagielski, Ullman and Oprea, NeurIPS 2020)."""

from collections.abc import Sequence

import numpy as np

from mia_lib.evaluation.audit import Audit
from mia_lib.evaluation.intervals import clopper_pearson
from mia_lib.support.errors import UsageError


def epsilon_lower_bound(
    true_positives: int, members: int, false_positives: int, nonmembers: int, delta: float, confidence: float = 0.95
) -> float:
    """The epsilon that training exceeds with this confidence, given how often an attack said "member"; 0 if it shows none.

    The larger of log((TPR - delta) / FPR) and log((TNR - delta) / FNR) at the ends of Clopper-Pearson intervals that hold
    together: both need the same two ends, a low TPR and a high FPR (Jagielski, Ullman and Oprea 2020, with their section
    on the mirrored test). The attack's threshold must come from other data than the decisions counted here, and the
    examples must be independent: fragments of one recording, or of one model, make the bound indicative only.
    Raises UsageError for counts that cannot be, or a delta or confidence out of range.
    """
    if not (0 <= true_positives <= members and 0 <= false_positives <= nonmembers and members and nonmembers):
        raise UsageError("accepted members and non-members must be between 0 and the number of each, which is above 0")
    if not (0 <= delta < 1 and 0 < confidence < 1):
        raise UsageError(f"delta must lie in [0, 1) and confidence in (0, 1), not {delta} and {confidence}")
    tail = (1 - confidence) / 2
    tpr, _ = clopper_pearson(true_positives, members, tail)
    _, fpr = clopper_pearson(false_positives, nonmembers, tail)
    bounds = [np.log(high / low) for high, low in ((tpr - delta, fpr), (1 - fpr - delta, 1 - tpr)) if high > 0]
    return max([0.0, *map(float, bounds)])


def measured_epsilon(audits: Sequence[Audit], delta: float) -> float:
    """`epsilon_lower_bound` from what an attack decided, at the threshold that it learnt elsewhere, on several models.

    Each model must have been trained under the same promise; the decisions on all of them are counted together.
    """
    hits = members = alarms = nonmembers = 0
    for audit in audits:
        called, member = audit.scores >= audit.threshold, audit.member
        hits, alarms = hits + int((called & member).sum()), alarms + int((called & ~member).sum())
        members, nonmembers = members + int(member.sum()), nonmembers + int((~member).sum())
    return epsilon_lower_bound(hits, members, alarms, nonmembers, delta)
