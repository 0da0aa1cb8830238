"""The threshold that an attack learns where membership is known."""

import numpy as np
from sklearn.metrics import roc_curve


def best_threshold(scores: np.ndarray, member: np.ndarray) -> float:
    """The threshold (accept score >= t) of the best balanced accuracy, halfway to the next lower score.

    `inf` when accepting nothing is best.
    """
    fpr, tpr, thresholds = roc_curve(member, scores, drop_intermediate=False)
    best = int(np.argmax(tpr - fpr))
    if best == 0:
        return float("inf")
    below = scores[scores < thresholds[best]]
    return float(thresholds[best] if not len(below) else (thresholds[best] + below.max()) / 2)
