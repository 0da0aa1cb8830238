"""Differential privacy in numbers: what a noise promises (epsilon, delta), and what an attack proves that it cannot.

Upper bound: Rényi differential privacy of the Gaussian mechanism on Poisson samples (Mironov, Talwar and Zhang 2019), for
neighbours that differ by one example added or removed. Opacus's `RDPAccountant` computes the same quantities. Lower
bound: the rates of an attack (Jagielski, Ullman and Oprea, NeurIPS 2020).
"""

from functools import lru_cache

import numpy as np
from scipy.special import gammaln, logsumexp

from mia_lib.support.errors import MiaError, UsageError

ORDERS = np.array([*range(2, 65), *range(72, 257, 8), 320, 384, 512, 768, 1024])
LARGEST_NOISE = 1e5


@lru_cache(maxsize=8192)
def _one_step(rate: float, noise: float) -> np.ndarray:
    """Rényi divergence of every order in ORDERS that one step costs, float64 [orders]."""
    if rate == 1:
        return ORDERS / (2 * noise**2)
    a, k = ORDERS[:, None].astype(np.float64), np.arange(ORDERS.max() + 1)
    inside = k <= a
    rest = np.where(inside, a - k, 0)
    binomial = gammaln(a + 1) - gammaln(k + 1) - gammaln(rest + 1)
    terms = binomial + rest * np.log1p(-rate) + k * np.log(rate) + k * (k - 1) / (2 * noise**2)
    return logsumexp(np.where(inside, terms, -np.inf), axis=1) / (ORDERS - 1)


def renyi_divergence(rate: float, noise: float, steps: int) -> np.ndarray:
    """Rényi divergence, float64 [orders], of `steps` noisy sums of which each holds every example with chance `rate`.

    noise: standard deviation of the Gaussian noise per unit of clipping norm. The orders are ORDERS, all integers.
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
