"""The threshold attack on the largest posterior: adversary 3 of ML-Leaks (Salem et al., NDSS 2019), used by 1911.01888."""

import numpy as np

from mia_lib.attacks import ATTACKS
from mia_lib.attacks.base import check_shadows
from mia_lib.signals import Signals


@ATTACKS.register("largest_posterior")
class LargestPosterior:
    """How sure is the model? The largest posterior itself is the score (ML-Leaks, adversary 3)."""

    def __init__(self, seed: int = 0):
        del seed  # nothing is drawn

    def fit(self, shadows: Signals) -> "LargestPosterior":
        check_shadows(shadows)
        return self

    def score(self, target: Signals) -> np.ndarray:
        return target.posteriors().max(-1)
