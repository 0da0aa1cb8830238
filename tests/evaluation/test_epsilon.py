"""The epsilon that an attack proves: counts worked out by hand, and a mechanism whose epsilon is known."""

import numpy as np
import pytest

from mia_lib.evaluation.audit import Audit
from mia_lib.evaluation.epsilon import epsilon_lower_bound, measured_epsilon
from mia_lib.support.errors import UsageError


def test_the_lower_bound_by_hand():
    # nobody of 100 non-members accepted, all of 100 members: both rates are 0.025 ** (1 / 100) from their ends
    tpr = 0.025 ** (1 / 100)
    expected = np.log((tpr - 0.01) / (1 - tpr))
    assert epsilon_lower_bound(100, 100, 0, 100, 0.01) == pytest.approx(expected)
    wider = epsilon_lower_bound(100, 100, 0, 100, 0.01, confidence=0.999)
    assert wider == pytest.approx(np.log((0.0005 ** (1 / 100) - 0.01) / (1 - 0.0005 ** (1 / 100)))) and wider < expected


def test_the_mirrored_bound_finds_what_the_other_misses():
    # every member accepted, and half of the others: only rejections prove something
    fnr, tnr = 1 - 0.025 ** (1 / 1000), 1 - 0.53145  # 0.975 quantile of Beta(501, 500) is 0.53145
    assert epsilon_lower_bound(1000, 1000, 500, 1000, 0.0) == pytest.approx(np.log(tnr / fnr), abs=1e-3)


def test_an_attack_at_chance_proves_nothing():
    rng = np.random.default_rng(0)
    for _ in range(50):
        assert epsilon_lower_bound(int(rng.binomial(200, 0.3)), 200, int(rng.binomial(200, 0.3)), 200, 0.001) < 0.25
    assert epsilon_lower_bound(30, 100, 30, 100, 0) == 0 and epsilon_lower_bound(0, 100, 100, 100, 0) == 0


def test_the_lower_bound_holds_for_a_mechanism_whose_epsilon_is_known():
    # randomised response: an honest answer with chance e / (1 + e) at epsilon 1, the best attack says what it hears
    rng, honest, bounds = np.random.default_rng(1), np.e / (1 + np.e), []
    for _ in range(200):
        hits, alarms = rng.binomial(2000, honest), rng.binomial(2000, 1 - honest)
        bounds.append(epsilon_lower_bound(int(hits), 2000, int(alarms), 2000, 0.0))
    assert np.mean(np.array(bounds) > 1) < 0.05 and np.mean(bounds) > 0.8


def test_decisions_on_several_models_are_counted_together():
    def audit(scores, member):
        return Audit(
            np.array(scores), np.array(member), np.arange(len(member)).astype(str), 0.5, np.arange(len(member))
        )

    hits, misses, alarms, rest = [1.0] * 30, [0.0] * 10, [1.0] * 2, [0.0] * 38
    whole = audit([*hits, *misses, *alarms, *rest], [True] * 40 + [False] * 40)
    one = audit([*hits, *alarms], [True] * 30 + [False] * 2)
    other = audit([*misses, *rest], [True] * 10 + [False] * 38)
    assert measured_epsilon([one, other], 1e-3) == measured_epsilon([whole], 1e-3)
    assert measured_epsilon([whole], 1e-3) == epsilon_lower_bound(30, 40, 2, 40, 1e-3) > 1
    swapped = audit([*alarms, *rest, *hits, *misses], [True] * 40 + [False] * 40)
    assert measured_epsilon([swapped], 1e-3) == 0.0


@pytest.mark.parametrize(
    "counts, delta, confidence",
    [((3, 2, 0, 1), 0.0, 0.95), ((0, 0, 0, 1), 0.0, 0.95), ((1, 2, 0, 1), 1.0, 0.95), ((1, 2, 0, 1), 0.0, 1.0)],
)
def test_counts_and_chances_that_cannot_be_are_refused(counts, delta, confidence):
    with pytest.raises(UsageError):
        epsilon_lower_bound(*counts, delta, confidence)
