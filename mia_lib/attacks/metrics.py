"""Metric attacks: one number of the model's answer is the score, nothing is learnt (Yeom et al. 2018, Salem et al. 2019)."""

from typing import Self

import numpy as np

from mia_lib.attacks import ATTACKS
from mia_lib.attacks.base import check_shadows
from mia_lib.signals.signals import Signals


class MetricAttack:
    """Base of attacks that only look at one number of the target's answer."""

    calibrated = False
    learns = False

    def __init__(self, seed: int = 0):
        del seed  # nothing is drawn

    def fit(self, shadows: Signals) -> Self:
        check_shadows(shadows)
        return self


@ATTACKS.register("gap")
class Gap(MetricAttack):
    """Is the answer right? The floor that every attack must beat: it sees the generalisation gap alone (Yeom et al. 2018)."""

    def score(self, target: Signals) -> np.ndarray:
        return target.statistics.correct


@ATTACKS.register("largest_posterior")
class LargestPosterior(MetricAttack):
    """How sure is the model? The largest posterior itself is the score (ML-Leaks, adversary 3; arXiv 1911.01888)."""

    def score(self, target: Signals) -> np.ndarray:
        return target.statistics.top[..., 0]


@ATTACKS.register("loss")
class Loss(MetricAttack):
    """The cross-entropy of the true class, negated (Yeom et al. 2018)."""

    def score(self, target: Signals) -> np.ndarray:
        return -target.statistics.loss


@ATTACKS.register("true_posterior")
class TruePosterior(MetricAttack):
    """The posterior of the true class; ranks as `loss` does until it rounds to 1 (Song and Mittal 2021)."""

    def score(self, target: Signals) -> np.ndarray:
        return np.exp(-target.statistics.loss)


@ATTACKS.register("entropy")
class Entropy(MetricAttack):
    """The entropy of the posteriors, negated (Salem et al. 2019)."""

    def score(self, target: Signals) -> np.ndarray:
        return -target.statistics.entropy
