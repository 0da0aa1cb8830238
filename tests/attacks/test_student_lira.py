"""Student-t LiRA: its prior is the one that made the data, and its limits are the two published attacks."""

import numpy as np
import pytest
from scipy.stats import t as student
from sklearn.metrics import roc_auc_score
from test_calibrated import two_classes

from mia_lib.attacks import ATTACKS
from mia_lib.attacks.lira import (
    SURE,
    Predictive,
    predictions,
    surprise,
    trigamma_inverse,
    variance_prior,
    weighed_means,
)
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
    """Fragments whose means and variances differ: the probability that the prediction gives to what comes is uniform."""
    rng = np.random.default_rng(1)
    sigma = np.sqrt(3 / rng.chisquare(6, 4000) * 6)
    means = rng.multivariate_normal([4.0, 1.0], [[4.0, 3.0], [3.0, 6.0]], 4000).T
    coins = rng.random((9, 4000)) < 0.5
    phi = rng.normal(np.where(coins, *means), sigma)
    for side, made in zip((coins, ~coins), predictions(phi[:8], (coins[:8], ~coins[:8])), strict=True):
        u = student.cdf(phi[8], *made)[side[8]]
        assert np.abs(np.quantile(u, np.arange(1, 10) / 10) - np.arange(1, 10) / 10).max() < 0.04
        assert np.mean(np.abs(u - 0.5) > 0.49) == pytest.approx(0.02, abs=0.01)


def test_means_of_one_side_by_hand():
    """Values 0 and 4, each with a variance of 1: about 2 they vary by 4, of which 3 are no noise; so 3 / 4 of it is left."""
    means, weight = np.array([[0.0], [4.0], [9.0]]), np.array([[1.0], [1.0], [0.0]])
    moved, left = weighed_means(means, weight, weight[:, 0] > 0)
    np.testing.assert_allclose(moved[:, 0], [0.5, 3.5, 2.0])
    np.testing.assert_allclose(left[:, 0], [0.75, 0.75, 3.0])


def test_means_of_two_sides_are_those_of_a_normal_distribution_given_what_was_seen():
    rng = np.random.default_rng(4)
    true = rng.multivariate_normal([4.0, 1.0], [[4.0, 3.0], [3.0, 6.0]], 200)
    noise = rng.uniform(0.2, 1.0, (200, 2))
    seen = rng.normal(true, np.sqrt(noise))
    moved, left = weighed_means(seen, 1 / noise, np.ones(200, bool))
    usual = seen.mean(0)
    covariance = (seen - usual).T @ (seen - usual) / 200 - np.diag(noise.mean(0))
    gain = covariance @ np.linalg.inv(covariance + np.diag(noise[7]))
    np.testing.assert_allclose(moved[7], usual + gain @ (seen[7] - usual))
    np.testing.assert_allclose(left[7], np.diag(covariance - gain @ covariance))
    assert ((moved - true) ** 2).mean() < 0.9 * ((seen - true) ** 2).mean()


def test_the_scale_by_hand():
    phi = np.array([[1.0, 5.0], [3.0, 9.0]])
    both = np.ones((2, 2), bool)
    prior = variance_prior(np.array([2.0, 8.0]), np.array([1.0, 1.0]))
    (found,) = predictions(phi, (both,))
    variance = (prior.freedom * prior.scale + np.array([2.0, 8.0])) / (prior.freedom + 1)
    centre, left = weighed_means(np.array([[2.0], [7.0]]), 2 / variance[:, None], np.ones(2, bool))
    np.testing.assert_allclose(found.freedom, prior.freedom + 1)
    np.testing.assert_allclose(found.centre, centre[:, 0])
    np.testing.assert_allclose(found.deviation**2, variance + left[:, 0])


def of_known_means(seed, inside):
    """phi [6, n] of models whose fragments say 4 more inside, almost without noise, and the last of which is as hard as 9."""
    rng = np.random.default_rng(seed)
    hard = np.append(rng.normal(0, 3, inside.shape[1] - 1), 9.0)
    return np.where(inside, hard + 4, hard) + rng.normal(0, 0.01, inside.shape)


def test_a_missing_side_is_what_the_other_says_moved_by_the_usual_difference():
    inside = np.arange(6)[:, None] % 2 + np.zeros((1, 300)) == 1
    inside[:, -1] = True
    made = predictions(of_known_means(0, inside), (inside, ~inside))
    assert [one.centre[-1] for one in made] == pytest.approx([13, 9], abs=0.05)
    assert made[1].deviation[-1] < 0.1


def test_a_fragment_of_which_nothing_is_known_is_as_the_others_are():
    inside = np.arange(6)[:, None] % 2 + np.zeros((1, 300)) == 1
    outside = ~inside
    inside[:, -1] = outside[:, -1] = False  # set aside for early stopping by all
    phi = of_known_means(0, inside)
    for made, side in zip(predictions(phi, (inside, outside)), (inside, outside), strict=True):
        others = (phi * side).sum(0)[:-1] / side.sum(0)[:-1]
        assert made.centre[-1] == pytest.approx(others.mean())
        assert made.deviation[-1] == pytest.approx(others.std(), rel=0.01)


def test_with_many_models_it_is_the_attack_with_a_variance_per_fragment():
    rng = np.random.default_rng(2)
    sigma, n = rng.uniform(0.5, 3, 50), 4000
    member = (rng.random((n + 1, 50)) < 0.5).astype(int)
    signals = two_classes(rng.normal(np.where(member, *rng.normal(0, 2, (2, 50))), sigma), member)
    target, others = signals.pick([n]), signals.pick(list(range(n)))
    ours, plain = (ATTACKS.get("lira_online")(variance=v).fit(others).score(target) for v in ("student", "fragment"))
    np.testing.assert_allclose(ours, plain, rtol=0.03, atol=0.05)


def test_where_all_variances_are_the_same_it_is_nearly_the_attack_with_a_shared_one():
    rng = np.random.default_rng(3)
    member = (rng.random((65, 3000)) < 0.5).astype(int)
    means = rng.normal(0, 2, (2, 3000))  # one side tells nothing of the other
    signals = two_classes(rng.normal(np.where(member, *means), 1.0), member)
    target, others = signals.pick([64]), signals.pick(list(range(64)))
    ours, plain = (ATTACKS.get("lira_online")(variance=v).fit(others).score(target) for v in ("student", "shared"))
    assert np.corrcoef(ours[0], plain[0])[0, 1] > 0.998


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
def test_with_four_models_it_finds_what_a_shared_variance_needs_more_for(seed):
    """Fragments differ in how hard they are; a model that trained on one says 1.5 more, with a noise that differs as well."""
    rng = np.random.default_rng(seed)
    member = (rng.random((5, 4000)) < 0.5).astype(int)
    hard, sigma = rng.normal(0, 2, 4000), np.sqrt(6 / rng.chisquare(6, 4000))
    signals = two_classes(rng.normal(hard + 1.5 * member, sigma), member)
    target, others, inside = signals.pick([0]), signals.pick([1, 2, 3, 4]), member[0] == 1
    mixed = others.member.any(0) & ~others.member.all(0)  # of the others the published attack says nothing
    found = {}
    for variance in ("student", "shared"):
        scores = ATTACKS.get("lira_online")(variance=variance).fit(others).score(target)[0]
        found[variance] = roc_auc_score(inside[mixed], scores[mixed])
    assert found["student"] > found["shared"] + 0.02
