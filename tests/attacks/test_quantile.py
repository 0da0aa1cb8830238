"""Quantile regression: by hand, calibrated for every kind of fragment, real, and blind to shadows and to its audit set."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm
from test_calibrated import auc, references, two_classes

from mia_lib.attacks import ATTACKS
from mia_lib.attacks.quantile import normal_quantiles
from mia_lib.evaluation.rates import tpr_at_fpr
from mia_lib.support.errors import MiaError


def quantile(target):
    return ATTACKS.get("quantile")().fit(target).score(target)


def test_without_differences_between_fragments_the_score_is_standardised_by_hand():
    phi = np.array(
        [[-1.0, 1.0] * 5 + [0.0, 2.0, -4.0]]
    )  # ten of the population; each left out is 10/9 off the others' mean
    population = np.arange(13) < 10
    member = np.where(population, -1, np.arange(13) % 2)[None]
    signals = two_classes(phi, member, population=population, inputs=np.zeros((13, 2)))
    np.testing.assert_allclose(quantile(signals)[0, 10:], [0.0, 1.8, -3.6], rtol=1e-5, atol=1e-9)


def test_the_same_threshold_is_the_same_false_positive_rate_for_every_kind_of_fragment():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (24_000, 1))
    phi = 5 * x[:, 0] + np.exp(x[:, 0]) * rng.standard_normal(len(x))
    mean, deviation = normal_quantiles(x, phi, np.arange(len(x)) < 4000)
    fresh = slice(4000, None)
    for side in (x[fresh, 0] < -0.5, x[fresh, 0] > 0.5):
        for level in (0.1, 0.01):
            alarms = ((phi - mean) / deviation)[fresh][side] > norm.isf(level)
            assert alarms.mean() == pytest.approx(level, rel=0.4)


def test_it_beats_the_loss_where_inputs_tell_difficulty_and_not_where_they_tell_nothing():
    gains, idle = [], []
    for seed in range(5):
        target, _ = references(seed)
        mask, member = target.audited()
        nothing = replace(target, inputs=np.random.default_rng(seed).standard_normal(target.inputs.shape))
        plain = tpr_at_fpr(-target.statistics.loss[mask], member, 0.05)
        gains.append(tpr_at_fpr(quantile(target)[mask], member, 0.05) - plain)
        idle.append(tpr_at_fpr(quantile(nothing)[mask], member, 0.05) - plain)
    assert min(gains) > 0.25 and abs(np.mean(idle)) < 0.1


def test_it_is_at_chance_where_the_target_treats_all_alike():
    aucs = [auc(ATTACKS.get("quantile")().fit(t), t) for t, _ in (references(seed, boost=0.0) for seed in range(8))]
    assert np.mean(aucs) == pytest.approx(0.5, abs=0.03)


def test_neither_shadows_nor_other_audited_fragments_change_a_score():
    target, others = references(0)
    scores = quantile(target)
    np.testing.assert_array_equal(ATTACKS.get("quantile")().fit(others).score(target), scores)
    logits = target.logits.copy()
    logits[:, :300] = np.random.default_rng(1).standard_normal(logits[:, :300].shape)
    altered = quantile(replace(target, logits=logits))
    np.testing.assert_array_equal(altered[:, 300:], scores[:, 300:])
    assert (altered[:, :300] != scores[:, :300]).all()


def test_strangers_to_the_model_get_a_score():
    target, _ = references(0)
    labels = np.where(np.arange(target.labels.shape[1]) < 50, -1, target.labels)
    assert np.isfinite(quantile(replace(target, labels=labels))).all()


@pytest.mark.parametrize(
    "change, sentence",
    [
        (dict(inputs=None), "describe each fragment"),
        (dict(population=None), "at least 8 fragments known to be non-members"),
        (dict(population=np.arange(750) >= 743), "at least 8 fragments known to be non-members"),
    ],
)
def test_signals_without_inputs_or_population_are_refused_in_one_sentence(change, sentence):
    target, others = references(0)
    with pytest.raises(MiaError, match=sentence):
        ATTACKS.get("quantile")().fit(replace(others, **change))
    with pytest.raises(MiaError, match=sentence):
        ATTACKS.get("quantile")().fit(others).score(replace(target, **change))
    assert ATTACKS.get("quantile").needs == ("inputs",)
