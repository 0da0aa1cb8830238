"""Prediction obfuscation of arXiv 1911.01888: the order of the first few speakers is given out, and no number."""

import math

import numpy as np

from mia_lib.defenses import DEFENSES
from mia_lib.defenses.output import OutputDefense, ranked


def by_rank(p: np.ndarray, ranks: int) -> np.ndarray:
    """The largest values of p [..., classes] replaced by 1, 1/2, 1/3, ... in rank order, the rest by 0; not normalised.

    A value of -inf (a class that the model does not have) has no rank.
    """
    order = ranked(p)[..., :ranks]
    weights = np.where(np.isneginf(np.take_along_axis(p, order, -1)), 0.0, 1 / np.arange(1.0, order.shape[-1] + 1))
    out = np.zeros(p.shape)
    np.put_along_axis(out, order, weights, -1)
    return out


@DEFENSES.register("rank_reciprocal")
class RankReciprocal(OutputDefense):
    """The largest posteriors (the strength: how many) are replaced by 1, 1/2, 1/3 ... by rank, normalised; others are 0."""

    family = "obfuscation"
    of_paper = True
    strengths = (5.0, 3.0, 1.0)
    default = 3.0
    bounds = (1, math.inf)
    whole = True

    def alter(self, log_p: np.ndarray) -> np.ndarray:
        weights = by_rank(log_p, int(self.one_strength()))
        with np.errstate(divide="ignore"):
            return np.log(weights / weights.sum(-1, keepdims=True))
