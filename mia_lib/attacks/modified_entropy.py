"""Modified prediction entropy with a threshold per speaker (Song and Mittal, USENIX Security 2021)."""

import numpy as np

from mia_lib.attacks import ATTACKS
from mia_lib.attacks.base import check_shadows
from mia_lib.attacks.threshold import best_threshold
from mia_lib.signals.signals import Signals


def class_thresholds(scores: np.ndarray, labels: np.ndarray, member: np.ndarray, classes: int) -> np.ndarray:
    """Threshold of the best balanced accuracy of each class, float [classes]; that of all where a class lacks a side.

    scores, labels, member: one entry per example.
    """
    thresholds = np.full(classes, best_threshold(scores, member))
    order = np.argsort(labels, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(labels[order])) + 1):
        if member[rows].any() and not member[rows].all():
            thresholds[labels[rows[0]]] = best_threshold(scores[rows], member[rows])
    return thresholds


@ATTACKS.register("modified_entropy")
class ModifiedEntropy:
    """Modified entropy, negated, beside a threshold per speaker where the shadows know the target's speakers."""

    calibrated = False

    def __init__(self, seed: int = 0):
        del seed  # nothing is drawn
        self.thresholds: np.ndarray | None = None

    def fit(self, shadows: Signals) -> "ModifiedEntropy":
        check_shadows(shadows)
        if shadows.aligned:
            mask, member = shadows.audited()
            scores = -shadows.statistics.modified_entropy[mask]
            places = shadows.logits.shape[2] + 1  # the last one, number -1, for speakers who are none of the classes
            thresholds = class_thresholds(scores, shadows.labels[mask], member, places)
            self.thresholds = np.where(np.isinf(thresholds), scores.max(), thresholds)
        return self

    def score(self, target: Signals) -> np.ndarray:
        scores = -target.statistics.modified_entropy
        return scores if self.thresholds is None else scores - self.thresholds[target.labels]
