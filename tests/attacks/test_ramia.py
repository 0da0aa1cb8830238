"""The range attack: a trimmed mean by hand, and that it is not thrown off by versions that are nothing like the file."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mia_lib.attacks.lira import OfflineLiRA
from mia_lib.attacks.queries import query
from mia_lib.attacks.ramia import RaMIA
from mia_lib.signals.signals import Signals
from mia_lib.support.errors import MiaError


def world(seed, versions=4, models=9, n=400, broken=0.0):
    """Signals of which each query has noise of its own, and of which a share `broken` of the versions' answers is rubbish."""
    rng = np.random.default_rng(seed)
    member = rng.integers(2, size=(models, n))
    level = rng.normal(0, 2, n)
    phi = level + 0.8 * member + rng.standard_normal((versions, models, n))
    phi = np.where(rng.random(phi.shape) < broken, rng.normal(0, 30, phi.shape), phi)
    logits = np.stack([phi, np.zeros_like(phi)], -1)
    labels = np.zeros((models, n), int)
    everything = Signals(logits[0], labels, member, aligned=True, copies=logits[1:])
    return everything.pick([0]), everything.pick(list(range(1, models)))


def auc(scores, target):
    return roc_auc_score(target.member[0], scores[0])


def test_the_score_is_the_mean_of_the_middle_half_of_the_versions_scores():
    target, references = world(0, versions=4)
    each = [OfflineLiRA().fit(query(references, q)).score(query(target, q)) for q in range(4)]
    middle = np.sort(each, axis=0)[1:3].mean(0)
    np.testing.assert_allclose(RaMIA().fit(references).score(target), middle)
    np.testing.assert_allclose(RaMIA(trim=0.0).fit(references).score(target), np.mean(each, axis=0))


def test_several_versions_tell_more_than_one():
    target, references = world(1)
    one = auc(OfflineLiRA().fit(references).score(target), target)
    assert auc(RaMIA().fit(references).score(target), target) > one + 0.05


def test_trimming_keeps_what_a_plain_mean_loses_to_rubbish():
    target, references = world(2, versions=8, broken=0.06)
    trimmed, plain = (auc(RaMIA(trim=t).fit(references).score(target), target) for t in (0.25, 0.0))
    assert trimmed > plain + 0.03


def test_signals_of_one_version_are_refused():
    _, references = world(3)
    alone = Signals(references.logits, references.labels, references.member, aligned=True)
    with pytest.raises(MiaError, match="asks about altered copies"):
        RaMIA().fit(alone)
