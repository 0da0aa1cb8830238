"""The epsilon that noise promises: closed forms, published values, exact integrals, and another library's numbers."""

import time
import warnings
from math import exp, log, log1p

import numpy as np
import pytest
from opacus.accountants import RDPAccountant
from opacus.accountants.analysis.rdp import compute_rdp, get_privacy_spent
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.stats import norm

from mia_lib.defenses.accounting import ORDERS, distance, epsilon, noise_multiplier, renyi_divergence, tuned_epsilon
from mia_lib.support.errors import MiaError, UsageError


def place(order):
    return int(np.flatnonzero(order == ORDERS)[0])


def test_without_sampling_it_is_the_gaussian_mechanism():
    np.testing.assert_allclose(renyi_divergence(1.0, 2.0, 3), 3 * ORDERS / 8)


def test_the_divergence_of_order_two_by_hand():
    assert renyi_divergence(0.1, 2.0, 1)[place(2)] == pytest.approx(np.log(1 + 0.1**2 * (np.exp(1 / 4) - 1)))


@pytest.mark.parametrize("rate, noise", [(0.01, 1.0), (0.3, 2.0), (0.9, 0.7)])
def test_every_order_is_the_integral_that_defines_it(rate, noise):
    divergence = renyi_divergence(rate, noise, 1)
    for order in (1.1, 2, 2.5, 5, 9.7, 20):
        moment = quad(lambda z, a=order: np.exp(norm.logpdf(z, 0, noise)
                      + a * np.log1p(rate * np.expm1((2 * z - 1) / (2 * noise**2)))), -20, 60, limit=500)[0]  # fmt: skip
        assert divergence[place(order)] == pytest.approx(np.log(moment) / (order - 1), rel=1e-6)


def test_the_published_example_of_abadi_et_al():
    divergence = renyi_divergence(0.01, 4.0, 10_000)
    moments_accountant = (divergence + np.log(1e5) / (ORDERS - 1)).min()  # the conversion of that paper
    assert moments_accountant == pytest.approx(1.26, abs=0.005)
    assert 0.9 < epsilon(0.01, 4.0, 10_000, 1e-5) < moments_accountant


def exact_gaussian_epsilon(noise, delta):
    """Balle and Wang 2018, theorem 8, for one noisy sum that holds everybody."""

    def excess(e):
        a, b = 1 / (2 * noise), e * noise
        return norm.cdf(a - b) - np.exp(e + norm.logcdf(-a - b)) - delta

    return brentq(excess, 0, 200)


@pytest.mark.parametrize("noise", [0.5, 1.0, 3.0, 20.0])
def test_the_promise_is_above_the_exact_epsilon_and_near_it(noise):
    exact, ours = exact_gaussian_epsilon(noise, 1e-5), epsilon(1.0, noise, 1, 1e-5)
    assert exact < ours < 1.15 * exact


def test_a_sampled_step_is_promised_no_less_than_the_exact_delta():
    rate, noise = 0.2, 1.0
    e = epsilon(rate, noise, 1, 1e-3)

    def excess(z):
        inside = (1 - rate) * norm.pdf(z, 0, noise) + rate * norm.pdf(z, 1, noise)
        return max(inside - np.exp(e) * norm.pdf(z, 0, noise), 0)

    assert 0 < quad(excess, -10, 12, limit=500)[0] < 1e-3


@pytest.mark.parametrize("target", [0.5, 2.0, 8.0, 100.0])
def test_the_noise_is_the_smallest_that_keeps_the_promise(target):
    noise = noise_multiplier(target, 0.1, 300, 1e-3)
    assert epsilon(0.1, noise, 300, 1e-3) <= target < epsilon(0.1, noise * 0.995, 300, 1e-3)


def test_the_smallest_noise_is_found_where_hardly_any_is_needed():
    noise = noise_multiplier(4000.0, 1.0, 1, 1e-3)
    assert 0.01 < noise < 0.02 and epsilon(1.0, noise, 1, 1e-3) <= 4000 < epsilon(1.0, noise * 0.995, 1, 1e-3)


def test_the_orders_and_the_noise_that_is_found_stay_as_they_were():
    whole = [*range(2, 65), *(72 + 8 * i for i in range(24)), 320, 384, 512, 768, 1024]
    assert set(whole) <= set(ORDERS.tolist()) and ORDERS.min() == pytest.approx(1.1)
    found = [noise_multiplier(target, 0.1, 300, 1e-3) for target in (0.5, 8.0, 100.0)]
    np.testing.assert_allclose(found, [9.21574988, 1.14729961, 0.384773433], rtol=1e-6)


def test_more_noise_fewer_steps_and_rarer_draws_cost_less():
    base = epsilon(0.1, 1.0, 300, 1e-3)
    assert max(epsilon(0.1, 1.2, 300, 1e-3), epsilon(0.1, 1.0, 200, 1e-3), epsilon(0.08, 1.0, 300, 1e-3)) < base


def test_a_promise_is_never_below_zero():
    assert epsilon(0.001, 100.0, 1, 0.1) == 0.0


def test_no_promise_no_noise_and_no_noise_no_promise():
    assert noise_multiplier(float("inf"), 0.1, 10, 1e-3) == 0 and epsilon(0.1, 0.0, 10, 1e-3) == float("inf")


@pytest.mark.parametrize(
    "call",
    [
        lambda: epsilon(0.0, 1.0, 1, 0.1),
        lambda: epsilon(1.1, 1.0, 1, 0.1),
        lambda: epsilon(0.5, -1.0, 1, 0.1),
        lambda: epsilon(0.5, 1.0, 1, 0.0),
        lambda: noise_multiplier(0.0, 0.5, 1, 0.1),
        lambda: noise_multiplier(float("nan"), 0.5, 1, 0.1),
    ],
)
def test_nonsense_is_refused(call):
    with pytest.raises(UsageError):
        call()


def test_a_promise_that_no_noise_keeps_is_refused():
    with pytest.raises(MiaError, match="larger epsilon"):
        noise_multiplier(1e-6, 0.5, 1000, 1e-9)


SETTINGS = [
    *((0.05, noise, 700, 1 / 1400) for noise in (0.45, 0.6, 1.0, 2.0)),
    *((0.067, noise, 299, 1 / 956) for noise in (0.4, 0.5, 0.9, 5.0)),
    *((0.3, noise, 100, 1e-4) for noise in (0.7, 2.0, 8.0)),
    *((0.01, noise, 2000, 1e-5) for noise in (0.5, 1.0, 4.0)),
    *((0.9, noise, 3, 1e-5) for noise in (0.7, 2.0)),
    *((1.0, noise, 10, 1e-3) for noise in (0.6, 3.0, 10.0)),
]


@pytest.mark.parametrize("rate, noise, steps, delta", SETTINGS)
def test_opacus_computes_the_same_at_all_its_orders(rate, noise, steps, delta):
    orders = RDPAccountant.DEFAULT_ALPHAS
    theirs = compute_rdp(q=rate, noise_multiplier=noise, steps=steps, orders=orders)
    ours = renyi_divergence(rate, noise, steps)[[place(order) for order in orders]]
    np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    with warnings.catch_warnings():  # that the best order is the largest or the smallest
        warnings.simplefilter("ignore")
        spent, best = get_privacy_spent(orders=orders, rdp=theirs, delta=delta)
    assert best < orders[-1] and epsilon(rate, noise, steps, delta) == pytest.approx(spent, rel=1e-6)


def exact_epsilon(rate, noise, steps, delta, width=1e-3, cells=2**19):
    """The epsilon of the composition itself: losses on a grid, rounded to the nearest, convolved by Fourier transforms.

    The larger of both directions (an example added, removed); `cells` times `width` is the range of the sum of losses.
    """
    z = np.linspace(-12 * noise, 1 + 12 * noise, 400_001)
    base = np.diff(norm.cdf(z, 0, noise))
    mixed = (1 - rate) * base + rate * np.diff(norm.cdf(z, 1, noise))
    middle = (z[1:] + z[:-1]) / 2
    loss = np.log1p(rate * np.expm1((2 * middle - 1) / (2 * noise**2)))
    grid = np.arange(cells) * width
    grid = np.where(grid < cells * width / 2, grid, grid - cells * width)  # negative losses wrap round
    found = []
    for sign, mass in ((1, mixed), (-1, base)):
        once = np.bincount(np.rint(sign * loss / width).astype(int) % cells, weights=mass, minlength=cells)
        total = np.fft.irfft(np.fft.rfft(once) ** steps, cells)
        found.append(brentq(lambda e, total=total: (total * np.maximum(-np.expm1(e - grid), 0)).sum() - delta, 0, 150))
    return max(found)


@pytest.mark.parametrize(
    "setting, tight, excess",
    [
        ((0.05, 1.0, 700, 1 / 1400), 6.70, 1.15),
        ((0.05, 0.6, 700, 1 / 1400), 22.6, 1.15),
        ((0.05, 0.45, 700, 1 / 1400), 52, 1.15),
        ((0.3, 2.0, 100, 1e-4), None, 1.15),
    ],
)
def test_no_less_is_promised_than_the_composition_costs_and_little_more(setting, tight, excess):
    exact, ours = exact_epsilon(*setting), epsilon(*setting)
    assert exact <= ours < excess * exact
    assert tight is None or exact == pytest.approx(tight, rel=0.01)  # as dp-accounting's privacy loss distributions


def test_the_exact_epsilon_of_this_test_is_the_gaussian_mechanisms_where_all_are_drawn():
    assert exact_epsilon(1 - 1e-12, 3.0, 4, 1e-5) == pytest.approx(exact_gaussian_epsilon(1.5, 1e-5), rel=1e-3)


def test_fractional_orders_join_the_whole_ones_smoothly():
    divergence = renyi_divergence(0.067, 0.5, 1)
    order = np.argsort(ORDERS)
    inside = ORDERS[order] <= 10.9
    slopes = np.diff(divergence[order][inside]) / np.diff(ORDERS[order][inside])
    assert (slopes > 0).all() and (np.abs(np.diff(slopes)) < 0.5).all()
    assert len(set(ORDERS)) == len(ORDERS)


def test_the_noise_of_a_sweep_is_found_in_half_a_second():
    started = time.process_time()
    for target in (1.01, 2.02, 4.03, 8.04, 32.05):
        noise_multiplier(target, 0.0669, 299, 1 / 956)
    assert time.process_time() - started < 0.5


def test_the_cost_of_a_search_by_hand_and_in_its_limits():
    rate, noise, steps, delta = 1.0, 5.0, 30, 1e-3
    once = epsilon(rate, noise, steps, delta)
    few, many = (tuned_epsilon(rate, noise, steps, delta, tries) for tries in (2, 100))
    assert once < few < many < 4 * once
    assert tuned_epsilon(rate, noise, steps, delta, 1) == once  # that of which there is one costs what it costs
    renyi = 30 * ORDERS / 50  # order / (2 noise^2) a step
    more = min(2 * (1 - 1 / b) * own + 2 * log(10) / b for b, own in zip(ORDERS, renyi, strict=True))
    expected = min(
        a_cost + log1p(-1 / a) - (log(delta) + log(a)) / (a - 1)
        for a, a_cost in ((a, own + more + log(10) / (a - 1)) for a, own in zip(ORDERS, renyi, strict=True))
    )
    assert tuned_epsilon(rate, noise, steps, delta, 10) == pytest.approx(expected)
    with pytest.raises(UsageError, match="at least one try"):
        tuned_epsilon(rate, noise, steps, delta, 0.5)


def test_the_distance_of_two_worlds():
    assert distance(1.0, 2.0, 16) == 2.0 and distance(0.5, 0.0, 1) == float("inf")
    assert distance(0.1, 2.0, 100) == pytest.approx(0.1 * 10 * (exp(0.25) - 1) ** 0.5)
