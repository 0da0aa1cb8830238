"""A scikit-learn scorer for classifiers that tell members from non-members: GridSearchCV and friends."""

import numpy as np
from sklearn.metrics import make_scorer

from mia_lib.evaluation import rates
from mia_lib.support.errors import UsageError


def _rate(y: np.ndarray, scores: np.ndarray, *, level: float) -> float:
    return rates.tpr_at_fpr(np.asarray(scores), np.asarray(y) == 1, level)


def tpr_at_fpr(fpr: float):
    """A scorer, to be given as `scoring`: the largest true-positive rate at false positives of at most `fpr` of all.

    The classifier's target is membership, 1 or 0; what is scored is its `decision_function` or else `predict_proba`.
    Raises UsageError unless 0 <= fpr <= 1.
    """
    if not 0 <= fpr <= 1:
        raise UsageError(f"a false-positive rate lies between 0 and 1, not {fpr}")
    return make_scorer(_rate, response_method=("decision_function", "predict_proba"), level=fpr)
