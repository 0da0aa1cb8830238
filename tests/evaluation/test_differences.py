"""Two measures beside each other, by hand."""

import numpy as np
import pytest
from scipy.stats import norm
from scipy.stats import t as student

from mia_lib.evaluation.differences import compared, difference, turned
from mia_lib.evaluation.intervals import Measure, clopper_pearson, mean_change


def test_the_interval_of_a_difference_is_made_of_both():
    gap = difference(Measure(0.9, 0.86, 0.92, 200), Measure(0.5, 0.47, 0.54, 100))
    assert (gap.value, gap.n) == (pytest.approx(0.4), 100)
    assert (gap.low, gap.high) == (pytest.approx(0.4 - np.hypot(0.04, 0.04)), pytest.approx(0.4 + np.hypot(0.02, 0.03)))


def test_the_interval_of_a_difference_covers_it():
    rng, hits = np.random.default_rng(0), 0
    for a, b in rng.binomial(200, [0.6, 0.5], (400, 2)):
        gap = difference(*(Measure(k / 200, *clopper_pearson(k, 200), 200) for k in (int(a), int(b))))
        hits += gap.low <= 0.1 <= gap.high
    assert hits / 400 >= 0.94


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [(0.61, 0.65, "more"), (0.50, 0.54, "less"), (0.58, 0.60, "as much"), (0.50, 0.68, "undecided")],
)
def test_an_interval_says_more_less_as_much_or_nothing(low, high, word):
    gap = difference(Measure((low + high) / 2, low, high, 9), Measure(0.59, 0.585, 0.595, 9))
    assert compared(gap, 0.05) == word


def test_what_is_below_one_half_is_turned_with_its_interval():
    assert turned(Measure(0.3, 0.2, 0.45, 9)) == Measure(0.7, 0.55, 0.8, 9)
    assert turned(Measure(0.6, 0.4, 0.7, 9)) == Measure(0.6, 0.4, 0.7, 9)


def test_a_change_of_a_mean_is_that_of_the_same_examples_with_an_interval_by_their_clusters():
    rng = np.random.default_rng(0)
    old = rng.random(400)
    new, clusters = old + 0.1 + 0.2 * rng.standard_normal(400), np.arange(400).astype(str)
    found, gaps = mean_change([new], [old], [clusters], 4000), new - old
    half = norm.isf(0.025) * gaps.std() / np.sqrt(400)
    assert (found.value, found.n) == (pytest.approx(gaps.mean()), 400)
    assert (found.low, found.high) == pytest.approx((gaps.mean() - half, gaps.mean() + half), abs=0.1 * half)
    five = mean_change([np.repeat(new, 5)], [np.repeat(old, 5)], [np.repeat(clusters, 5)], 4000)  # five times the same
    assert five.high - five.low == pytest.approx(2 * half, rel=0.1) and five.n == 2000
    nothing = mean_change([old], [old], [clusters], 50)
    assert (nothing.low, nothing.value, nothing.high) == (0, 0, 0)


def test_a_change_of_a_mean_knows_how_far_models_lie_apart():
    old, clusters = np.random.default_rng(1).random(200), np.arange(200).astype(str)
    alike = [old + 0.2 + 0.1 * (np.arange(200) % 2 - 0.5)] * 2
    assert mean_change(alike, [old, old], [clusters] * 2, 400).high < 0.22
    wide = mean_change([alike[0] - 0.1, alike[0] + 0.1], [old, old], [clusters] * 2, 400)
    half = student.ppf(0.975, 1) * 0.1  # two models: one degree of freedom
    assert wide.value == pytest.approx(0.2)
    assert (wide.low, wide.high) == pytest.approx((0.2 - half, 0.2 + half), rel=0.1)
