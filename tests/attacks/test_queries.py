"""Attacks that ask several times about each fragment: by hand, blind to posteriors where they must be, at chance on noise."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mia_lib.attacks import ATTACKS, rmia
from mia_lib.attacks.label_only import agreement, compare, mean_bits
from mia_lib.signals.signals import Signals
from mia_lib.support.errors import MiaError

LABELS = ("label_only", "label_only_calibrated")
SCORES = ("lira_online_queries", "lira_offline_queries", "rmia_online_queries", "rmia_offline_queries")


def two_classes(phi, member, copies):
    """Signals whose logit-scaled confidence is phi [K, N], and `copies` [Q, K, N] for the altered copies."""
    logits, copies = (np.stack([v, np.zeros_like(v)], -1) for v in (np.asarray(phi, float), np.asarray(copies, float)))
    return Signals(logits, np.zeros(logits.shape[:2], int), np.asarray(member), aligned=True, copies=copies)


def answers(seed, gain, models=9, n=500, queries=6, classes=4):
    """Signals of a target and of references whose answers survive alteration more often for members, by `gain`.

    Every fragment has a chance of its own that an answer about it is right, so that references have something to tell.
    """
    rng = np.random.default_rng(seed)
    member = rng.integers(2, size=(models, n))
    labels = np.tile(rng.integers(classes, size=n), (models, 1))
    chance = np.clip(rng.uniform(0.1, 0.9, n) + gain * (member - 0.5), 0, 1)
    right = rng.random((1 + queries, models, n)) < chance
    said = np.where(right, labels, (labels + rng.integers(1, classes, right.shape)) % classes)
    logits = rng.uniform(0.1, 5, (*right.shape, 1)) * np.eye(classes)[said]
    everything = Signals(logits[0], labels, member, aligned=True, copies=logits[1:])
    return everything.pick([0]), everything.pick(list(range(1, models)))


def auc(name, target, references, **options):
    scores = ATTACKS.get(name)(**options).fit(references).score(target)
    return roc_auc_score(target.member[0], scores[0])


def test_bits_say_whether_the_true_speaker_is_answered_or_else_the_one_answered_first():
    logits = np.array([[[2.0, 0, 0], [0, 2, 0], [0, 0, 2]]])
    copies = np.array([[[[0.0, 1, 0], [0, 1, 0], [0, 0, 1]]], [[[3.0, 0, 0], [3, 0, 0], [3, 0, 0]]]])
    signals = Signals(logits, np.array([[0, 0, -1]]), np.array([[1, 0, 0]]), copies=copies)
    np.testing.assert_array_equal(agreement(signals, 3)[:, 0], [[1, 0, 1], [0, 0, 1], [1, 1, 0]])
    np.testing.assert_array_equal(agreement(signals, 2), agreement(signals, 3)[:2])


def test_mean_bits_and_their_comparison_by_hand():
    sums, of_all = np.array([[[3.0, 0.0, 0.0]]]), np.array([0.5])
    means = mean_bits(sums, np.array([4, 2, 0]), of_all, share=0.8)
    np.testing.assert_allclose(means, [[[0.8 * 0.75 + 0.1, 0.1, 0.5]]])
    one, zero = np.ones((1, 1, 1)), np.zeros((1, 1, 1))
    np.testing.assert_allclose(compare(one, 0.8 * one, 0.2 * one), [[[1, 0.8, np.log(4)]]])
    np.testing.assert_allclose(compare(zero, 0.8 * one, 0.2 * one), [[[0, -0.2, -np.log(4)]]])


@pytest.mark.parametrize("name", LABELS)
def test_an_attack_on_labels_never_sees_more_than_labels(name):
    target, references = answers(0, 0.5)
    plain = ATTACKS.get(name)().fit(references).score(target)

    def other(signals):
        """The same answered speakers, with other posteriors."""
        rng = np.random.default_rng(1)
        z = [
            rng.uniform(0, 1, v.shape) + 3 * np.eye(v.shape[-1])[v.argmax(-1)] for v in (signals.logits, signals.copies)
        ]
        return replace(signals, logits=z[0], copies=z[1])

    np.testing.assert_array_equal(plain, ATTACKS.get(name)().fit(other(references)).score(other(target)))
    moved = replace(target, copies=np.roll(target.copies, 1, axis=-1))  # but other speakers are other answers
    assert (ATTACKS.get(name)().fit(references).score(moved) != plain).any()


@pytest.mark.parametrize("name", LABELS)
def test_members_whose_answers_survive_are_found_and_more_queries_find_more(name):
    found = np.array([[auc(name, *answers(seed, 0.4), budget=b) for b in (1, 3, 7)] for seed in range(4)]).mean(0)
    assert found[0] > 0.6 and found[1] > found[0] + 0.03 and found[2] > found[1] + 0.02


def test_references_tell_which_fragments_are_hard_and_help_the_attack_on_labels():
    gains = []
    for seed in range(4):
        target, references = answers(seed, 0.4)
        gains.append(auc("label_only_calibrated", target, references) - auc("label_only", target, references))
    assert min(gains) > 0.03


@pytest.mark.parametrize("models", [3, 4, 5])
def test_an_attack_on_labels_is_sound_with_two_to_four_reference_models(models):
    pairs = [answers(seed, 0.4, models) for seed in range(6)]
    kept = []
    for target, references in pairs:
        known = (references.member == 1).any(0) & (references.member == 0).any(0)
        kept.append((target, references.audit_only(known)))
    ours, plain = (np.mean([auc(name, *pair) for pair in kept]) for name in reversed(LABELS))
    assert ours > plain - 0.02 > 0.65


@pytest.mark.parametrize("name", LABELS)
def test_an_attack_on_labels_is_at_chance_where_answers_do_not_depend_on_membership(name):
    values = [auc(name, answers(seed, 0.0)[0], answers(seed, 0.4)[1]) for seed in range(6)]
    assert np.mean(values) == pytest.approx(0.5, abs=0.03)
    values = [
        auc(name, *answers(seed, 0.0, models=5)) for seed in range(6)
    ]  # nor has the attack anything to learn from
    assert np.mean(values) == pytest.approx(0.5, abs=0.03)


def test_scores_of_several_queries_are_the_mean_of_each_querys_own_attack():
    member = [[1], [1], [0], [0]]
    references = two_classes([[4.0], [6.0], [0.0], [2.0]], member, [[[3.0], [5.0], [-1.0], [3.0]]])
    target = two_classes([[3.0]], [[-1]], [[[5.0]]])
    attack = ATTACKS.get("lira_offline_queries")(budget=2, variance="fragment").fit(references)
    np.testing.assert_allclose(attack.score(target), [[((3 - 1) / 1 + (5 - 1) / 2) / 2]])
    online = ATTACKS.get("lira_online_queries")(budget=2, variance="shared").fit(references)
    each = [0.0, -(1**2) / 2 + 4**2 / (2 * 2**2) + np.log(2)]
    np.testing.assert_allclose(online.score(target), [[np.mean(each)]])


@pytest.mark.parametrize("name", SCORES)
def test_one_query_is_the_plain_attack_and_further_queries_are_not(name):
    target, references = answers(0, 0.5, queries=4)
    plain = ATTACKS.get(name.removesuffix("_queries"))().fit(references).score(target)
    np.testing.assert_array_equal(ATTACKS.get(name)(budget=1).fit(references).score(target), plain)
    assert (ATTACKS.get(name)(budget=3).fit(references).score(target) != plain).mean() > 0.5


def test_the_seed_of_an_attack_is_that_of_each_of_its_queries(monkeypatch):
    monkeypatch.setattr(rmia, "TUNING_FRAGMENTS", 40)  # drawn by the seed: which ones, says how it is tuned
    references, tuned = answers(0, 0.5, queries=1)[1], []
    for seed in range(4):
        attack = ATTACKS.get("rmia_offline_queries")(seed=seed, budget=2).fit(references)
        tuned.append((attack.fitted[0].temperature, attack.fitted[0].a))
        alone = ATTACKS.get("rmia_offline")(seed=seed).fit(references)
        assert tuned[-1] == (alone.temperature, alone.a)
    assert len(set(tuned)) > 1


@pytest.mark.parametrize("name", SCORES)
def test_more_queries_find_more_where_each_answer_is_noisy(name):
    rng = np.random.default_rng(0)
    member = np.stack([rng.permutation(9) < 4.5 for _ in range(500)], axis=1).astype(int)
    phi = rng.normal(2, 2, 500) + member + rng.standard_normal((5, 9, 500))
    everything = two_classes(phi[0], member, phi[1:])
    target, references = everything.pick([0]), everything.pick(list(range(1, 9)))
    assert auc(name, target, references, budget=5) > auc(name, target, references, budget=1) + 0.05


@pytest.mark.parametrize("name", [*LABELS, *SCORES])
def test_missing_copies_are_one_sentence(name):
    target, references = answers(0, 0.5, queries=5)
    with pytest.raises(MiaError, match="the signals must hold the answers"):
        ATTACKS.get(name)().fit(replace(references, copies=None))
    with pytest.raises(MiaError, match="answers to 6 queries of each fragment, not to 9"):
        ATTACKS.get(name)(budget=9).fit(references)
    with pytest.raises(MiaError, match="at least one query"):
        ATTACKS.get(name)(budget=0).fit(references)
    with pytest.raises(MiaError, match="answers to 3 queries"):
        ATTACKS.get(name)(budget=4).fit(references).score(replace(target, copies=target.copies[:2]))
