"""What signals keep and leave out when they are looked at by somebody who knows less."""

import numpy as np
import pytest

from mia_lib.attacks import ATTACKS
from mia_lib.signals.internals import INTERNALS
from mia_lib.signals.signals import Signals
from mia_lib.support.errors import MiaError


def test_internals_which_were_read_at_the_true_class_go_where_labels_go():
    rng = np.random.default_rng(0)
    member = np.array([[0, 1, 0, 1], [1, 0, 1, 0]])
    signals = Signals(rng.standard_normal((2, 4, 3)), np.full((2, 4), 2), member, aligned=True,
                      internals=rng.standard_normal((2, 4, len(INTERNALS))))  # fmt: skip
    without_labels = signals.without_labels
    assert (without_labels.labels == -1).all() and without_labels.internals is None
    np.testing.assert_array_equal(without_labels.logits, signals.logits)
    np.testing.assert_array_equal(without_labels.member, signals.member)
    assert (
        without_labels.statistics.phi != signals.statistics.phi
    ).any()  # not the statistics of those who know the class
    with pytest.raises(MiaError, match="no internals"):
        ATTACKS.get("gradient_norm")().fit(without_labels)


def encoders():
    rng = np.random.default_rng(0)
    member = np.array([[0, 1, 0, 1], [1, 0, 1, -1]])
    return Signals.from_embeddings(rng.standard_normal((2, 4, 3)), member, person=np.array([0, 1, 0, 1]))


def test_embeddings_go_with_their_models_and_fragments_and_stay_when_labels_go():
    signals = encoders()
    assert signals.logits.shape == (2, 4, 0) and (signals.labels == -1).all()
    part = signals.pick([1]).columns(np.array([3, 0]))
    np.testing.assert_array_equal(part.embeddings, signals.embeddings[[1]][:, [3, 0]])
    for same in (signals.without_labels, signals.with_members(-signals.member // 2), signals.without(0)):
        np.testing.assert_array_equal(same.embeddings, signals.embeddings)


def test_numbers_of_logits_are_refused_where_there_are_only_embeddings():
    signals = encoders()
    for number in (lambda s: s.statistics, lambda s: s.confidence(2.0), lambda s: s.posteriors()):
        with pytest.raises(MiaError, match="embeddings only"):
            number(signals)


@pytest.mark.parametrize(
    "embeddings, sentence",
    [
        (np.zeros((2, 4)), "embeddings must have the axes models, fragments, dimensions"),
        (np.full((2, 4, 3), np.nan), "embeddings hold values that are not finite numbers"),
        (np.zeros((2, 5, 3)), r"member must have the shape \(2, 5\)"),
    ],
)
def test_embeddings_that_make_no_sense_are_refused(embeddings, sentence):
    with pytest.raises(MiaError, match=sentence):
        Signals.from_embeddings(embeddings, np.zeros((2, 4), int))


def test_signals_without_a_class_are_refused_where_there_are_no_embeddings():
    with pytest.raises(MiaError, match="no finite logit"):
        Signals(np.zeros((1, 2, 0)), np.full((1, 2), -1), np.array([[1, 0]]))


def test_embeddings_beside_logits_have_their_shape():
    logits, rest = np.zeros((1, 2, 3)), (np.zeros((1, 2), int), np.array([[1, 0]]))
    assert Signals(logits, *rest, embeddings=np.zeros((1, 2, 5))).statistics.loss.shape == (1, 2)
    with pytest.raises(MiaError, match=r"embeddings must have the shape \(1, 2\)"):
        Signals(logits, *rest, embeddings=np.zeros((1, 3, 5)))
