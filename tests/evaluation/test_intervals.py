"""How wide intervals are: models are drawn again as well as recordings, and shares are never surer than their counts."""

import inspect

import numpy as np
import pytest
from scipy.stats import beta, norm
from scipy.stats import t as student

from mia_lib.evaluation.audit import Audit
from mia_lib.evaluation.evaluate import evaluate
from mia_lib.evaluation.intervals import mean_change, mean_measure, of_variance, spread_of_weights
from mia_lib.evaluation.strongest import change_of_strongest, strongest_of

MEMBER = np.arange(400) < 200


def audit(scores, threshold=0.5):
    return Audit(scores, MEMBER, np.arange(400).astype(str), threshold, np.arange(400))


def test_an_interval_over_targets_that_differ_reaches_beyond_them():
    """Two say nothing of how far a third may lie; of nine of which one fails, the mean is known to within a few tenths."""
    good, blind = audit(np.where(MEMBER, 1.0, 0.0)), audit(np.zeros(400))
    rates = ("auc", "balanced_accuracy", "recall", "tpr_at_fpr_1e-1", "tpr_at_fpr_1e-3_pooled")
    two, nine = evaluate([good, blind], 400), evaluate([good] * 8 + [blind], 400)
    for name in set(rates) - {"tpr_at_fpr_1e-3_pooled"}:
        assert two[name].low < 0.02 and two[name].high > 0.98, name
        assert 0.4 < nine[name].low < nine[name].value - 0.05, name


def test_targets_that_lie_far_apart_widen_the_interval_as_students_t_does():
    far = [audit(MEMBER * gap + np.random.default_rng(i).standard_normal(400)) for i, gap in enumerate((0.7, 1.0, 1.3))]
    measure = evaluate(far, 300)["auc"]
    aucs = [evaluate([one], 0)["auc"].value for one in far]
    half = student.ppf(0.975, 2) * np.std(aucs, ddof=1) / np.sqrt(3)
    assert measure.low == pytest.approx(measure.value - half, abs=0.08)
    assert measure.high == pytest.approx(min(1, measure.value + half), abs=0.08)


def test_weights_of_twice_the_variance_are_squares_of_normal_deviates():
    weights = np.random.default_rng(0).standard_exponential(10_000)
    np.testing.assert_allclose(of_variance(weights, 2.0), norm.isf(np.exp(-weights) / 2) ** 2, rtol=0, atol=1e-4)
    assert of_variance(weights, 1.0) is weights


@pytest.mark.parametrize(("clusters", "learnt"), [(6, 0.0), (20, 0.0), (20, 1.0), (20, 0.4)])
def test_a_mean_varies_in_the_draws_as_it_does_over_data_sets(clusters, learnt):
    """By s^2 / n, of s^2 with n - 1 in its denominator; and by 1 + learnt times as much."""
    values = np.random.default_rng(1).standard_normal(clusters)
    spread = spread_of_weights(clusters, learnt)
    weights = of_variance(np.random.default_rng(2).standard_exponential((40_000, clusters)), spread)
    drawn = weights @ values / weights.sum(1)
    assert drawn.var() == pytest.approx((1 + learnt) * values.var(ddof=1) / clusters, rel=0.03)


@pytest.mark.parametrize("found", ["all", "none"])
def test_where_all_or_no_members_are_found_the_interval_is_that_of_a_share(found):
    scores = np.where(MEMBER, 1.0, 0.0) if found == "all" else np.where(MEMBER, 0.0, 1.0)
    measures = evaluate([audit(scores, 0.5 if found == "all" else np.inf)], 2000)
    recall, surest = measures["recall"], beta.ppf(0.025, 200.5, 0.5)
    low, high = (surest, 1) if found == "all" else (0, 1 - surest)
    assert (recall.low, recall.high) == pytest.approx((low, high), abs=2e-3)
    assert (
        measures["auc"].low == pytest.approx(measures["auc"].high, abs=0.03)
        and measures["auc"].low < measures["auc"].high
    )


def test_what_too_few_non_members_can_show_has_no_interval():
    measures = evaluate([audit(np.random.default_rng(0).random(400))], 100)
    assert np.isnan(measures["tpr_at_fpr_1e-3"].low) and np.isnan(measures["tpr_at_fpr_0"].high)
    assert measures["tpr_at_fpr_1e-2"].low <= measures["tpr_at_fpr_1e-2"].value <= measures["tpr_at_fpr_1e-2"].high
    assert all(
        np.isnan(measure.low) for name, measure in evaluate([audit(np.arange(400))], 0).items() if "audit" not in name
    )


def test_a_control_deals_whole_recordings_half_of_either_side():
    clusters = np.repeat(np.arange(40), 10).astype(str)
    for seed in range(5):
        dealt = Audit(np.zeros(400), MEMBER, clusters, 0.5, np.arange(400)).shuffled(seed).member.reshape(40, 10)
        assert (dealt == dealt[:, :1]).all()
        assert dealt[:20, 0].sum() == dealt[20:, 0].sum() == 10


def test_an_interval_of_accuracies_knows_how_far_models_lie_apart():
    clusters = [np.arange(300).astype(str)] * 2
    measure = mean_measure([np.ones(300), np.zeros(300)], clusters, 400)
    assert (measure.value, measure.low, measure.high) == pytest.approx((0.5, 0, 1))
    alike = mean_measure([np.arange(300) % 2.0] * 2, clusters, 400)
    assert 0.4 < alike.low < alike.value < alike.high < 0.6


def test_all_right_is_not_taken_for_certain_and_gaps_are_left_as_they_are():
    right = mean_measure([np.ones(200)], [np.arange(200).astype(str)], 2000)
    assert right.value == right.high == 1 and right.low == pytest.approx(beta.ppf(0.025, 200.5, 0.5), abs=2e-3)
    gaps = mean_measure([np.full(200, 0.02)], [np.arange(200).astype(str)], 400)
    assert (gaps.low, gaps.high) == pytest.approx((0.02, 0.02))


@pytest.mark.parametrize("measured", [evaluate, mean_measure, mean_change, strongest_of, change_of_strongest])
def test_an_interval_rests_on_a_thousand_draws_unless_fewer_are_asked_for(measured):
    parameters = inspect.signature(measured).parameters
    assert (parameters["draws"].default, parameters["seed"].default) == (1000, 0)
