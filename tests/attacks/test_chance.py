"""Standing null test: where no answer depends on membership, no registered attack is better or worse than chance.

Memberships are independent fair coins. Where each fragment is in exactly half of the models, the references' memberships
tell the target's, and calibrated attacks are off .5 for that reason alone.
"""

from functools import cache

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mia_lib.attacks import ATTACKS
from mia_lib.signals.internals import INTERNALS
from mia_lib.signals.signals import Signals

MODELS, CLASSES, COPIES, SEEDS = 9, 4, 4, 30
AUDITED, RESERVED, PERSONS = 160, 30, 40


@cache
def random_signals(seed, of_persons):
    """Random answers of MODELS aligned models, who trained on each fragment (or each person) as a fair coin says.

    The last RESERVED fragments are the population, of nobody known; a fragment is audited where models other than the first
    trained on it and others did not, which says nothing of the first one.
    """
    rng = np.random.default_rng([seed, of_persons])
    person = np.arange(AUDITED) % PERSONS if of_persons else np.arange(AUDITED)
    member = rng.integers(2, size=(MODELS, AUDITED))[:, person]
    known = (member[1:] == 1).any(0) & (member[1:] == 0).any(0)
    member = np.pad(np.where(known, member, -1), ((0, 0), (0, RESERVED)), constant_values=-1)
    n = AUDITED + RESERVED
    logits = 2 * rng.standard_normal((1 + COPIES, MODELS, n, CLASSES))
    labels = np.tile(rng.integers(CLASSES, size=n), (MODELS, 1))
    return Signals(
        logits[0], labels, member, True, np.arange(n) >= AUDITED, np.pad(person, (0, RESERVED), constant_values=-1),
        rng.standard_normal((n, 3)), logits[1:], rng.standard_normal((MODELS, n, len(INTERNALS))),
    )  # fmt: skip


def null_auc(name, seed):
    """AUC on the first model, attacked through the others as a study does: its answers are there, its membership is not."""
    of_persons = "person" in getattr(ATTACKS.get(name), "needs", ())
    signals = random_signals(seed, of_persons)
    scores = ATTACKS.get(name)(seed=seed).fit(signals.without(0)).score(signals.pick([0]))[0]
    rows = np.flatnonzero(signals.member[0] >= 0)
    if of_persons:  # one example each
        rows = rows[np.unique(signals.person[rows], return_index=True)[1]]
    return roc_auc_score(signals.member[0, rows], scores[rows])


@pytest.mark.parametrize("name", ATTACKS.names())
def test_random_answers_and_fair_coins_leave_every_attack_at_chance(name):
    aucs = np.array([null_auc(name, seed) for seed in range(SEEDS)])
    error = aucs.std(ddof=1) / np.sqrt(SEEDS)
    assert 0 < error < 0.025 and abs(aucs.mean() - 0.5) < 4 * error
