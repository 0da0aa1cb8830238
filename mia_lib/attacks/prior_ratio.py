"""BASE (Lassila et al., NeurIPS 2025): how much likelier is the answer than on average over reference models?

The Bayes-optimal attack where reference models are exchangeable with the target, whoever trained on what.
"""

import numpy as np
from scipy.special import logsumexp

from mia_lib.attacks import ATTACKS
from mia_lib.attacks.base import check_references
from mia_lib.signals.signals import Signals


@ATTACKS.register("base")
class BASE:
    """log p(y | x) of the target minus the log of its mean over all reference models (Lassila et al., NeurIPS 2025)."""

    calibrated = True

    def __init__(self, seed: int = 0):
        del seed  # nothing is drawn

    def fit(self, references: Signals) -> "BASE":
        check_references(references, both_sides=False)
        log_p = -references.statistics.loss[(references.member >= 0).any(1)]
        self.average = logsumexp(log_p, axis=0) - np.log(len(log_p))
        return self

    def score(self, target: Signals) -> np.ndarray:
        return -target.statistics.loss - self.average
