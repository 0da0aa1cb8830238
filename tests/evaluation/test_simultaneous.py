"""The strongest of several attacks: an interval that holds the truth although the attack was picked."""

import numpy as np
import pytest

from mia_lib.evaluation.audit import Audit
from mia_lib.evaluation.evaluate import evaluate
from mia_lib.evaluation.simultaneous import strongest_of
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
    assert (found.attack, found.out_of, found.auc.n) == ("clear", 4, TARGETS * N)
    assert found.auc.value == pytest.approx(evaluate(clear, 1)["auc"].value)
    assert 0.5 < found.auc.low < found.auc.value < found.auc.high <= 1


def test_the_same_attack_twice_is_no_more_luck_than_once():
    one = audits(MEMBER + np.random.default_rng(1).standard_normal((TARGETS, N)))
    once, twice = strongest_of({"a": one}, 300), strongest_of({"a": one, "b": one}, 300)
    assert twice.auc == once.auc


def test_random_answers_are_covered_where_the_interval_of_the_one_that_was_picked_is_not_enough():
    covered, naive = 0, 0
    for seed in range(60):
        attacks = guesses(np.random.default_rng([seed, 1]), 15)
        found = strongest_of(attacks, 200, seed)
        covered += found.auc.low <= 0.5 <= found.auc.high
        own = strongest_of({found.attack: attacks[found.attack]}, 200, seed).auc
        naive += own.low <= 0.5 <= own.high
    assert covered >= 55  # of 60; 57 are 95 %, and 55 within a standard error and a half of it
    assert naive < covered


def test_attacks_on_different_numbers_of_targets_are_refused():
    rng = np.random.default_rng(0)
    with pytest.raises(UsageError, match="same targets"):
        strongest_of({"a": audits(rng.random((2, N))), "b": audits(rng.random((1, N)))})
    with pytest.raises(UsageError, match="same targets"):
        strongest_of({})
