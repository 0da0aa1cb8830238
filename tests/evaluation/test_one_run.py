"""One-run bounds of epsilon: another library's numbers, sums written out, draws of the mechanisms they are about."""

from math import comb

import numpy as np
import pytest
from evaluation.randomised_response import SETTINGS, randomised_response
from scipy.stats import norm

from mia_lib.evaluation.audit import Audit
from mia_lib.evaluation.one_run import (
    DELTA,
    approximate_errors,
    gaussian_epsilon,
    gaussian_errors,
    one_run_epsilon,
    right_guesses,
    steinke_epsilon,
    steinke_p_value,
    tight_epsilon,
    tight_gaussian_epsilon,
    tight_p_value,
)
from mia_lib.support.errors import UsageError


def hull(points):
    """The corners of the upper convex hull of points that go from (0, 0) up to the right."""
    corners = []
    for x, y in points:
        while len(corners) > 1:
            (x1, y1), (x2, y2) = corners[-2:]
            if (y2 - y1) * (x - x2) > (y - y2) * (x2 - x1):
                break
            corners.pop()
        corners.append((x, y))
    return corners


@pytest.mark.parametrize("shift, expected", [(0, 0.0), (1, 1.13346), (2, 2.311945), (4, 4.395568)])
def test_steinke_equals_the_published_numbers(shift, expected):
    """As jax_privacy: "member" is guessed above a threshold, nothing below; thresholds are the corners of the ROC's convex
    hull, each at the level 0.05 / their number. (They depend on the answers, so this only checks the formula.)
    """
    n = 10_000
    scores = norm.ppf((np.arange(n) + 0.5) / n)
    both, member = np.concatenate([scores + shift, scores]), np.arange(2 * n) < n
    order = np.argsort(-both, kind="stable")
    hits, last = np.cumsum(member[order]), np.append(np.diff(both[order]) != 0, True)
    guesses = np.arange(1, 2 * n + 1)
    corners = hull([(0, 0), *zip((guesses - hits)[last].tolist(), hits[last].tolist(), strict=True)])
    level, best = 0.05 / len(corners), 0.0
    for wrong, right in corners:
        made = wrong + right
        if made and steinke_p_value(right, made, 2 * n, best, 1e-6) < level:
            best = steinke_epsilon(right, made, 2 * n, 1e-6, 1 - level)
    assert best == pytest.approx(expected, rel=1e-5)


def test_many_right_guesses_prove_something_at_the_delta_in_use_and_nothing_at_one_over_the_examples():
    right, guesses, coins = 180, 190, 630
    assert steinke_epsilon(right, guesses, coins, DELTA, 0.995) > 1.5
    assert steinke_epsilon(63, 63, coins, 1 / 680, 0.995) == 0 < steinke_epsilon(63, 63, coins, DELTA, 0.995)


def test_steinkes_chance_is_the_sum_written_out():
    for right, guesses, coins, epsilon, delta in ((8, 10, 40, 0.7, 1e-3), (30, 30, 30, 2.0, 1e-4), (0, 5, 9, 1.0, 0.1)):
        q = np.exp(epsilon) / (1 + np.exp(epsilon))
        chance = [comb(guesses, k) * q**k * (1 - q) ** (guesses - k) for k in range(guesses + 1)]
        leaked = max((sum(chance[right - i : right]) / i for i in range(1, right + 1)), default=0.0)
        expected = min(1, sum(chance[right:]) + 2 * coins * delta * leaked)
        assert steinke_p_value(right, guesses, coins, epsilon, delta) == pytest.approx(expected, rel=1e-9)


def test_bounds_by_hand():
    # all of r guesses right, delta 0: chance q ** r is 0.05 at q = 0.05 ** (1 / r)
    q = 0.05 ** (1 / 20)
    assert steinke_epsilon(20, 20, 50, 0.0) == pytest.approx(np.log(q / (1 - q)))
    assert tight_epsilon(20, 20, 50, 0.0) == pytest.approx(np.log(q / (1 - q)))
    assert steinke_epsilon(20, 20, 50, 1e-3) < tight_epsilon(20, 20, 50, 1e-3) < tight_epsilon(20, 20, 50, 0.0)
    assert steinke_epsilon(10, 20, 50, 0.0) == steinke_epsilon(0, 0, 5, 0.1) == tight_epsilon(0, 0, 5, 0.1) == 0.0


def errors_of_the_most_confident(rng, ratio, wrong, guesses):
    """Errors among the `guesses` largest |log likelihood ratios|; [draws, coins] in, int [draws] out."""
    order = np.argsort(-np.abs(ratio) - 1e-9 * rng.random(ratio.shape), axis=1)[:, :guesses]
    return np.take_along_axis(wrong, order, 1).sum(1)


@pytest.mark.parametrize("guesses", [5, 30, 60])
def test_the_tight_chance_is_that_of_drawn_gaussian_answers(guesses):
    rng, mu, coins, draws = np.random.default_rng(0), 1.3, 60, 20_000
    member = rng.random((draws, coins)) < 0.5
    ratio = mu * (rng.standard_normal((draws, coins)) + mu * member) - mu**2 / 2
    errors = errors_of_the_most_confident(rng, ratio, (ratio > 0) != member, guesses)
    for u in np.quantile(errors, [0.05, 0.5]).astype(int):
        expected = tight_p_value(int(u), guesses, coins, gaussian_errors(mu))
        assert np.mean(errors <= u) == pytest.approx(expected, abs=4 * np.sqrt(expected / draws))


@pytest.mark.parametrize("guesses", [4, 20, 50])
def test_the_tight_chance_is_that_of_drawn_answers_with_epsilon_and_delta(guesses):
    rng, epsilon, delta, coins, draws = np.random.default_rng(1), 1.0, 0.1, 50, 20_000
    given = rng.random((draws, coins)) < delta
    wrong = ~given & (rng.random((draws, coins)) < 1 / (1 + np.e**epsilon))
    errors = errors_of_the_most_confident(rng, np.where(given, 100.0, epsilon), wrong, guesses)
    for u in {int(np.quantile(errors, q)) for q in (0.05, 0.5)}:
        expected = tight_p_value(u, guesses, coins, approximate_errors(epsilon, delta))
        assert np.mean(errors <= u) == pytest.approx(expected, abs=4 * np.sqrt(expected / draws))


def test_a_gaussian_error_rate_by_hand():
    # all guesses used: each errs with chance Phi(-mu / 2)
    assert gaussian_errors(2.0)(np.zeros(1))[0] == pytest.approx(norm.cdf(-1.0))
    assert gaussian_errors(0.0)(np.array([0.3])) == [0.5]
    surer = gaussian_errors(2.0)(np.array([0.0, 0.5, 0.99, 1 - 1e-9]))
    assert (np.diff(surer) < 0).all() and surer[-1] > 0


def test_the_epsilon_of_a_gaussian_is_the_one_of_its_trade_off():
    epsilon = gaussian_epsilon(1.5, 1e-3)
    assert norm.cdf(0.75 - epsilon / 1.5) - np.exp(epsilon) * norm.cdf(-0.75 - epsilon / 1.5) == pytest.approx(1e-3)
    assert gaussian_epsilon(0.0, 1e-3) == gaussian_epsilon(1e-4, 1e-3) == 0.0


def late(bound, right, guesses, coins, truth, delta):
    """Share of draws whose bound lies above the truth, and the mean bound."""
    bounds = {int(v): bound(int(v), guesses, coins, delta) for v in np.unique(right)}
    found = np.array([bounds[int(v)] for v in right])
    return (found > truth).mean(), found.mean()


def test_the_bounds_hold_for_randomised_response():
    rng, coins, draws = np.random.default_rng(2), 300, 2000
    for epsilon in (0.5, 2.0):
        right = rng.binomial(coins, 1 / (1 + np.exp(-epsilon)), draws)
        for bound in (steinke_epsilon, tight_epsilon):
            above, mean = late(bound, right, coins, coins, epsilon, 0.0)
            assert 0.02 < above <= 0.065 and mean > epsilon - 0.35  # 5 % and three standard errors; discrete counts


def test_the_bounds_hold_where_a_share_delta_of_the_coins_is_given_away():
    rng, coins, epsilon, delta, draws, guesses = np.random.default_rng(3), 200, 1.0, 0.02, 1500, 60
    given = rng.random((draws, coins)) < delta
    wrong = ~given & (rng.random((draws, coins)) < 1 / (1 + np.e))
    right = guesses - errors_of_the_most_confident(rng, np.where(given, 100.0, epsilon), wrong, guesses)
    above, mean = late(tight_epsilon, right, guesses, coins, epsilon, delta)
    loose, lower = late(steinke_epsilon, right, guesses, coins, epsilon, delta)
    assert above <= 0.07 and loose <= above and lower < mean


def test_the_gaussian_bound_holds_for_gaussian_answers_and_is_near():
    rng, coins, mu, delta, draws, guesses = np.random.default_rng(4), 400, 2.0, 1e-3, 1500, 100
    member = rng.random((draws, coins)) < 0.5
    ratio = mu * (rng.standard_normal((draws, coins)) + mu * member) - mu**2 / 2
    right = guesses - errors_of_the_most_confident(rng, ratio, (ratio > 0) != member, guesses)
    truth = gaussian_epsilon(mu, delta)
    above, mean = late(tight_gaussian_epsilon, right, guesses, coins, truth, delta)
    assert above <= 0.07 and mean > 0.7 * truth
    assert late(steinke_epsilon, right, guesses, coins, truth, delta)[1] < 0.6 * mean


def test_coins_given_away_together_break_the_tight_bound_and_not_steinkes():
    coins, guesses, delta, draws = 1000, 20, 2e-3, 4000  # (0, delta): each coin is published with chance delta
    rng = np.random.default_rng(5)
    published = rng.random(draws) < delta * coins / guesses
    right = np.where(published, guesses, rng.binomial(guesses, 0.5, draws))
    assert late(tight_epsilon, right, guesses, coins, 0.0, delta)[0] > 0.09
    assert late(steinke_epsilon, right, guesses, coins, 0.0, delta)[0] <= 0.055


def test_guesses_are_the_highest_and_the_lowest_scores():
    scores, member = np.array([0.1, 0.9, 0.5, 0.7, 0.3]), np.array([True, True, False, False, False])
    assert [right_guesses(scores, member, *k) for k in ((1, 0), (2, 0), (0, 1), (0, 2), (2, 3), (0, 0))] == [
        1, 1, 0, 1, 3, 0,
    ]  # fmt: skip
    with pytest.raises(UsageError):
        right_guesses(scores, member, 3, 3)


def test_recordings_are_the_coins_and_several_numbers_of_guesses_are_paid_for():
    (audit,) = randomised_response(np.random.default_rng(6), 3.0, 200, SETTINGS["three fragments"])
    right = int(((audit.scores[::3] > 0.5) == audit.member[::3]).sum())
    ones = int((audit.scores[::3] > 0.5).sum())
    all_coins = (ones, 200 - ones)
    assert one_run_epsilon(audit, [all_coins], 0.0) == steinke_epsilon(right, 200, 200, 0.0)
    twice = one_run_epsilon(audit, [all_coins, (1, 0)], 0.0, bound=tight_epsilon)
    assert twice == tight_epsilon(right, 200, 200, 0.0, 0.975) < steinke_epsilon(right, 200, 200, 0.0)
    with pytest.raises(UsageError):
        one_run_epsilon(audit, [], 0.0)


def test_coins_of_which_one_tells_another_make_the_bounds_too_large():
    # of each pair exactly one is a member: two answers of epsilon 1 that agree tell as much as one of epsilon 2
    rng, pairs, draws, guesses = np.random.default_rng(7), 200, 500, 120
    lies = rng.random((draws, pairs, 2)) < 1 / (1 + np.e)
    agreed = lies[..., 0] == lies[..., 1]
    wrong = np.sort(np.where(agreed, lies[..., 0], 2), axis=1)
    assert (agreed.sum(1) >= guesses // 2).all()
    chosen = rng.permuted(np.where(wrong < 2, wrong, -1), axis=1)
    right = [guesses - 2 * row[row >= 0][: guesses // 2].sum() for row in chosen]
    assert late(steinke_epsilon, right, guesses, 2 * pairs, 1.0, 0.0)[0] > 0.9


@pytest.mark.parametrize("counts", [(3, 2, 5, 0.0), (2, 6, 5, 0.0), (-1, 2, 5, 0.0), (1, 2, 5, 1.0)])
def test_counts_that_cannot_be_are_refused(counts):
    for bound in (steinke_epsilon, tight_epsilon, tight_gaussian_epsilon):
        with pytest.raises(UsageError):
            bound(*counts)
    with pytest.raises(UsageError):
        tight_gaussian_epsilon(1, 2, 5, 0.0)
    with pytest.raises(UsageError):
        steinke_epsilon(1, 2, 5, 0.0, 1.0)


def test_ties_and_scores_that_are_all_alike_prove_nothing():
    audit = Audit(np.zeros(40), np.arange(40) % 2 == 0, np.arange(40).astype(str), 0.5, np.arange(40))
    assert one_run_epsilon(audit, [(10, 10)], 1e-3) == 0.0


def test_equal_scores_are_guessed_in_their_order():
    member = np.arange(200) % 3 == 0
    scores = np.zeros(200)
    assert right_guesses(scores, member, 30, 0) == member[-30:].sum()
    assert right_guesses(scores, member, 0, 50) == (~member[:50]).sum()
    scores[::2] = 1.0
    assert right_guesses(scores, member, 40, 40) == member[::2][-40:].sum() + (~member[1::2][:40]).sum()
