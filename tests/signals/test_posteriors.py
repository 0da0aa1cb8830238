"""Posteriors of somebody else's model, as an interface gives them out: rounded, in half precision, or one-hot."""

import warnings

import numpy as np
import pytest

from mia_lib.attacks import ATTACKS
from mia_lib.attacks.base import needs_of
from mia_lib.signals.internals import INTERNALS
from mia_lib.signals.signals import Signals
from mia_lib.signals.statistics import FLOOR
from mia_lib.support.errors import MiaError

MODELS, FRAGMENTS, CLASSES, RESERVED = 9, 160, 6, 30
GIVEN = {
    "one-hot": lambda p: (p == p.max(-1, keepdims=True)).astype(float),
    "two decimals": lambda p: np.round(p, 2),
    "three decimals": lambda p: np.round(p, 3).astype(np.float32),
    "half precision": lambda p: p.astype(np.float16),
    "always one class": lambda p: np.broadcast_to(np.arange(CLASSES) == 0, p.shape).astype(float),
    "a zero each": lambda p: np.where(p == p.min(-1, keepdims=True), 0.0, p) / (1 - p.min(-1, keepdims=True)),
}


def signals(form, seed=0):
    """Answers of aligned models in one of the forms above, some of them as sure as a float can be."""
    rng = np.random.default_rng(seed)
    sharp = np.where(rng.random((1, 1, FRAGMENTS, 1)) < 0.3, 40.0, 3.0)
    z = sharp * rng.standard_normal((5, MODELS, FRAGMENTS, CLASSES))
    p = np.exp(z - z.max(-1, keepdims=True))
    p = GIVEN[form](p / p.sum(-1, keepdims=True))
    person = np.arange(FRAGMENTS) % 40
    member = rng.integers(2, size=(MODELS, 40))[:, person[: FRAGMENTS - RESERVED]]
    reserved = np.arange(FRAGMENTS) >= FRAGMENTS - RESERVED
    return Signals.from_posteriors(
        p[0], np.tile(rng.integers(CLASSES, size=FRAGMENTS), (MODELS, 1)),
        np.pad(member, ((0, 0), (0, RESERVED)), constant_values=-1), aligned=True, population=reserved,
        person=np.where(reserved, -1, person), inputs=rng.standard_normal((FRAGMENTS, 3)), copies=p[1:],
        internals=rng.standard_normal((MODELS, FRAGMENTS, len(INTERNALS))), sensitivity=rng.random(p.shape[1:]),
    )  # fmt: skip


@pytest.mark.parametrize("form", GIVEN)
@pytest.mark.parametrize("name", [name for name in ATTACKS.names() if "embeddings" not in needs_of(name)])
def test_every_attack_has_a_finite_score_for_exact_zeros_and_ones(name, form):
    known = signals(form)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        scores = ATTACKS.get(name)(seed=0).fit(known.without(0)).score(known.pick([0]))[0]
    audited = known.member[0] >= 0
    assert np.isfinite(scores[audited]).all()


def test_an_exact_zero_counts_as_the_floor_that_defenses_give_out():
    label = np.zeros((1, 1), int)
    given = Signals.from_posteriors(np.array([[[0.0, 1.0]]]), label, label)
    assert given.logits.tolist() == [[[FLOOR, 0.0]]]
    assert given.statistics.loss[0, 0] == pytest.approx(-FLOOR) and given.statistics.phi[0, 0] == pytest.approx(FLOOR)


def test_copies_are_posteriors_too():
    known = signals("one-hot")
    assert known.copies.max() == 0 and known.copies.min() == FLOOR


@pytest.mark.parametrize("classes", [2, 40, 250])
def test_rounding_to_two_decimals_may_move_a_sum_and_a_wrong_sum_is_refused(classes):
    p = np.random.default_rng(0).dirichlet(np.full(classes, 0.3), size=(1, 50))
    label = np.zeros((1, 50), int)
    assert np.isfinite(Signals.from_posteriors(np.round(p, 2), label, label).logits).all()
    for wrong in (0.9 * p, p - 0.1, np.where(np.arange(classes) == 0, np.nan, p)):
        with pytest.raises(MiaError, match="posteriors"):
            Signals.from_posteriors(wrong, label, label)
