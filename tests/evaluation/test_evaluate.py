"""Rates equal scikit-learn's and hand-computed ones, ties are exact, intervals hold chance under the null."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mia_lib.attacks.threshold import best_threshold
from mia_lib.evaluation.audit import Audit
from mia_lib.evaluation.evaluate import evaluate, false_alarms_by_person
from mia_lib.evaluation.intervals import bootstrap_weights
from mia_lib.evaluation.rates import curve_rates, decision_rates, tpr_at_fpr
from mia_lib.support.errors import MiaError


def audit(scores, member, clusters=None, threshold=0.5):
    n = len(scores)
    clusters = np.arange(n).astype(str) if clusters is None else clusters
    return Audit(np.asarray(scores, float), np.asarray(member, bool), clusters, threshold, np.arange(n))


def test_weighted_curves_equal_scikit_learn_with_and_without_ties():
    rng = np.random.default_rng(0)
    for scores in (rng.standard_normal(300), rng.integers(0, 5, 300).astype(float), np.zeros(300)):
        member = rng.random(300) < 0.4
        rates = curve_rates(scores, member, np.ones((1, 300)))
        assert rates["auc"][0] == pytest.approx(roc_auc_score(member, scores), abs=1e-12)
        assert rates["tpr_at_fpr_1e-2"][0] == tpr_at_fpr(scores, member, 0.01)
        weights = rng.integers(0, 4, (1, 300)).astype(float)
        expected = roc_auc_score(member, scores, sample_weight=weights[0])
        assert curve_rates(scores, member, weights)["auc"][0] == pytest.approx(expected, abs=1e-12)


def test_collinear_ties_do_not_lower_the_rate_at_a_low_fpr():
    scores = np.repeat(np.arange(60.0), 4)
    member = np.tile([True, True, True, False], 60)
    assert tpr_at_fpr(scores, member, 0.1) == pytest.approx(0.1)


def test_decisions_by_hand():
    rates = decision_rates(np.array([1, 1, 0, 1], bool), np.array([1, 1, 1, 0], bool))
    assert rates["recall"][0] == pytest.approx(2 / 3) and rates["precision"][0] == pytest.approx(2 / 3)
    assert rates["balanced_accuracy"][0] == pytest.approx((2 / 3 + 0) / 2)
    assert decision_rates(np.zeros(4, bool), np.array([1, 1, 1, 0], bool))["precision"][0] == 0


def test_the_best_threshold_lies_between_the_sides():
    assert best_threshold(np.array([0.1, 0.2, 0.7, 0.9]), np.array([0, 0, 1, 1], bool)) == pytest.approx(0.45)
    assert best_threshold(np.array([0.9, 0.1]), np.array([0, 1], bool)) == np.inf


def test_pooled_targets_share_one_threshold_and_their_false_alarms():
    member = np.arange(1200) < 600
    clean, noisy = np.where(member, 2.0, 0.0), np.where(member, 1.0, 0.0)
    noisy[600] = 1.5  # one false alarm: allowed among the 1,200 non-members of both, not among its own 600
    measures = evaluate([audit(clean, member), audit(noisy, member)], 50)
    assert measures["tpr_at_fpr_1e-3"].value == pytest.approx((1 + 0) / 2)
    assert measures["tpr_at_fpr_1e-3_pooled"].value == 1
    noisy[601] = 1.5  # a second one is too many, at this or any lower threshold
    assert evaluate([audit(clean, member), audit(noisy, member)], 50)["tpr_at_fpr_1e-3_pooled"].value == 0.5


def test_guessing_on_pooled_targets_finds_one_in_a_thousand_and_alone_finds_what_few_non_members_allow():
    found, held = [], 0
    for seed in range(20):
        rng, member = np.random.default_rng(seed), np.arange(400) < 200
        measures = evaluate([audit(rng.random(400), member) for _ in range(10)], 20, seed)
        found.append([measures[name].value for name in ("tpr_at_fpr_1e-3", "tpr_at_fpr_1e-3_pooled")])
        held += measures["tpr_at_fpr_1e-3_pooled"].low <= 0.001
    assert held >= 17
    alone, pooled = np.mean(found, axis=0)
    assert alone > 0.004 and pooled < 0.0025  # in expectation 1/201; 3/2001, two false alarms of 2,000 being allowed


def test_a_control_is_judged_by_the_same_numbers_as_an_attack():
    rng, member = np.random.default_rng(3), np.arange(100) < 50
    audits = [audit(rng.random(100), member) for _ in range(2)]
    everything, brief = evaluate(audits, 100), evaluate(audits, 100, control=True)
    assert sorted(brief) == ["auc", "balanced_accuracy"] and all(everything[name] == brief[name] for name in brief)


def test_a_unit_has_one_weight_wherever_it_occurs():
    first, second = bootstrap_weights([np.array(list("aabbc")), np.array(list("cab"))], 50, np.random.default_rng(0))
    assert (first[:, 0] == first[:, 1]).all() and (first[:, [4, 0, 2]] == second).all()
    assert first.std(0).min() > 0.5


def test_attacking_the_same_recordings_again_does_not_narrow_the_interval():
    rng = np.random.default_rng(2)
    member = np.arange(200) < 100
    same = audit(rng.standard_normal(200) + member, member)
    once, thrice = (evaluate([same] * times, 400)["auc"] for times in (1, 3))
    assert thrice.high - thrice.low == pytest.approx(once.high - once.low, rel=0.25)


def test_intervals_hold_chance_for_scores_that_know_nothing():
    held = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        measure = evaluate([audit(rng.random(200), np.arange(200) < 100)], 200, seed)["auc"]
        held += measure.low <= 0.5 <= measure.high
    assert held >= 16


def test_the_shuffled_control_destroys_a_perfect_attack():
    member = np.arange(200) < 100
    perfect = audit(member.astype(float), member)
    assert evaluate([perfect], 100)["auc"].value == 1
    control = evaluate([perfect.shuffled(s) for s in range(5)], 100)["auc"]
    assert control.low <= 0.5 <= control.high and control.value == pytest.approx(0.5, abs=0.01)


def test_intervals_are_wider_when_fragments_stick_together():
    rng = np.random.default_rng(1)
    member = np.repeat(np.arange(40) < 20, 10)
    scores = np.repeat(rng.standard_normal(40) + np.repeat([1, 0], 20), 10)
    alone = evaluate([audit(scores, member)], 300)["auc"]
    grouped = evaluate([audit(scores, member, np.repeat(np.arange(40), 10).astype(str))], 300)["auc"]
    assert grouped.high - grouped.low > 2 * (alone.high - alone.low)


@pytest.mark.parametrize("scores, member", [([0.1, np.nan], [1, 0]), ([0.1, 0.2], [1, 1]), ([0.1], [1, 0])])
def test_unusable_scores_are_refused_in_one_sentence(scores, member):
    with pytest.raises(MiaError):
        Audit(np.array(scores), np.array(member, bool), np.array(["a"] * len(member)), 0.5, np.arange(len(member)))


def test_false_alarms_of_single_persons_are_beside_those_of_all():
    """Four persons with 25 non-members each; all two alarms at 2 % are of one of them."""
    scores = np.concatenate([np.full(100, 5.0), np.arange(100) / 100])
    scores[[125, 130]] = 9.0
    member, persons = np.arange(200) < 100, np.concatenate([np.repeat(list("abcd"), 25)] * 2)
    one = Audit(scores, member, persons, 0.5, np.arange(200))
    found = false_alarms_by_person([one], 0.02)
    assert found["person_fpr_worst"].value == pytest.approx(2 / 25) and found["person_fpr_median"].value == 0
    assert found["person_fpr_worst"].n == 4 and np.isnan(found["person_fpr_worst"].low)
    other = Audit(
        np.where(scores == 9, 0, scores), member, persons, 0.5, np.arange(200)
    )  # its alarms are of another person
    assert false_alarms_by_person([one, other], 0.02)["person_fpr_worst"].value == pytest.approx(2 / 50)
    few = Audit(np.arange(18.0), np.arange(18) < 9, np.repeat(list("abc"), 6), 0.5, np.arange(18))
    assert false_alarms_by_person([few]) == {} and "person_fpr_worst" not in evaluate([few], 0)
