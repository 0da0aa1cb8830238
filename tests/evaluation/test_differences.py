"""Two measures beside each other, by hand."""

import numpy as np
import pytest

from mia_lib.evaluation.differences import compared, difference, turned
from mia_lib.evaluation.intervals import Measure, clopper_pearson


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
