"""Attacks on reference models: numbers worked out by hand, the peers' traps, chance where there is nothing, bad input."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from mia_lib.attacks import ATTACKS
from mia_lib.attacks.base import masked_mean
from mia_lib.attacks.modified_entropy import class_thresholds
from mia_lib.attacks.rmia import auc as rank_auc
from mia_lib.attacks.rmia import average, dominated
from mia_lib.evaluation.rates import tpr_at_fpr
from mia_lib.signals.internals import INTERNALS
from mia_lib.signals.signals import Signals
from mia_lib.signals.statistics import statistics
from mia_lib.support.errors import MiaError

CALIBRATED = [name for name in ATTACKS.names() if ATTACKS.get(name).calibrated]
SEE_LABELS = ("label_only_calibrated",)  # their strength is tested beside them, in test_queries.py
COPIES = 5
# attacks on persons have tests of their own: here every person has members and non-members, which they refuse
FRAGMENTS = [name for name in ATTACKS.names() if "person" not in getattr(ATTACKS.get(name), "needs", ())]
STRONG = ("combined", "gradient_norm", "lira_offline", "lira_online", "rmia_offline", "rmia_online", "white_box")


def two_classes(phi, member, **options):
    """Signals whose logit-scaled confidence is phi [K, N]."""
    phi = np.asarray(phi, float)
    logits = np.stack([phi, np.zeros_like(phi)], axis=-1)
    return Signals(logits, np.zeros(phi.shape, int), np.asarray(member), **{"aligned": True} | options)


def references(seed, boost=2.0, models=17, n=600, classes=10, shift=None, reserved=150):
    """Model 0 as target, the others as references: fragments differ in difficulty, members gain `boost`.

    The last `reserved` fragments are the population. Inputs show the difficulty, internals and sensitivity fall with the
    confidence, and the answers to altered copies of a fragment are noisy versions of those to the fragment itself.
    """
    rng = np.random.default_rng(seed)
    member = np.stack([rng.permutation(models) < models / 2 for _ in range(n)], axis=1).astype(int)
    member = np.pad(member, ((0, 0), (0, reserved)))
    n += reserved
    labels = np.tile(rng.integers(classes, size=n), (models, 1))
    difficulty = rng.normal(3, 3, n)
    logits = rng.standard_normal((models, n, classes))
    raised = difficulty + boost * member + 0.7 * rng.standard_normal((models, n))
    np.put_along_axis(logits, labels[..., None], raised[..., None], -1)
    if shift is not None:
        logits[0] += shift
    population = np.arange(n) >= n - reserved
    inputs = difficulty[:, None] + 0.5 * rng.standard_normal((n, 2))
    noise = rng.standard_normal((models, n, len(INTERNALS)))
    copies = logits + 0.5 * rng.standard_normal((COPIES, *logits.shape))
    member = np.where(population, -1, member)
    everything = Signals(logits, labels, member, True, population, inputs=inputs, copies=copies)
    phi = everything.statistics.phi[..., None]
    moved = np.exp(rng.standard_normal(logits.shape) - phi / 5)
    everything = replace(everything, internals=0.3 * noise - phi, sensitivity=moved)
    return everything.pick([0]), everything.pick(list(range(1, models)))


def auc(attack, target):
    mask, member = target.audited()
    return roc_auc_score(member, attack.score(target)[mask])


def test_lira_by_hand():
    shadows = two_classes([[4.0], [6.0], [0.0], [2.0]], [[1], [1], [0], [0]])
    target = two_classes([[3.0], [4.0]], [[-1], [-1]])
    online = ATTACKS.get("lira_online")(variance="fragment").fit(shadows).score(target)
    np.testing.assert_allclose(online, [[0.0], [4.0]], atol=1e-12)
    offline = ATTACKS.get("lira_offline")(variance="fragment").fit(shadows)
    np.testing.assert_allclose(offline.score(target), [[2.0], [3.0]], atol=1e-12)
    two = ATTACKS.get("lira_offline")(variance="fragment", sides=2).fit(shadows).score(target)
    np.testing.assert_allclose(two, np.array([[2.0], [4.5]]) + np.log(2 * np.pi) / 2, atol=1e-12)


def test_a_shared_variance_holds_no_spread_between_fragments():
    shadows = two_classes([[0.0, 100.0], [2.0, 102.0], [5.0, 105.0]], [[0, 0], [0, 0], [1, 1]])
    attack = ATTACKS.get("lira_offline")(variance="shared").fit(shadows)
    np.testing.assert_allclose(attack.score(two_classes([[3.0, 103.0]], [[-1, -1]])), [[2.0, 2.0]])


def test_rank_auc_counts_ties_half_as_the_curve_does():
    rng = np.random.default_rng(0)
    for values in (2, 5, 1000):
        scores, member = rng.integers(values, size=200).astype(float), rng.random(200) < 0.4
        assert rank_auc(scores, member) == pytest.approx(roc_auc_score(member, scores), abs=1e-12)


def test_rmia_by_hand():
    p = np.array([[0.9], [0.5]])
    inside, outside = np.array([[True], [False]]), np.array([[False], [True]])
    assert average(p, inside, outside, None)[0] == pytest.approx(0.7)
    assert average(p, inside, outside, 0.3)[0] == pytest.approx((1.3 * 0.5 + 0.7) / 2)
    ratio, everything = np.array([[2.0, 1.0, 0.5, 0.4]]), np.ones(4, bool)
    np.testing.assert_allclose(dominated(ratio, everything, 2.0), [[1, 2 / 3, 0, 0]])
    np.testing.assert_allclose(dominated(ratio, everything, 1.0), [[1, 2 / 3, 1 / 3, 0]])
    np.testing.assert_allclose(dominated(ratio, np.array([False, True, True, False]), 1.0), [[1, 1, 0, 0]])


def test_the_population_is_averaged_over_all_models_that_did_not_train_on_it():
    p = np.array([[0.1], [0.2], [0.3], [0.9]])
    nowhere, everywhere = np.zeros((4, 1), bool), np.ones((4, 1), bool)
    assert average(p, nowhere, everywhere, None)[0] == pytest.approx(0.375)
    assert masked_mean(p, everywhere)[0] == pytest.approx(0.375)


def test_rmia_at_temperature_one_is_blind_to_saturated_models_and_tuning_mends_it():
    target, others = references(0, shift=None)
    sure = [replace(s, logits=12 * s.logits) for s in (target, others)]
    aucs = {}
    for temperature in (1.0, None):
        attack = ATTACKS.get("rmia_online")(temperature=temperature).fit(sure[1])
        aucs[temperature] = auc(attack, sure[0])
    assert attack.temperature > 1 and aucs[None] > aucs[1.0] + 0.1


def test_confidence_is_exact_where_the_posterior_rounds_to_one():
    s = statistics(np.array([[[40.0, 0.0, 0.0], [50.0, 0.0, 0.0]]]), np.zeros((1, 2), int))
    np.testing.assert_allclose(s.phi[0], np.array([40.0, 50.0]) - np.log(2))
    assert s.top[0, 0, 0] == s.top[0, 1, 0] == 1.0 and s.loss[0, 0] >= s.loss[0, 1] >= 0


def test_statistics_by_hand():
    p = np.array([[[0.5, 0.3, 0.2], [0.1, 0.8, 0.1]]])
    s = statistics(np.log(p), np.array([[0, -1]]))
    assert s.loss[0, 0] == pytest.approx(np.log(2)) and s.phi[0, 0] == pytest.approx(0.0, abs=1e-12)
    assert s.entropy[0, 0] == pytest.approx(-(0.5 * np.log(0.5) + 0.3 * np.log(0.3) + 0.2 * np.log(0.2)))
    expected = -0.5 * np.log(0.5) - 0.3 * np.log(0.7) - 0.2 * np.log(0.8)
    assert s.modified_entropy[0, 0] == pytest.approx(expected)
    assert s.correct[0].tolist() == [1, 0] and s.loss[0, 1] == pytest.approx(-np.log(0.8))


def test_loss_and_true_posterior_rank_alike_and_members_higher():
    target, others = references(1)
    loss, posterior = (ATTACKS.get(n)().fit(others) for n in ("loss", "true_posterior"))
    assert (np.argsort(loss.score(target)) == np.argsort(posterior.score(target))).all() and auc(loss, target) > 0.55


def test_a_class_without_members_takes_the_threshold_of_all():
    scores, labels = np.array([0.1, 0.9, 0.2, 0.8, 0.5]), np.array([0, 0, 1, 1, 2])
    member = np.array([0, 1, 0, 1, 0], bool)
    thresholds = class_thresholds(scores, labels, member, 4)
    np.testing.assert_allclose(thresholds, [0.5, 0.5, 0.65, 0.65])


def test_shokri_says_how_many_speakers_share_the_pooled_model():
    target, others = references(2)
    assert ATTACKS.get("shokri")().fit(others).pooled_classes == 0
    few = Signals(others.logits, others.labels, np.where(others.labels < 3, -1, others.member), aligned=True)
    attack = ATTACKS.get("shokri")().fit(few)
    assert attack.pooled_classes == 3 and np.isfinite(attack.score(target)).all()


@pytest.mark.parametrize("name", STRONG)
def test_calibration_beats_the_largest_posterior_where_fragments_differ_in_difficulty(name):
    gains = []
    for seed in range(5):
        target, others = references(seed)
        mask, member = target.audited()
        ours, plain = (ATTACKS.get(n)().fit(others).score(target)[mask] for n in (name, "largest_posterior"))
        gains.append(tpr_at_fpr(ours, member, 0.05) - tpr_at_fpr(plain, member, 0.05))
    assert min(gains) > 0.3


@pytest.mark.parametrize("name", FRAGMENTS)
def test_every_attack_is_at_chance_on_a_target_that_treats_all_alike(name):
    aucs = []
    for seed in range(5):
        target, _ = references(seed, boost=0.0)
        _, others = references(seed)
        aucs.append(auc(ATTACKS.get(name)().fit(others), target))
    assert np.mean(aucs) == pytest.approx(0.5, abs=0.035)


@pytest.mark.parametrize("name", FRAGMENTS)
def test_no_attack_reads_the_targets_membership(name):
    target, others = references(3)
    blind = target.with_members(np.full_like(target.member, -1))
    attack = ATTACKS.get(name)().fit(others)
    np.testing.assert_array_equal(attack.score(target), attack.score(blind))


@pytest.mark.parametrize("name", CALIBRATED)
@pytest.mark.parametrize(
    "change, sentence",
    [
        (lambda s: replace(s, aligned=False), "aligned"),
        (lambda s: s.with_members(np.where(s.population, -1, np.ones_like(s.member))), "no non-members"),
    ],
)  # fmt: skip
def test_unusable_references_are_refused_in_one_sentence(name, change, sentence):
    with pytest.raises(MiaError, match=sentence):
        ATTACKS.get(name)().fit(change(references(0)[1]))


@pytest.mark.parametrize("name", CALIBRATED)
@pytest.mark.parametrize("side", [0, 1])
def test_a_fragment_that_all_or_none_of_the_models_trained_on_is_scored_like_the_others(name, side):
    target, others = references(0)
    one_sided = others.with_members(np.where(np.arange(others.member.shape[1]) == 7, side, others.member))
    scores = ATTACKS.get(name)().fit(one_sided).score(target)[0]
    assert np.isfinite(scores).all()
    usual = ATTACKS.get(name)().fit(others).score(target)[0]
    assert abs(np.searchsorted(np.sort(usual), scores[7]) - np.searchsorted(np.sort(usual), usual[7])) < len(usual)


def test_references_that_never_differ_in_a_fragment_are_refused_by_attacks_that_compare_both_sides():
    others = references(0)[1]
    same = np.where(others.member >= 0, np.arange(others.member.shape[1]) % 2, -1)
    for name in CALIBRATED:
        if "offline" in name or name in ("base", "ramia"):
            assert ATTACKS.get(name)().fit(others.with_members(same))
        else:
            with pytest.raises(MiaError, match="no fragment trained one reference model and not another"):
                ATTACKS.get(name)().fit(others.with_members(same))


def test_posteriors_that_do_not_sum_to_one_are_refused():
    label = np.zeros((1, 1), int)
    for bad in ([0.5, 0.4], [1.2, -0.2], [np.nan, 1.0]):
        with pytest.raises(MiaError, match="posteriors"):
            Signals.from_posteriors(np.array([[bad]]), label, label)
    logits = np.array([[[2.0, -1.0, 0.5]]])
    again = Signals.from_posteriors(np.exp(logits) / np.exp(logits).sum(), label, label)
    np.testing.assert_allclose(expit(again.statistics.phi), expit(statistics(logits, label).phi))


def test_a_population_must_not_be_audited():
    with pytest.raises(MiaError, match="population must not be audited"):
        two_classes([[1.0, 2.0]], [[1, 0]], population=np.array([True, False]))
    with pytest.raises(MiaError, match="reserved population"):
        ATTACKS.get("rmia_online")(population="reserved").fit(replace(references(0)[1], population=None))
