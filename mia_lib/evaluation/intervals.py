"""95 % intervals: the bootstrap over units, exact intervals of shares, and means with theirs."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import beta

FEW_UNITS = 10
"""Below so many units on one side, a bootstrap over units gives intervals that are too narrow."""


@dataclass(frozen=True)
class Measure:
    """A value with its 95 % interval, and the number of examples behind it."""

    value: float
    low: float
    high: float
    n: int

    def text(self) -> str:
        """Such as `0.912 [0.894, 0.930]`."""
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def clopper_pearson(hits: int, n: int, tail: float = 0.025) -> tuple[float, float]:
    """Exact interval of a share `hits` of `n` independent examples, with `tail` left out on each side: 95 % by default.

    Source: Clopper and Pearson 1934.
    """
    low = beta.ppf(tail, hits, n - hits + 1) if hits else 0.0
    high = beta.ppf(1 - tail, hits + 1, n - hits) if hits < n else 1.0
    return float(low), float(high)


def bootstrap_weights(units: list[np.ndarray], draws: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Random weights of the examples of several audits, float [draws, n] each, by the units that they belong to.

    The Bayesian bootstrap (Rubin 1981): each unit weighs what an exponential draw says. All examples of a unit, in all
    audits, share its weight, so that what rises and falls together in the data does so in the draws.
    """
    names = np.unique(np.concatenate(units))
    weights = rng.standard_exponential((draws, len(names)))
    return [weights[:, np.searchsorted(names, unit)] for unit in units]


def mean_measure(values: list[np.ndarray], units: list[np.ndarray], draws: int = 1000, seed: int = 0) -> Measure:
    """Mean of per-example values (such as right or wrong) over several models, with a bootstrap interval over units."""
    rng = np.random.default_rng([seed, 7])
    weights = bootstrap_weights(units, draws, rng)
    drawn = [weight @ value / weight.sum(1) for weight, value in zip(weights, values, strict=True)]
    chosen = rng.integers(len(values), size=(draws, len(values)))
    means = np.take_along_axis(np.stack(drawn, axis=1), chosen, axis=1).mean(1)
    low, high = np.quantile(means, [0.025, 0.975])
    return Measure(float(np.mean([v.mean() for v in values])), float(low), float(high), sum(map(len, values)))
