"""Lower bounds of epsilon from a single model, on whose examples independent fair coins decided: in or out.

An attack guesses some of the coins and abstains on the others. The more guesses are right, the larger the epsilons that can
be rejected. Two bounds: Steinke, Nasr and Jagielski (NeurIPS 2023), for any (epsilon, delta) mechanism; and the tight one of
Xiang, Wang, Xiao, Tian and Wang (arXiv 2509.08704), for mechanisms whose answers about the coins are independent of one
another. Neither holds where the coins depend on each other, as they do when exactly half of the examples are members.
"""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit
from scipy.stats import beta, binom, norm

from mia_lib.evaluation.audit import Audit
from mia_lib.evaluation.epsilon import cluster_scores
from mia_lib.support.errors import UsageError

DELTA = 1e-5
"""The delta at which bounds are taken: that of Steinke et al. pays for delta times the number of coins, so that at one over
the number of examples even many right guesses prove nothing."""
NODES = 200  # of the integral over the quantile above which an attack guesses
LARGEST = 1e3  # epsilon or mu beyond which no search goes

ErrorRate = Callable[[np.ndarray], np.ndarray]
Bound = Callable[[int, int, int, float, float], float]


def check_counts(right: int, guesses: int, coins: int, delta: float, confidence: float) -> None:
    """Raise UsageError unless 0 <= right <= guesses <= coins, 0 <= delta < 1 and 0 < confidence < 1."""
    if not 0 <= right <= guesses <= coins:
        raise UsageError(f"right guesses, guesses and coins must not fall: {right}, {guesses}, {coins}")
    if not (0 <= delta < 1 and 0 < confidence < 1):
        raise UsageError(f"delta must lie in [0, 1) and confidence in (0, 1), not {delta} and {confidence}")


def largest_rejected(p_value: Callable[[float], float], confidence: float) -> float:
    """The largest x >= 0 whose p-value, which grows with x, is below 1 - confidence; 0 if that of 0 is not."""
    level, high = 1 - confidence, 1.0
    if p_value(0.0) >= level:
        return 0.0
    while p_value(high) < level and high < LARGEST:
        high *= 2
    if high >= LARGEST:
        return high
    return float(brentq(lambda x: p_value(x) - level, 0.0, high, xtol=1e-9))


def steinke_p_value(right: int, guesses: int, coins: int, epsilon: float, delta: float) -> float:
    """An upper bound of the chance that so many guesses are right against any (epsilon, delta) mechanism.

    P[B >= right] + 2 coins delta max over i of P[right - i <= B < right] / i, with B binomial of `guesses` trials with
    chance e^epsilon / (1 + e^epsilon). Source: Steinke, Nasr and Jagielski 2023, theorem 5.2 and its appendix D.
    """
    chance = expit(epsilon)
    tail = binom.sf(right - 1, guesses, chance)
    if delta == 0 or right == 0:
        return float(tail)
    i = np.arange(1, right + 1)
    leaked = ((binom.sf(right - 1 - i, guesses, chance) - tail) / i).max()
    return float(min(1.0, tail + 2 * coins * delta * leaked))


def steinke_epsilon(right: int, guesses: int, coins: int, delta: float, confidence: float = 0.95) -> float:
    """The largest epsilon that `steinke_p_value` rejects, for `right` of `guesses` on `coins` independent fair coins.

    The number of guesses must be fixed before the answers are known. Raises UsageError for counts that cannot be.
    """
    check_counts(right, guesses, coins, delta, confidence)
    return largest_rejected(lambda e: steinke_p_value(right, guesses, coins, e, delta), confidence)


def approximate_errors(epsilon: float, delta: float) -> ErrorRate:
    """Mean error of guesses above quantile w of confidence, against the hardest pair of an (epsilon, delta) mechanism.

    A share delta of the answers gives the coin away; on the others the best guess errs with chance 1 / (1 + e^epsilon).
    """
    return lambda w: np.clip(1 - delta - w, 0, None) / np.maximum(1 - w, 1e-300) * expit(-epsilon)


def gaussian_errors(mu: float) -> ErrorRate:
    """Mean error of guesses above quantile w of confidence, for answers from N(0, 1) and N(mu, 1).

    The log likelihood ratio L is N(mu²/2, mu²) for a member, its absolute value ranks the guesses, and a guess with
    |L| > c errs where L < -c. The cut c of a quantile is found by bisection.
    """

    def errors(w: np.ndarray) -> np.ndarray:
        if mu == 0:
            return np.full(np.shape(w), 0.5)
        low, high = np.zeros(np.shape(w)), np.full(np.shape(w), mu * (mu / 2 + 40))
        for _ in range(60):
            cut = (low + high) / 2
            above = norm.cdf(-cut / mu - mu / 2) + norm.cdf(mu / 2 - cut / mu)
            low, high = np.where(above > 1 - w, cut, low), np.where(above > 1 - w, high, cut)
        wrong = norm.logcdf(-low / mu - mu / 2)
        return np.exp(wrong - np.logaddexp(wrong, norm.logcdf(mu / 2 - low / mu)))

    return errors


def tight_p_value(errors: int, guesses: int, coins: int, error_rate: ErrorRate) -> float:
    """The chance of at most so many errors in the `guesses` most confident answers about independent `coins`.

    P[T <= u] = E_W BinomialCDF(u; guesses, error_rate(W)), W ~ Beta(coins - guesses, guesses + 1) the quantile of the most
    confident answer that is not used (0 if all are). Source: Xiang, Wang, Xiao, Tian and Wang 2025 (arXiv 2509.08704).
    """
    if guesses == coins:
        return float(binom.cdf(errors, guesses, error_rate(np.zeros(1)))[0])
    node, weight = np.polynomial.legendre.leggauss(NODES)
    w = beta.ppf((node + 1) / 2, coins - guesses, guesses + 1)
    return float(weight @ binom.cdf(errors, guesses, error_rate(w)) / 2)


def tight_epsilon(right: int, guesses: int, coins: int, delta: float, confidence: float = 0.95) -> float:
    """The largest epsilon that `tight_p_value` rejects against the hardest independent (epsilon, delta) answers.

    With delta 0 the same as `steinke_epsilon`. With delta above 0 it is larger, and no bound for mechanisms that may give
    many coins away together: one that publishes r of n coins, drawn anew, with chance delta n / r is (0, delta), and r
    guesses are all right with that chance. Raises UsageError for counts that cannot be.
    """
    check_counts(right, guesses, coins, delta, confidence)
    errors = guesses - right
    return largest_rejected(lambda e: tight_p_value(errors, guesses, coins, approximate_errors(e, delta)), confidence)


def gaussian_epsilon(mu: float, delta: float) -> float:
    """The epsilon at `delta` > 0 of a mechanism as private as telling N(0, 1) from N(mu, 1); at least 0.

    Source: Dong, Roth and Su 2022, corollary 2.13.
    """

    def excess(e: float) -> float:
        return norm.cdf(mu / 2 - e / mu) - np.exp(e + norm.logcdf(-mu / 2 - e / mu)) - delta

    if mu == 0 or excess(0.0) <= 0:
        return 0.0
    return float(brentq(excess, 0.0, mu * (mu / 2 + 40), xtol=1e-9))


def tight_gaussian_epsilon(right: int, guesses: int, coins: int, delta: float, confidence: float = 0.95) -> float:
    """The epsilon at `delta` of the largest mu that `tight_p_value` rejects, for mechanisms that are Gaussian.

    It presumes what `gaussian_epsilon` says of the mechanism, and proves nothing of others. Raises UsageError for counts
    that cannot be or a delta of 0.
    """
    check_counts(right, guesses, coins, delta, confidence)
    if delta == 0:
        raise UsageError("a Gaussian mechanism has no finite epsilon at a delta of 0")
    errors = guesses - right
    mu = largest_rejected(lambda m: tight_p_value(errors, guesses, coins, gaussian_errors(m)), confidence)
    return gaussian_epsilon(mu, delta)


def right_guesses(scores: np.ndarray, member: np.ndarray, highest: int, lowest: int) -> int:
    """How many guesses are right: "member" for the `highest` scores, "not" for the `lowest`, nothing for the others.

    Equal scores are taken in their order, which must not depend on membership. Raises UsageError if there are too few.
    """
    if min(highest, lowest) < 0 or highest + lowest > len(scores):
        raise UsageError(f"{highest} + {lowest} guesses about {len(scores)} coins cannot be made")
    order = np.argsort(scores, kind="stable")
    return int(member[order[len(order) - highest :]].sum() + (~member[order[:lowest]]).sum())


def one_run_epsilon(
    audit: Audit,
    guesses: Sequence[tuple[int, int]],
    delta: float,
    confidence: float = 0.95,
    bound: Bound = steinke_epsilon,
) -> float:
    """The largest bound over some numbers of guesses (highest, lowest), corrected for their number by Bonferroni.

    The coins are the audit's clusters, by their mean score. The numbers of guesses must be fixed beforehand.
    Raises UsageError if there are none or if one cannot be made.
    """
    if not guesses:
        raise UsageError("numbers of guesses are needed")
    scores, member = cluster_scores(audit)
    each = 1 - (1 - confidence) / len(guesses)
    counts = [(right_guesses(scores, member, high, low), high + low) for high, low in guesses]
    return max(bound(right, made, len(scores), delta, each) for right, made in counts)
