"""Attacks on embeddings: numbers by hand, a real effect, chance without one, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mia_lib.attacks import ATTACKS
from mia_lib.attacks.base import needs_of
from mia_lib.attacks.speaker_level import bounded_log_posteriors, person_features
from mia_lib.attacks.speaker_similarity import ROWS, nearest_others, similarity_features
from mia_lib.signals.signals import Signals
from mia_lib.support.errors import MiaError

ENCODER_ATTACKS = ("mean_cosine", "speaker_similarity")
BY_HAND = np.array([[3.0, 0, 0], [0, 2.0, 0], [1.0, 0, 0], [0, 0, 5.0], [0, 3.0, 4.0]])
CODES = np.array([0, 0, 1, 2, 2])


def voices(seed, leak=0.6, models=3, persons=60, recordings=5, size=16):
    """Encoder 0 as target, the others as shadows: they draw the embeddings of members by the share `leak` to their centre."""
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(persons), recordings)
    who = np.stack([rng.permutation(persons) < persons // 2 for _ in range(models)]).astype(np.int8)[:, person]
    centre = rng.standard_normal((persons, size))[person]
    noise = rng.standard_normal((models, len(person), size)) * (1 - leak * who[..., None])
    signals = Signals.from_embeddings(centre + 0.8 * noise, who, person=person)
    return signals.pick([0]), signals.pick(list(range(1, models)))


def fitted(name, shadows):
    return ATTACKS.get(name)(seed=0).fit(shadows)


def auc(name, target, shadows):
    return roc_auc_score(target.member[0, ::5], fitted(name, shadows).score(target)[0, ::5])


def test_the_mean_cosine_over_a_persons_pairs_by_hand_without_any_shadow():
    target = Signals.from_embeddings(BY_HAND[None], np.array([[1, 1, 0, 0, 0]]), person=CODES)
    scores = ATTACKS.get("mean_cosine")().score(target)
    np.testing.assert_allclose(scores, [[0.0, 0.0, 0.4, 0.8, 0.8]], atol=1e-12)  # one embedding: as others on average
    alone = ATTACKS.get("mean_cosine")().score(target.columns(np.array([0, 2])))
    np.testing.assert_array_equal(alone, [[0.0, 0.0]])


def test_the_mean_cosine_is_that_of_all_pairs_one_by_one():
    vectors = np.random.default_rng(0).standard_normal((7, 4)).astype(np.float32)
    target = Signals.from_embeddings(vectors[None], np.ones((1, 7), int), person=np.zeros(7, int))
    cosines = np.corrcoef(np.c_[vectors, -vectors])[np.triu_indices(7, 1)]  # centred at zero: correlations are cosines
    np.testing.assert_allclose(ATTACKS.get("mean_cosine")().score(target)[0], cosines.mean(), rtol=1e-6)


def test_similarities_of_three_persons_by_hand():
    x = similarity_features(BY_HAND, CODES)
    half = 0.5**0.5
    third = np.array([0.0, 0.6, 1.8]) / (0.36 + 3.24) ** 0.5  # the centroid of the third person
    to_first, to_second = half * third[1], 0.0
    np.testing.assert_allclose(x[:, 2], [0.0, 1.0, 0.8], atol=1e-12)  # pairs
    np.testing.assert_allclose(x[:, 3], [half, half, to_first], atol=1e-12)  # nearest other centroid
    np.testing.assert_allclose(
        x[:, 5:7], [[half, half], [1, 1], [third[2], 0.6 * third[1] + 0.8 * third[2]]], atol=1e-12
    )
    np.testing.assert_allclose(
        x[:, 7], np.abs([half - to_first, half - to_second, to_first - to_second]) / 2, atol=1e-12
    )
    nearest = [[1.0, third[1]], [half], [0.0, 0.6 * half]]  # of each embedding, to another person's centroid
    np.testing.assert_allclose(x[:, 8], [np.mean(n) for n in nearest], atol=1e-12)
    np.testing.assert_allclose(x[:, 9], [np.max(n) for n in nearest], atol=1e-12)


def test_posteriors_and_embeddings_are_measured_by_the_same_code():
    rng = np.random.default_rng(1)
    logits, code = rng.standard_normal((40, 6)), np.repeat(np.arange(8), 5)
    log_p = bounded_log_posteriors(logits)
    centred = log_p - log_p.mean(1, keepdims=True)
    np.testing.assert_array_equal(similarity_features(centred, code)[:, :5], person_features(logits, code)[:, 5:10])
    np.testing.assert_array_equal(similarity_features(np.exp(log_p), code)[:, :5], person_features(logits, code)[:, :5])


def test_the_nearest_other_is_the_same_in_blocks_of_rows():
    rng = np.random.default_rng(2)
    unit, centroid = rng.standard_normal((ROWS + 5, 3)), rng.standard_normal((4, 3))
    code = rng.integers(4, size=len(unit))
    cosines = np.where(code[:, None] == np.arange(4), -np.inf, unit @ centroid.T)
    np.testing.assert_allclose(nearest_others(unit, centroid, code), cosines.max(1))


@pytest.mark.parametrize("name", ENCODER_ATTACKS)
def test_people_whom_an_encoder_draws_together_are_found_and_nobody_where_it_does_not(name):
    assert min(auc(name, *voices(seed)) for seed in range(5)) > 0.85
    still = [auc(name, voices(seed, leak=0.0)[0], voices(seed)[1]) for seed in range(8)]
    assert np.mean(still) == pytest.approx(0.5, abs=0.07)


@pytest.mark.parametrize("name", ENCODER_ATTACKS)
def test_scores_depend_on_neither_scale_nor_membership_nor_order(name):
    target, shadows = voices(3)
    attack = fitted(name, shadows)
    scores = attack.score(target)
    assert (scores.reshape(60, 5) == scores.reshape(60, 5)[:, :1]).all() and len(np.unique(scores)) == 60
    larger = replace(target, embeddings=7 * target.embeddings, member=-np.ones_like(target.member))
    np.testing.assert_allclose(attack.score(larger), scores, atol=1e-9)
    order = np.random.default_rng(0).permutation(300)
    np.testing.assert_allclose(attack.score(target.columns(order)), scores[:, order], atol=1e-9)


@pytest.mark.parametrize("name", ENCODER_ATTACKS)
@pytest.mark.parametrize("recordings", range(1, 11))
def test_every_enrolment_from_one_to_ten_recordings_has_a_score(name, recordings):
    target, shadows = voices(4, persons=20, recordings=recordings)
    assert np.isfinite(fitted(name, shadows).score(target)).all()
    silent = replace(target, embeddings=np.zeros_like(target.embeddings))
    assert np.isfinite(fitted(name, shadows).score(silent)).all()


@pytest.mark.parametrize("name", ENCODER_ATTACKS)
def test_signals_without_embeddings_or_persons_are_refused_in_one_sentence(name):
    _, shadows = voices(0)
    assert needs_of(name) == ("embeddings", "person")
    logits_only = Signals(np.zeros((1, 4, 2)), np.zeros((1, 4), int), np.array([[1, 0, 1, 0]]), person=np.arange(4))
    with pytest.raises(MiaError, match="needs signals that hold embeddings"):
        fitted(name, logits_only)
    with pytest.raises(MiaError, match="needs signals that hold embeddings"):
        fitted(name, shadows).score(logits_only)
    with pytest.raises(MiaError, match="whose voice each fragment is"):
        fitted(name, replace(shadows, person=None))


@pytest.mark.parametrize("name", [name for name in ATTACKS.names() if "embeddings" not in needs_of(name)])
def test_attacks_on_logits_refuse_embeddings_in_one_sentence(name):
    target, shadows = voices(0)
    aligned = replace(shadows, aligned=True, copies=np.zeros((4, 2, 300, 0)), inputs=np.zeros((300, 2)),
                      sensitivity=np.zeros((2, 300, 0)),
                      population=np.arange(300) < 0, internals=np.zeros((2, 300, 9)))  # fmt: skip
    with pytest.raises(MiaError):
        fitted(name, aligned).score(target)


def test_the_farthest_and_the_nearest_of_a_persons_embeddings_by_hand():
    x = similarity_features(np.array([[1.0, 0], [2.0, 0], [0, 1.0]]), np.zeros(3, int))
    np.testing.assert_allclose(x[0, 5:7], [1 / 5**0.5, 2 / 5**0.5], atol=1e-12)
    np.testing.assert_array_equal(x[0, 7:], 0.0)  # nobody else is there
