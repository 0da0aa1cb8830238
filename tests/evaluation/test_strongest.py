"""The strongest of several attacks: an interval that holds the truth although the attack was picked."""

import numpy as np
import pytest
from scipy.stats import norm

from mia_lib.evaluation.audit import Audit
from mia_lib.evaluation.evaluate import evaluate
from mia_lib.evaluation.strongest import Way, change_of_strongest, strongest_of
from mia_lib.support.errors import UsageError

TARGETS, N = 2, 120
MEMBER = np.arange(N) % 2 == 0
UNITS = np.arange(N).astype(str)


def audits(scores):
    """One audit per target of scores [targets, N]."""
    return [Audit(row, MEMBER, UNITS, 0.5, np.arange(N)) for row in scores]


def guesses(rng, attacks):
    return {f"attack {i}": audits(rng.standard_normal((TARGETS, N))) for i in range(attacks)}


def test_the_largest_is_named_with_its_value_and_out_of_how_many():
    rng = np.random.default_rng(0)
    clear = audits(MEMBER + rng.standard_normal((TARGETS, N)))
    found = strongest_of(guesses(rng, 3) | {"clear": clear}, 100)
    assert (found.attack, found.out_of, found.measure.n) == ("clear", 4, TARGETS * N)
    assert found.measure.value == pytest.approx(evaluate(clear, 0)["auc"].value)
    assert 0.5 < found.measure.low < found.measure.value < found.measure.high <= 1


def test_of_one_model_few_clusters_bring_more_luck_the_further_out_one_looks():
    drawn = np.random.default_rng(0).standard_normal((100, 1))
    far = norm.ppf(0.995)
    assert Way(0.6, drawn, 5).reach(far) == pytest.approx(
        4.604, abs=1e-3
    )  # Student's t with 4 degrees of freedom, 99.5 %
    assert Way(0.6, drawn, 5).reach(norm.ppf(0.975)) == pytest.approx(2.776, abs=1e-3)
    assert Way(0.6, drawn, 10_000).reach(far) == pytest.approx(far, abs=1e-3)
    assert Way(0.6, drawn, 0).reach(far) == far  # was widened before


def test_the_same_attack_twice_is_no_more_luck_than_once():
    one = audits(MEMBER + np.random.default_rng(1).standard_normal((TARGETS, N)))
    once, twice = strongest_of({"a": one}, 2000).measure, strongest_of({"a": one, "b": one}, 2000).measure
    assert (twice.low, twice.high) == pytest.approx((once.low, once.high), abs=0.05)


def test_random_answers_are_covered_where_the_interval_of_the_one_that_was_picked_is_not_enough():
    covered, naive = 0, 0
    for seed in range(60):
        attacks = guesses(np.random.default_rng([seed, 1]), 15)
        found = strongest_of(attacks, 200, seed)
        covered += found.measure.low <= 0.5 <= found.measure.high
        own = strongest_of({found.attack: attacks[found.attack]}, 200, seed).measure
        naive += own.low <= 0.5 <= own.high
    assert covered >= 55  # of 60; 57 are 95 %, and 55 within a standard error and a half of it
    assert naive < covered


def test_a_defense_that_does_nothing_changes_nothing_and_shared_luck_falls_away():
    rng = np.random.default_rng(4)
    old = {name: audits(MEMBER + rng.standard_normal((3, N))) for name in "ab"}
    same = change_of_strongest(old, old, 200)
    assert same.value == 0 and same.low <= 0 <= same.high
    alone = {"a": old["a"]}
    nothing = change_of_strongest(alone, alone, 200)
    assert (nothing.low, nothing.value, nothing.high) == pytest.approx((0, 0, 0), abs=1e-12)
    closer = {"a": [Audit(one.scores - 0.1 * one.member, MEMBER, UNITS, 0.5, np.arange(N)) for one in alone["a"]]}
    paired = change_of_strongest(closer, alone, 300)
    one, other = (evaluate(side["a"], 300)["auc"] for side in (closer, alone))
    assert paired.value == pytest.approx(one.value - other.value) and paired.high < 0
    assert paired.high - paired.low < 0.3 * np.hypot(one.high - one.low, other.high - other.low)


@pytest.mark.parametrize("attacks, gap", [(1, 0.0), (4, 0.0), (4, 1.0)])
def test_the_change_of_the_strongest_is_covered(attacks, gap):
    """Among several equal attacks, where picking flatters both sides, and where one is clear before and gone after."""
    covered = 0
    for seed in range(60):
        rng = np.random.default_rng([seed, attacks])
        new, old = guesses(rng, attacks), guesses(rng, attacks)
        old["attack 0"] = audits(gap * MEMBER + rng.standard_normal((TARGETS, N)))
        change = change_of_strongest(new, old, 200, seed)
        covered += change.low <= 0.5 - norm.cdf(gap / np.sqrt(2)) <= change.high
    assert covered >= 54


def test_an_attack_tried_on_few_examples_widens_nothing_but_its_own_bounds():
    rng = np.random.default_rng(7)
    clear, weaker = (audits(gap * MEMBER + rng.standard_normal((TARGETS, N))) for gap in (4, 2))
    few = rng.permutation(N)[:24]
    noisy = [
        Audit((1.0 * MEMBER + rng.standard_normal(N))[few], MEMBER[few], UNITS[few], 0.5, few) for _ in range(TARGETS)
    ]
    alone, beside = (strongest_of(attacks, 500).measure for attacks in ({"a": clear}, {"a": clear, "few": noisy}))
    assert alone.low - beside.low < 0.3 * (alone.value - alone.low)
    change = change_of_strongest({"a": weaker, "few": noisy}, {"a": clear, "few": noisy}, 500)
    without = change_of_strongest({"a": weaker}, {"a": clear}, 500)
    assert change.value == without.value and change.low > 2 * without.low


def test_sides_with_other_numbers_of_targets_are_compared_unpaired():
    rng = np.random.default_rng(5)
    few, many = (audits(MEMBER + rng.standard_normal((targets, N))) for targets in (2, 6))
    change = change_of_strongest({"a": few}, {"b": many}, 200)
    assert change.low < 0 < change.high and change.n == 2 * N


def test_an_attack_below_one_half_is_turned_round():
    rng = np.random.default_rng(6)
    backwards = {
        "back": audits(-1 * MEMBER + rng.standard_normal((5, N))),
        "guess": audits(rng.random((5, N))),
    }
    found = strongest_of(backwards, 200)
    assert found.attack == "back" and found.measure.low > 0.55


@pytest.mark.parametrize("sides", [{}, {"a": []}])
def test_no_attack_and_other_measures_are_refused(sides):
    with pytest.raises(UsageError, match="at least one audit"):
        strongest_of(sides)
    with pytest.raises(UsageError, match="unknown measure 'recall'"):
        strongest_of({"a": audits(np.zeros((1, N)))}, measure="recall")
