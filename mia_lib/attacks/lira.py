"""LiRA, the likelihood-ratio attack (Carlini et al., IEEE S&P 2022): how unusual is this confidence for this fragment?"""

import numpy as np
from scipy.stats import norm

from mia_lib.attacks import ATTACKS
from mia_lib.attacks.base import check_references, masked_mean
from mia_lib.signals.signals import Signals

SHARED_BELOW = 64  # with fewer reference models, a variance of one fragment alone is too noisy
SMALLEST_DEVIATION = 1e-6


def deviation(phi: np.ndarray, mask: np.ndarray, centre: np.ndarray, shared: bool) -> np.ndarray:
    """Standard deviation (ddof 0) of phi [K, N] around `centre` [N] over `mask`: of each fragment [N], or of all together.

    The shared one pools residuals around each fragment's own centre: the spread between fragments is no part of it.
    """
    squares = np.where(mask, (phi - centre) ** 2, 0.0)
    per_fragment = np.sqrt(squares.sum(0) / np.maximum(mask.sum(0), 1))
    if shared:
        per_fragment = np.full_like(per_fragment, np.sqrt(squares[mask].sum() / mask.sum()))
    return np.maximum(per_fragment, SMALLEST_DEVIATION)


@ATTACKS.register("lira_online")
class LiRA:
    """Likelihood ratio of the logit-scaled confidence: reference models that trained on the fragment against the others."""

    calibrated = True
    online = True

    def __init__(self, seed: int = 0, variance: str = "auto", sides: int = 1):
        """variance: "shared", "fragment", or "auto" (shared below 64 models in use). sides: of the offline test, 1 or 2."""
        del seed  # nothing is drawn
        self.variance, self.sides = variance, sides

    def values(self, signals: Signals) -> np.ndarray:
        """The number of each model and fragment whose ratio is taken, float64 [K, N]: the logit-scaled confidence."""
        return signals.statistics.phi

    def fit(self, references: Signals) -> "LiRA":
        inside, outside = check_references(references, self.online)
        phi = self.values(references)
        in_use = (references.member >= 0).any(1).sum()
        shared = self.variance == "shared" or (self.variance == "auto" and in_use < SHARED_BELOW)
        self.sides_fitted = []
        for mask in (inside, outside) if self.online else (outside,):
            centre = masked_mean(phi, mask)
            self.sides_fitted.append((centre, deviation(phi, mask, centre, shared)))
        return self

    def score(self, target: Signals) -> np.ndarray:
        phi = self.values(target)
        out = self.sides_fitted[-1]
        if self.online:
            return norm.logpdf(phi, *self.sides_fitted[0]) - norm.logpdf(phi, *out)
        if self.sides == 2:
            return -norm.logpdf(phi, *out)
        return (phi - out[0]) / out[1]  # ranks as the one-sided p-value does, and does not saturate


@ATTACKS.register("lira_offline")
class OfflineLiRA(LiRA):
    """How far above its value in reference models that never trained on the fragment is the confidence? (LiRA, eq. 4)"""

    online = False
