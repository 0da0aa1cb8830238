"""Who is exposed: shares, agreement and forecasts by hand, and that chance looks like chance."""

from dataclasses import replace

import numpy as np
import pytest

from mia_lib.evaluation import people
from mia_lib.evaluation.audit import Audit
from mia_lib.support.errors import UsageError


def audit(scores, member, clusters):
    return Audit(np.array(scores, float), np.array(member, bool), np.array(clusters, str), 0.0, np.arange(len(scores)))


def drawn(seed, exposed=(), persons=20, each=40):
    """Scores of persons half of whose recordings are members; those of the `exposed` persons' members stand out."""
    rng, clusters = np.random.default_rng(seed), np.repeat(np.arange(persons), each)
    member = np.tile(np.arange(each) % 2 == 0, persons)
    scores = rng.standard_normal(persons * each) + 4 * (member & np.isin(clusters, exposed))
    return audit(scores, member, clusters)


def test_a_persons_row_by_hand():
    one = audit([5, 1, 3, 2, 0, 4], [1, 1, 1, 0, 0, 0], list("abbabb"))
    table = people.people({"loss": [one]}, level=0.0).set_index("speaker")
    assert table.loc["a", ["members", "found", "exposure"]].tolist() == [1, 1.0, 1.0]
    assert table.loc["b", ["members", "found"]].tolist() == [2, 0.0]
    assert table.loc["b", "exposure"] == pytest.approx((1 / 3 + 2 / 3) / 2)
    assert people.shares_below(audit([1, 1, 0], [1, 0, 0], list("abc"))).tolist() == [0.75, 0.75, 0.25]


def test_the_same_persons_agree_over_targets_and_others_do_not():
    exposed = [0, 3, 7, 9]
    table = people.people({"loss": [drawn(s, exposed) for s in range(3)]})
    same = people.agreement(table, "attack", "target", 100, 0)
    table = people.people({"loss": [drawn(s) for s in range(3)]})
    chance = people.agreement(table, "attack", "target", 100, 0)
    assert same.low > 0.1 and chance.low < 0 < chance.high and same.n == 20
    with pytest.raises(UsageError, match="across attack needs two"):
        people.agreement(table, "target", "attack", 10, 0)


def test_pairs_that_agree_and_pairs_that_contradict_are_told_apart():
    one = drawn(0, [0, 3, 7, 9])
    table = people.people({"lira": [one], "rmia": [one], "loss": [replace(one, scores=-one.scores)]})
    pairs = people.agreement_by_pair(table, "target", "attack")
    assert pairs.loc["lira", "rmia"] == pytest.approx(1) and pairs.loc["rmia", "loss"] == pytest.approx(-1)
    assert people.agreement(table, "target", "attack", 20, 0).value == pytest.approx(-1 / 3)


def test_any_of_several_attacks_finds_at_least_as_many_and_alarms_are_counted_too():
    one, other = drawn(0, [1]), drawn(0, [2])
    found = people.found_by_any({"loss": [one], "entropy": [other]}, 50, 0, level=0.01)
    assert found["gain"].value == pytest.approx(found["members"].value - found["best"].value)
    assert found["gain"].value > 0.02 and found["gain"].low > -0.01 and found["others"].value <= 0.02 + 1e-9
    alone = people.found_by_any({"loss": [one]}, 50, 0, level=0.01)
    assert alone["members"].value == alone["best"].value and alone["others"].value <= 0.01
    assert (alone["gain"].low, alone["gain"].high) == (0, 0)


def test_an_attack_that_finds_nothing_adds_false_alarms_and_no_gain():
    scores = drawn(0, [1, 2, 3])
    noise = np.random.default_rng(1).standard_normal(len(scores.scores))
    found = people.found_by_any({"loss": [scores], "noise": [replace(scores, scores=noise)]}, 50, 0, level=0.01)
    assert found["members"].value > 0.1 and found["others"].value > 0.015 and found["gain"].high < 0.03


def test_precision_counts_the_highest_forecasts_only():
    vulnerable = np.array([True, False, True, False])
    assert people.precision_at(np.array([4.0, 1, 3, 2]), vulnerable, 0.5) == 1.0
    assert people.precision_at(np.array([1.0, 4, 2, 3]), vulnerable, 0.5) == 0.0
    assert people.precision_at(np.array([4.0, 1, 3, 2]), vulnerable, 0.001) == 1.0  # at least one


def test_what_loss_alone_rules_out_by_hand():
    loss = np.array([0.0] * 99 + [9.0] + [1.0] * 30 + [0.0] * 70)
    member = np.arange(200) < 100
    assert people.true_negative_rate(loss, member, 0.01) == pytest.approx(0.3)
    same = np.random.default_rng(0).standard_normal(20_000)
    assert people.true_negative_rate(same, np.arange(20_000) < 10_000, 0.01) == pytest.approx(0.01, abs=0.004)
