"""Student-t LiRA: its prior is the one that made the data, and its limits are the two published attacks."""

import numpy as np
import pytest
from scipy.stats import t as student
from test_calibrated import references, two_classes

from mia_lib.attacks import ATTACKS
from mia_lib.attacks.lira import SURE, Predictive, predictive, surprise, trigamma_inverse, variance_prior
from mia_lib.support.errors import UsageError


def test_the_prior_of_variances_is_found_again():
    rng = np.random.default_rng(0)
    for freedom, scale in ((4.0, 2.0), (20.0, 0.1)):
        sigma2 = scale * freedom / rng.chisquare(freedom, 20_000)
        own = rng.integers(2, 8, 20_000)
        found = variance_prior(sigma2 * rng.chisquare(own), own.astype(float))
        assert found.freedom == pytest.approx(freedom, rel=0.1) and found.scale == pytest.approx(scale, rel=0.03)
    same = variance_prior(3.0 * rng.chisquare(5, 2000), np.full(2000, 5.0))
    assert same.freedom > 200 and same.scale == pytest.approx(3, rel=0.03)
    assert variance_prior(np.zeros(3), np.zeros(3)).freedom == SURE


def test_trigamma_is_inverted():
    from scipy.special import polygamma

    for x in (0.01, 0.5, 3.0, 400.0):
        assert trigamma_inverse(polygamma(1, x)) == pytest.approx(x, rel=1e-6)


def test_a_new_models_answer_is_distributed_as_predicted():
    """Fragments whose variances differ: the probability that the prediction gives to what comes is uniform."""
    rng = np.random.default_rng(1)
    sigma = np.sqrt(3 / rng.chisquare(6, 4000) * 6)
    phi, coins = rng.normal(0, sigma, (9, 4000)), rng.random((8, 4000)) < 0.5
    for of_inside in (True, False):
        made = predictive(phi[:8], coins, ~coins, of_inside)
        u = student.cdf(phi[8], *made)
        assert np.abs(np.quantile(u, np.arange(1, 10) / 10) - np.arange(1, 10) / 10).max() < 0.03
        assert np.mean(np.abs(u - 0.5) > 0.49) == pytest.approx(0.02, abs=0.008)


def test_by_hand():
    phi = np.array([[1.0, 5.0], [3.0, 9.0], [0.0, 4.0]])
    inside = np.array([[True, True], [True, True], [False, False]])
    prior = variance_prior(np.array([2.0, 8.0]), np.array([1.0, 1.0]))
    found = predictive(phi, inside, ~inside, True)
    np.testing.assert_allclose(found.centre, [2, 7])
    np.testing.assert_allclose(found.freedom, prior.freedom + 1)
    expected = (prior.freedom * prior.scale + np.array([2.0, 8.0])) / (prior.freedom + 1) * 1.5
    np.testing.assert_allclose(found.deviation**2, expected)


def test_a_missing_side_is_what_the_other_says_moved_by_the_usual_difference():
    phi = np.array([[5.0, 6.0, 7.0], [1.0, 2.0, 7.0]])
    inside = np.array([[True, True, True], [False, False, True]])
    found = predictive(phi, inside, ~inside, False)
    assert found.centre[2] == pytest.approx(7 - 4) and found.deviation[2] > 0


@pytest.mark.parametrize("of_inside", [True, False])
def test_a_fragment_of_which_nothing_is_known_is_as_the_others_are(of_inside):
    phi = np.array([[5.0, 6.0, 99.0], [1.0, 2.0, 99.0]])  # both set the last one aside for early stopping
    inside = np.array([[True, True, False], [False, False, False]])
    outside = np.array([[False, False, False], [True, True, False]])
    found = predictive(phi, inside, outside, of_inside)
    assert found.centre[2] == pytest.approx(5.5 if of_inside else 1.5) and np.isfinite(found.deviation).all()


def test_with_many_models_it_is_the_attack_with_a_variance_per_fragment():
    rng = np.random.default_rng(2)
    sigma, n = rng.uniform(0.5, 3, 50), 4000
    member = (rng.random((n + 1, 50)) < 0.5).astype(int)
    signals = two_classes(rng.normal(member, sigma), member)
    target, others = signals.pick([n]), signals.pick(list(range(n)))
    ours, plain = (ATTACKS.get("lira_online")(variance=v).fit(others).score(target) for v in ("student", "fragment"))
    np.testing.assert_allclose(ours, plain, atol=0.05)


def test_where_all_variances_are_the_same_it_is_nearly_the_attack_with_a_shared_one():
    rng = np.random.default_rng(3)
    member = (rng.random((65, 3000)) < 0.5).astype(int)
    signals = two_classes(rng.normal(2 * member, 1.0), member)
    target, others = signals.pick([64]), signals.pick(list(range(64)))
    ours, plain = (ATTACKS.get("lira_online")(variance=v).fit(others).score(target) for v in ("student", "shared"))
    assert np.corrcoef(ours[0], plain[0])[0, 1] > 0.999


def test_surprise_ranks_far_tails_and_is_the_plain_deviate_without_doubt():
    z = np.array([-50.0, -3.0, 0.0, 3.0, 50.0, 1e4])
    sure = Predictive(np.full(6, np.inf), np.zeros(6), np.ones(6))
    np.testing.assert_array_equal(surprise(z, sure), z)
    doubtful = surprise(z, Predictive(np.full(6, 5.0), np.zeros(6), np.ones(6)))
    assert (np.diff(doubtful) > 0).all() and doubtful[2] == 0 and doubtful[3] == pytest.approx(-doubtful[1])
    assert 0 < doubtful[3] < 3


def test_unknown_variances_are_refused():
    with pytest.raises(UsageError, match="choose one of student, shared, fragment"):
        ATTACKS.get("lira_online")(variance="guess")


@pytest.mark.parametrize("seed", range(3))
def test_it_finds_at_least_as_many_at_few_false_alarms_where_fragments_differ(seed):
    target, others = references(seed)
    found = {}
    for variance in ("student", "shared"):
        scores = ATTACKS.get("lira_online")(variance=variance).fit(others).score(target)[0]
        rows = target.member[0] >= 0
        member, scores = target.member[0, rows] == 1, scores[rows]
        found[variance] = (scores[member] > np.quantile(scores[~member], 0.99)).mean()
    assert found["student"] >= found["shared"] - 0.05
