"""Shokri's shadow attack: one attack model per class (Shokri et al., IEEE S&P 2017), a pooled one where data are few."""

import numpy as np
from sklearn.pipeline import Pipeline

from mia_lib.attacks import ATTACKS
from mia_lib.attacks.base import check_shadows
from mia_lib.attacks.logistic import logistic
from mia_lib.signals.signals import Signals

FEWEST = 20  # members and non-members that a class must have for a model of its own
SOLVER = "newton-cholesky"  # few steps where there are few values


def describe(signals: Signals) -> np.ndarray:
    """What the attack models see: confidence, loss and logs of the three largest posteriors, [K, N, 5]."""
    s = signals.statistics
    return np.concatenate([s.phi[..., None], s.loss[..., None], np.log(np.maximum(s.top, 1e-12))], axis=-1)


@ATTACKS.register("shokri")
class Shokri:
    """One logistic model per speaker, on the largest and the true posterior; pooled where a speaker has too few examples."""

    calibrated = False

    def __init__(self, seed: int = 0):
        del seed  # the fit is convex
        self.own: dict[int, Pipeline] = {}  # class -> its model; `pooled` serves all others
        self.pooled_classes = 0

    def fit(self, shadows: Signals) -> "Shokri":
        check_shadows(shadows)
        mask, member = shadows.audited()
        x, labels = describe(shadows)[mask], shadows.labels[mask]
        self.pooled = logistic(solver=SOLVER).fit(x, member)
        classes = np.unique(labels[labels >= 0]) if shadows.aligned else labels[:0]
        for c in classes:
            rows = labels == c
            if FEWEST <= member[rows].sum() <= rows.sum() - FEWEST:
                self.own[int(c)] = logistic(solver=SOLVER).fit(x[rows], member[rows])
        self.pooled_classes = shadows.logits.shape[2] - len(self.own)
        return self

    def score(self, target: Signals) -> np.ndarray:
        x = describe(target)
        scores = self.pooled.decision_function(x.reshape(-1, x.shape[-1])).reshape(x.shape[:2])
        for c, model in self.own.items():
            rows = target.labels == c
            if rows.any():
                scores[rows] = model.decision_function(x[rows])
        return scores
