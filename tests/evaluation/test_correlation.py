"""Rank correlations: by hand, and covered by their intervals."""

import math

import numpy as np
import pytest

from mia_lib.evaluation.correlation import rank_correlation


def test_five_pairs_by_hand():
    found = rank_correlation(np.array([1, 2, 3, 4, 5]), np.array([10, 30, 20, 50, 40]))
    assert found.value == pytest.approx(0.8) and found.n == 5  # 1 - 6 * 4 / 120
    half = 1.959964 * math.sqrt((1 + 0.32) / 2)
    assert (found.low, found.high) == pytest.approx(
        (math.tanh(math.atanh(0.8) - half), math.tanh(math.atanh(0.8) + half))
    )


def test_too_few_pairs_and_equal_ones_have_no_interval():
    assert math.isnan(rank_correlation(np.arange(3), np.arange(3)).low)
    with pytest.warns(Warning, match="constant"):
        assert math.isnan(rank_correlation(np.ones(9), np.arange(9)).value)


def test_the_interval_holds_no_correlation_where_there_is_none():
    held = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        found = rank_correlation(rng.random(20), rng.random(20))
        held += found.low <= 0 <= found.high
    assert 180 <= held <= 199
