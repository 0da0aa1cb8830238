"""Rates of an attack: points of its curve and of its decisions, for one or many weightings of the examples.

Point values come from scikit-learn's curves with every achievable threshold: examples with equal scores are accepted or
rejected together.
"""

import numpy as np
from sklearn.metrics import roc_curve

FPR_LEVELS = {"tpr_at_fpr_1e-1": 0.1, "tpr_at_fpr_1e-2": 0.01, "tpr_at_fpr_1e-3": 0.001, "tpr_at_fpr_0": 0.0}
POOLED, POOLED_LEVEL = "tpr_at_fpr_1e-3_pooled", 0.001


def tpr_at_fpr(scores: np.ndarray, member: np.ndarray, level: float) -> float:
    """The largest true-positive rate over achievable thresholds whose false positives are at most `level` of all."""
    fpr, tpr, _ = roc_curve(member, scores, drop_intermediate=False)
    return float(tpr[fpr <= level + 1e-12].max())


def threshold_at(scores: np.ndarray, member: np.ndarray, level: float) -> float:
    """The lowest threshold (accept score >= t) whose false positives are at most `level` of all; infinite where none is."""
    fpr, _, thresholds = roc_curve(member, scores, drop_intermediate=False)
    return float(thresholds[fpr <= level + 1e-12][-1])


def decision_rates(
    accepted: np.ndarray, member: np.ndarray, weights: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Balanced accuracy, precision and recall of decisions, bool [n], for each row of `weights` [draws, n] (default 1).

    Precision is 0 when nothing is accepted.
    """
    w = np.ones((1, len(member))) if weights is None else weights
    positives, negatives = w @ member, w @ ~member
    hits, alarms = w @ (accepted & member), w @ (accepted & ~member)
    recall, accepts = hits / positives, hits + alarms
    return {
        "balanced_accuracy": (recall + 1 - alarms / negatives) / 2,
        "precision": np.divide(hits, accepts, out=np.zeros_like(recall), where=accepts > 0),
        "recall": recall,
    }


def curve_rates(
    scores: np.ndarray, member: np.ndarray, weights: np.ndarray, levels: dict[str, float] = FPR_LEVELS
) -> dict[str, np.ndarray]:
    """AUC and true-positive rates at low false-positive rates, by name, for each row of `weights` [draws, n].

    Members and non-members apart, each by falling score: sums of weights then stand for both axes of the curve, and where a
    non-member's score lies among the members' is the same in all draws.
    """
    sides = [np.flatnonzero(side)[np.argsort(-scores[side], kind="stable")] for side in (member, ~member)]
    members, others = -scores[sides[0]], -scores[sides[1]]
    above, level_with = (np.searchsorted(members, others, side) for side in ("left", "right"))
    tp, fp = (np.zeros((len(weights), len(side) + 1)) for side in sides)  # found among the first 0, 1, 2 ...
    weight = weights[:, sides[1]]
    np.cumsum(weights[:, sides[0]], axis=1, out=tp[:, 1:])
    np.cumsum(weight, axis=1, out=fp[:, 1:])
    ties = bool((above != level_with).any())
    below = tp[:, above] + tp[:, level_with] if ties else 2 * tp[:, above]
    rates = {"auc": np.einsum("dj,dj->d", weight, below) / (2 * tp[:, -1] * fp[:, -1])}
    reach = np.append(above, len(members))  # members found before the first, second ... non-member, and after all
    rows = np.arange(len(weights))
    for name, level in levels.items():
        allowed = (fp[:, 1:] <= (level + 1e-12) * fp[:, -1:]).sum(1)
        rates[name] = tp[rows, reach[allowed]] / tp[:, -1]
    return rates
