"""Truncation: only the largest posteriors are given out (Shokri et al., IEEE S&P 2017, section VIII)."""

import math

import numpy as np

from mia_lib.defenses import DEFENSES
from mia_lib.defenses.output import OutputDefense, ranked


def largest(p: np.ndarray, k: int) -> np.ndarray:
    """Mask, bool as p [..., classes], of the k largest; of equal ones the lowest index is taken first."""
    mask = np.zeros(p.shape, dtype=bool)
    np.put_along_axis(mask, ranked(p)[..., :k], True, -1)
    return mask


def zeroed(p: np.ndarray, k: int) -> np.ndarray:
    """The k largest posteriors [..., classes], the rest 0: no longer a distribution."""
    return np.where(largest(p, k), p, 0.0)


def renormalised(p: np.ndarray, k: int) -> np.ndarray:
    """The k largest posteriors [..., classes] divided by their sum, the rest 0."""
    kept = zeroed(p, k)
    return kept / kept.sum(-1, keepdims=True)


def spread(log_p: np.ndarray, k: int) -> np.ndarray:
    """Log posteriors [..., classes] whose k largest are kept, and whose others share evenly what those leave over.

    A class that the model does not have (-inf) gets no share.
    """
    kept = largest(log_p, k)
    others = ~kept & np.isfinite(log_p)
    count = np.maximum(others.sum(-1, keepdims=True), 1)
    with np.errstate(divide="ignore"):
        share = np.log(np.exp(log_p).sum(-1, keepdims=True, where=others) / count)
    return np.where(others, share, log_p)


@DEFENSES.register("top_k")
class TopK(OutputDefense):
    """Only the k largest posteriors (the strength) are given out as they are; the others share what is left evenly."""

    family = "obfuscation"
    strengths = (5.0, 3.0, 1.0)
    default = 3.0
    bounds = (1, math.inf)
    whole = True

    def alter(self, log_p: np.ndarray) -> np.ndarray:
        return spread(log_p, int(self.one_strength()))
