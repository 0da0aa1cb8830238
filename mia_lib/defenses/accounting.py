"""Differential privacy in numbers: the (epsilon, delta) that a noise promises.

Rényi differential privacy of the Gaussian mechanism on Poisson samples (Mironov, Talwar and Zhang 2019), for neighbours that
differ by one example added or removed. Opacus's `RDPAccountant` computes the same, and its orders are among ours: our
epsilon is its epsilon, or lower where one of our further orders is better. It is an upper bound: the exact
epsilon, by numerical composition of the privacy loss, was 11 to 14 % lower at the settings tried, from epsilon 7 to 58.
"""

from functools import lru_cache

import numpy as np
from scipy.special import gammaln, gammasgn, log_ndtr
from scipy.stats import binom

from mia_lib.support.errors import MiaError, UsageError

WHOLE = np.array([*range(2, 65), *range(72, 257, 8), 320, 384, 512, 768, 1024])
FRACTIONS = np.array([k / 10 for k in range(11, 110) if k % 10])
ORDERS = np.concatenate([FRACTIONS, WHOLE])
TERMS, AVERAGED = 64, 32  # of each series; how many of the last partial sums are averaged
LARGEST_NOISE = 1e5


def _log_binomial(order: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Logarithm of the absolute value of the binomial coefficient (order over k)."""
    return gammaln(order + 1) - gammaln(k + 1) - gammaln(order - k + 1)


def _log_sum(terms: np.ndarray, weight: np.ndarray | float = 1.0) -> np.ndarray:
    """Logarithm of the weighted sum over the last axis of exp(terms)."""
    largest = terms.max(-1, keepdims=True)
    return np.log((weight * np.exp(terms - largest)).sum(-1)) + largest[..., 0]


@lru_cache(maxsize=1)
def _whole_coefficients() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For every order in WHOLE and k up to the largest: log binomial, order - k (0 where k is larger), k; [orders, k]."""
    a, k = WHOLE[:, None].astype(np.float64), np.arange(WHOLE.max() + 1)
    inside = k <= a
    rest = np.where(inside, a - k, 0)
    return np.where(inside, _log_binomial(a, np.minimum(k, a)), -np.inf), rest, k


def _whole_orders(rate: float, noise: float) -> np.ndarray:
    """log A of the orders in WHOLE: a finite sum (Mironov, Talwar and Zhang 2019, section 3.3)."""
    binomial, rest, k = _whole_coefficients()
    return _log_sum(binomial + rest * np.log1p(-rate) + (k * np.log(rate) + k * (k - 1) / (2 * noise**2)))


@lru_cache(maxsize=1)
def _fractional_coefficients() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """For every order in FRACTIONS and i below TERMS: log |binomial|, its signed weight, order - i, i; [orders, i]."""
    a, i = FRACTIONS[:, None], np.arange(TERMS)
    weight = np.ones(TERMS)
    weight[-AVERAGED:] = binom.sf(np.arange(AVERAGED), AVERAGED, 0.5)
    return _log_binomial(a, i), gammasgn(a - i + 1) * weight, a - i, i


def _fractional_orders(rate: float, noise: float) -> np.ndarray:
    """log A of the orders in FRACTIONS: two infinite series, below and above the point where both densities are equal.

    Source: Mironov, Talwar and Zhang 2019, section 3.3. From the order on the terms alternate in sign and fall only as a
    power, so the last partial sums are averaged with binomial weights (Euler's transformation).
    """
    binomial, weight, j, i = _fractional_coefficients()
    middle, wide, drawn, left = noise**2 * np.log(1 / rate - 1) + 0.5, 2 * noise**2, np.log(rate), np.log1p(-rate)
    below = i * drawn + j * left + i * (i - 1) / wide + log_ndtr((middle - i) / noise)
    above = j * drawn + i * left + j * (j - 1) / wide + log_ndtr((j - middle) / noise)
    return _log_sum(np.concatenate([binomial + below, binomial + above], axis=1), np.tile(weight, 2))


@lru_cache(maxsize=8192)
def _one_step(rate: float, noise: float) -> np.ndarray:
    """Rényi divergence of every order in ORDERS that one step costs, float64 [orders]."""
    if rate == 1:
        return ORDERS / (2 * noise**2)
    return np.concatenate([_fractional_orders(rate, noise), _whole_orders(rate, noise)]) / (ORDERS - 1)


def renyi_divergence(rate: float, noise: float, steps: int) -> np.ndarray:
    """Rényi divergence, float64 [orders], of `steps` noisy sums of which each holds every example with chance `rate`.

    noise: standard deviation of the Gaussian noise per unit of clipping norm. The orders are ORDERS.
    Source: Mironov, Talwar and Zhang 2019, section 3.3; with rate 1, order / (2 noise²) per step (Mironov 2017).
    Raises UsageError unless 0 < rate <= 1, noise > 0 and steps >= 0.
    """
    if not (0 < rate <= 1 and noise > 0 and steps >= 0):
        raise UsageError(f"a rate in (0, 1], noise > 0 and steps >= 0 are needed, not {rate}, {noise} and {steps}")
    return steps * _one_step(float(rate), float(noise))


def epsilon(rate: float, noise: float, steps: int, delta: float) -> float:
    """The epsilon at `delta` that the divergences promise; infinite without noise.

    Conversion: Canonne, Kamath and Steinke 2020, proposition 12 (Balle et al. 2020, theorem 21), at the best order.
    Raises UsageError unless 0 < delta < 1.
    """
    if not 0 < delta < 1:
        raise UsageError(f"delta must lie between 0 and 1, not {delta}")
    if noise == 0:
        return float("inf")
    renyi = renyi_divergence(rate, noise, steps)
    converted = renyi + np.log1p(-1 / ORDERS) - (np.log(delta) + np.log(ORDERS)) / (ORDERS - 1)
    return max(0.0, float(converted.min()))


@lru_cache(maxsize=4096)
def noise_multiplier(target: float, rate: float, steps: int, delta: float) -> float:
    """The smallest noise, to within 0.1 %, with which `epsilon` is at most `target`; 0 for an infinite target.

    Raises UsageError for a target that is not above 0 and MiaError when no noise reaches it.
    """
    if not target > 0:
        raise UsageError(f"epsilon must be above 0, not {target}")
    if np.isinf(target):
        return 0.0
    low, high = 1e-2, 1.0
    while epsilon(rate, high, steps, delta) > target:
        low, high = high, 2 * high
        if high > LARGEST_NOISE:
            raise MiaError(f"no noise reaches epsilon {target} at delta {delta}: ask for a larger epsilon")
    while high / low > 1.001:
        middle = np.sqrt(low * high)
        low, high = (low, middle) if epsilon(rate, middle, steps, delta) <= target else (middle, high)
    return float(high)


def distance(rate: float, noise: float, steps: int) -> float:
    """How many standard deviations the two worlds, with and without an example, lie apart at most: the mu of Gaussian
    differential privacy, sqrt(steps) / noise where every step takes all examples (Dong, Roth and Su 2022, corollary 2); for
    samples its limit for many steps, rate sqrt(steps (e^(1 / noise^2) - 1)) (Bu et al. 2020, corollary 3)."""
    if noise == 0:
        return float("inf")
    if rate == 1:
        return float(np.sqrt(steps) / noise)
    return float(rate * np.sqrt(steps * np.expm1(noise**-2)))


def tuned_epsilon(rate: float, noise: float, steps: int, delta: float, tries: float) -> float:
    """The epsilon at `delta` of the best of several private trainings on the same data, as many as a geometric draw with the
    mean `tries` says: what a search for settings costs where it looks at the private data.

    Source: Papernot and Steinke (ICLR 2022), theorem 2 with eta = 1: at any two orders a and b, epsilon'(a) <= epsilon(a) +
    2 (1 - 1/b) epsilon(b) + 2 log(tries) / b + log(tries) / (a - 1), also where b goes to 1: of a single try nothing is left
    but the epsilon itself. Raises UsageError for fewer than one try.
    """
    if tries < 1:
        raise UsageError(f"at least one try is needed, not {tries}")
    renyi, log = renyi_divergence(rate, noise, steps), np.log(tries)
    more = min((2 * (1 - 1 / ORDERS) * renyi + 2 * log / ORDERS).min(), 2 * log)
    whole = renyi + more + log / (ORDERS - 1)
    return float((whole + np.log1p(-1 / ORDERS) - (np.log(delta) + np.log(ORDERS)) / (ORDERS - 1)).min())
