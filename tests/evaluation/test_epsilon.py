"""The epsilon that an attack proves: counts worked out by hand, and a mechanism whose epsilon is known."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from evaluation.randomised_response import SETTINGS, randomised_response

from mia_lib.defenses.accounting import noise_multiplier
from mia_lib.evaluation.audit import Audit
from mia_lib.evaluation.epsilon import cluster_scores, epsilon_lower_bound, measured_epsilon
from mia_lib.evaluation.one_run import right_guesses, steinke_epsilon, tight_epsilon
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


def audit_of(scores, member, clusters=None):
    clusters = np.arange(len(member)) if clusters is None else np.array(clusters)
    return Audit(np.array(scores, float), np.array(member, bool), clusters.astype(str), 0.5, np.arange(len(member)))


def test_a_recording_has_one_score_the_mean_of_its_fragments():
    scores, member = [0.9, 0.0, 0.6, 0.2, 0.8, np.inf, np.inf, -np.inf], [1, 1, 1, 0, 0, 0, 0, 0]
    mean, inside = cluster_scores(audit_of(scores, member, list("aabccddd")))
    assert inside.tolist() == [True, True, False, False]
    np.testing.assert_allclose(mean, [0.45, 0.6, 0.5, -np.inf])
    mean, inside = cluster_scores(audit_of([1, 0, 1], [1, 0, 0], list("aab")))  # a unit with both kinds
    assert mean.tolist() == [0, 1, 1] and inside.tolist() == [False, True, False]


def test_a_bound_counts_recordings_not_their_fragments():
    scores, member = [1.0] * 30 + [0.0] * 10 + [1.0] * 2 + [0.0] * 38, [True] * 40 + [False] * 40
    once = audit_of(scores, member)
    often = audit_of(np.repeat(scores, 5), np.repeat(member, 5), np.repeat(np.arange(80), 5))
    assert measured_epsilon([once], 1e-3) == measured_epsilon([often], 1e-3) == epsilon_lower_bound(30, 40, 2, 40, 1e-3)
    swapped = audit_of(scores, ~np.array(member))
    assert measured_epsilon([swapped], 1e-3) == 0.0


def test_the_largest_of_several_models_and_attacks_pays_for_the_choice():
    strong, weak = audit_of([1.0] * 50 + [0.0] * 50, [True] * 50 + [False] * 50), audit_of([1.0, 0.0], [True, False])
    expected = epsilon_lower_bound(50, 50, 0, 50, 1e-3, 1 - 0.05 / 2)
    assert measured_epsilon([strong, weak], 1e-3) == measured_epsilon([strong], 1e-3, tests=2) == expected
    assert measured_epsilon([strong, weak], 1e-3, tests=3) == epsilon_lower_bound(50, 50, 0, 50, 1e-3, 1 - 0.05 / 6)
    for audits, tests, confidence in (([], 1, 0.95), ([strong], 0, 0.95), ([strong], 1, 1.0)):
        with pytest.raises(UsageError):
            measured_epsilon(audits, 1e-3, tests, confidence)


@pytest.mark.parametrize("name", [name for name in SETTINGS if "none" not in name and "one fragment" not in name])
def test_the_bound_holds_where_fragments_share_a_recording_and_models_a_part(name):
    rng, draws, late = np.random.default_rng(1), 100, 0
    for _ in range(draws):
        late += measured_epsilon(randomised_response(rng, 1.0, 150, SETTINGS[name]), 0.0) > 1.0
    assert late <= 9  # 5 % of 100, and two standard errors


def test_the_largest_bound_of_three_attacks_holds_if_it_is_corrected():
    rng, draws, late = np.random.default_rng(5), 150, np.zeros(2)
    for _ in range(draws):
        attacks = [randomised_response(rng, 1.0, 150, SETTINGS["three fragments"]) for _ in range(3)]
        for i, tests in enumerate((1, 3)):
            late[i] += max(measured_epsilon(audits, 0.0, tests) for audits in attacks) > 1.0
    assert late[1] <= 13 and late[0] >= late[1]


@pytest.mark.parametrize(
    "counts, delta, confidence",
    [((3, 2, 0, 1), 0.0, 0.95), ((0, 0, 0, 1), 0.0, 0.95), ((1, 2, 0, 1), 1.0, 0.95), ((1, 2, 0, 1), 0.0, 1.0)],
)
def test_counts_and_chances_that_cannot_be_are_refused(counts, delta, confidence):
    with pytest.raises(UsageError):
        epsilon_lower_bound(*counts, delta, confidence)


def test_no_bound_exceeds_what_a_gaussian_mechanism_promises_in_any_of_100_runs():
    """Each of 500 units is released with normal noise, which is (epsilon, delta)-private for a unit of norm 1."""
    delta = 1e-3
    one_run = cache(lambda right: [bound(right, 200, 500, delta) for bound in (steinke_epsilon, tight_epsilon)])
    for promised in (1.0, 8.0):
        noise, bounds = noise_multiplier(promised, 1.0, 1, delta), []
        for seed in range(100):
            rng = np.random.default_rng(seed)
            audits = []
            for _ in range(3):
                member = rng.random(500) < 0.5
                scores = member + noise * rng.standard_normal(500)
                audits.append(replace(audit_of(scores, member), threshold=float(rng.uniform(0, 1))))
            right = right_guesses(scores, member, 100, 100)
            bounds.append([measured_epsilon(audits, delta), *one_run(right)])
        assert np.max(bounds) <= promised and np.mean(bounds) > 0.05 * promised
