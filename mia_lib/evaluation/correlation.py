"""Rank correlations with their intervals."""

import math

import numpy as np
from scipy.stats import spearmanr

from mia_lib.evaluation.intervals import NORMAL, Measure


def rank_correlation(x: np.ndarray, y: np.ndarray) -> Measure:
    """Spearman's correlation of two lists [n] of independent pairs, with its 95 % interval; none for fewer than 4 pairs.

    Source: Bonett and Wright, Psychometrika 2000: Fisher's transform with the variance (1 + r^2 / 2) / (n - 3).
    """
    n = len(x)
    value = float(spearmanr(x, y).statistic) if n > 2 else math.nan
    if n < 4 or math.isnan(value):
        return Measure(value, math.nan, math.nan, n)
    half = NORMAL * math.sqrt((1 + value**2 / 2) / (n - 3))
    centre = np.arctanh(np.clip(value, -0.999999, 0.999999))
    return Measure(value, float(np.tanh(centre - half)), float(np.tanh(centre + half)), n)
