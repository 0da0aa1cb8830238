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
    decisions must be independent: one for everything whose membership one coin decided, on one model.
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


def cluster_scores(audit: Audit) -> tuple[np.ndarray, np.ndarray]:
    """The mean score of the examples of each cluster of an audit, and whether it is a member: float, bool [clusters].

    Members' and other examples of one cluster, which no protocol by recordings has, stay apart. Infinite scores of both signs
    count as a no.
    """
    names, code = np.unique(audit.clusters, return_inverse=True)
    code = 2 * code + audit.member
    count = np.bincount(code, minlength=2 * len(names))
    total = np.bincount(code, weights=audit.scores, minlength=2 * len(names))
    used = np.flatnonzero(count)
    mean = total[used] / count[used]
    return np.where(np.isnan(mean), -np.inf, mean), used % 2 == 1


def measured_epsilon(audits: Sequence[Audit], delta: float, tests: int = 1, confidence: float = 0.95) -> float:
    """The epsilon that an attack proves on several models, each trained under the same promise: the largest of theirs.

    Each model is one test: one decision a unit, by whether its mean score reaches the threshold that the attack learnt
    elsewhere, gives an `epsilon_lower_bound`. Units must have been dealt by independent coins. Models share recordings, so
    their decisions are not counted together: with m models each bound has the confidence 1 - (1 - confidence) / (m tests),
    by Bonferroni, and the largest holds with `confidence`.
    tests: the number of attacks of whose bounds the largest is reported; 1 for an attack that was chosen beforehand.

    Neighbours differ by a unit, all of its fragments. A promise for single fragments is weaker: with k of them in a unit it
    promises k epsilon (at a larger delta) for the unit, and only a bound above that contradicts it.
    Raises UsageError for no audits, tests below 1, or a delta or confidence out of range.
    """
    if not audits or tests < 1:
        raise UsageError(f"at least one audit and one test are needed, not {len(audits)} and {tests}")
    if not 0 < confidence < 1:
        raise UsageError(f"a confidence lies in (0, 1), not {confidence}")
    each, bounds = 1 - (1 - confidence) / (len(audits) * tests), []
    for audit in audits:
        scores, member = cluster_scores(audit)
        called = scores >= audit.threshold
        hits, alarms = int((called & member).sum()), int((called & ~member).sum())
        bounds.append(epsilon_lower_bound(hits, int(member.sum()), alarms, int((~member).sum()), delta, each))
    return max(bounds)
