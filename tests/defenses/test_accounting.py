"""The epsilon that noise promises: closed forms, published values, exact integrals, and another library's numbers."""

import numpy as np
import pytest
from opacus.accountants.analysis.rdp import compute_rdp, get_privacy_spent
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.stats import norm

from mia_lib.defenses.accounting import ORDERS, epsilon, noise_multiplier, renyi_divergence
from mia_lib.support.errors import MiaError, UsageError


def test_without_sampling_it_is_the_gaussian_mechanism():
    np.testing.assert_allclose(renyi_divergence(1.0, 2.0, 3), 3 * ORDERS / 8)


def test_the_divergence_of_order_two_by_hand():
    assert renyi_divergence(0.1, 2.0, 1)[0] == pytest.approx(np.log(1 + 0.1**2 * (np.exp(1 / 4) - 1)))


@pytest.mark.parametrize("rate, noise", [(0.01, 1.0), (0.3, 2.0), (0.9, 0.7)])
def test_every_order_is_the_integral_that_defines_it(rate, noise):
    divergence = renyi_divergence(rate, noise, 1)
    for order in (2, 5, 20):
        moment = quad(lambda z, a=order: np.exp(norm.logpdf(z, 0, noise)
                      + a * np.log1p(rate * np.expm1((2 * z - 1) / (2 * noise**2)))), -20, 60, limit=500)[0]  # fmt: skip
        assert divergence[order - 2] == pytest.approx(np.log(moment) / (order - 1), rel=1e-6)


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
    assert ORDERS.tolist() == [*range(2, 65), *(72 + 8 * i for i in range(24)), 320, 384, 512, 768, 1024]
    found = [noise_multiplier(target, 0.1, 300, 1e-3) for target in (0.5, 8.0, 100.0)]
    np.testing.assert_allclose(found, [9.21574988, 1.16688004, 0.524477139], rtol=1e-6)


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


def test_opacus_computes_the_same():
    orders = ORDERS[:60].tolist()
    theirs = compute_rdp(q=0.1, noise_multiplier=1.3, steps=300, orders=orders)
    np.testing.assert_allclose(renyi_divergence(0.1, 1.3, 300)[:60], theirs, rtol=1e-8)
    spent, _ = get_privacy_spent(orders=orders, rdp=theirs, delta=1e-3)
    assert epsilon(0.1, 1.3, 300, 1e-3) == pytest.approx(spent, rel=1e-6)
