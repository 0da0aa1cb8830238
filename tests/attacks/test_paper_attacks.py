"""The paper's two attacks: golden features, what they find, and that they fail where there is nothing to find."""

import numpy as np
import pytest

from mia_lib.attacks import ATTACKS
from mia_lib.attacks.base import fragment_attacks, needs_of
from mia_lib.attacks.queries import BUDGET
from mia_lib.attacks.top3_network import top_posteriors
from mia_lib.signals.signals import Signals
from mia_lib.support.errors import MiaError

LEARNT = [name for name in fragment_attacks() if "inputs" not in needs_of(name)]
"""Attacks that are fitted on shadows or references: all but those that read the target's own answers alone."""


def signals(seed, boost, models=2, n=400, classes=10):
    """Logits whose true class is raised by `boost` for members."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=(models, n))
    member = (np.arange(n) % 2 == 0) * np.ones((models, 1), int)
    logits = rng.standard_normal((models, n, classes))
    np.put_along_axis(logits, labels[..., None], (2 + boost * member + rng.standard_normal((models, n)))[..., None], -1)
    return Signals(logits.astype(np.float32), labels, member.astype(np.int8))


def auc(attack, boost, seed=1):
    from sklearn.metrics import roc_auc_score

    target = signals(seed, boost, models=1)
    return roc_auc_score(target.member[0], ATTACKS.get(attack)(seed=0).fit(signals(0, 3)).score(target)[0])


def test_top_posteriors_are_sorted_whatever_the_class_order():
    p, labels = np.array([[[0.1, 0.5, 0.05, 0.35]]]), np.zeros((1, 1), int)
    np.testing.assert_allclose(top_posteriors(Signals.from_posteriors(p, labels, labels)), [[[0.5, 0.35, 0.1]]])
    with pytest.raises(MiaError, match="3 largest"):
        top_posteriors(Signals.from_posteriors(np.full((1, 1, 2), 0.5), labels, labels))


@pytest.mark.parametrize("attack", ["top3_network", "largest_posterior"])
def test_members_that_the_model_is_surer_of_are_found(attack):
    assert auc(attack, boost=3) > 0.85


@pytest.mark.parametrize("attack", ["top3_network", "largest_posterior"])
def test_an_attack_is_at_chance_on_a_target_that_treats_all_alike(attack):
    assert np.mean([auc(attack, boost=0, seed=s) for s in range(1, 6)]) == pytest.approx(0.5, abs=0.04)


@pytest.mark.parametrize("attack", ["top3_network", "largest_posterior"])
def test_scores_never_read_the_targets_membership(attack):
    target, fit = signals(3, 3, models=1), ATTACKS.get(attack)(seed=0).fit(signals(0, 3))
    blind = Signals(target.logits, target.labels, np.zeros_like(target.member))
    assert (fit.score(target) == fit.score(blind)).all()


@pytest.mark.parametrize(
    "change, sentence",
    [
        (dict(logits=np.full((1, 2, 3), np.nan)), "not numbers"),
        (dict(logits=np.zeros((2, 3))), "axes models"),
        (dict(labels=np.array([[0, 9]])), "between -1 and 2"),
        (dict(member=np.array([[0, 7]])), "1 \\(member\\)"),
        (dict(member=np.array([[0]])), "shape"),
    ],
)
def test_bad_signals_are_refused_in_one_sentence(change, sentence):
    good = dict(logits=np.zeros((1, 2, 3)), labels=np.zeros((1, 2), int), member=np.zeros((1, 2), int))
    with pytest.raises(MiaError, match=sentence):
        Signals(**good | change)


@pytest.mark.parametrize("side, missing", [(1, "non-members"), (0, "members"), (-1, "members")])
@pytest.mark.parametrize("attack", LEARNT)
def test_shadows_without_a_side_are_refused_by_the_side_that_they_lack(attack, side, missing):
    s = signals(0, 1, n=20)
    shadows = Signals(
        s.logits, s.labels, np.full_like(s.member, side), aligned=True, copies=np.stack([s.logits] * BUDGET)
    )
    with pytest.raises(MiaError, match=f"hold no {missing}$"):
        ATTACKS.get(attack)().fit(shadows)
