"""95 % intervals with the coverage that they claim, where recordings, speakers and targets all bring luck.

What is measured on several targets varies for two reasons. Recordings (or speakers) are drawn: all fragments of one rise and
fall together, on all targets that are asked about it. And targets differ: another one, trained anew, leaks more or less. The
first is had from the Bayesian bootstrap over clusters; the second only from how far the targets lie apart, and with three of
them that is two degrees of freedom, which Student's t knows. A single target cannot say how far another would be from it: its
interval holds for that very model. `tests/benchmarks/interval_coverage.py` measures the coverage.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import gammainccinv
from scipy.stats import beta
from scipy.stats import t as student

from mia_lib.support.draws import generator

NORMAL = 1.959964  # half the width of a 95 % interval in standard deviations
GUARD = 0.925  # of the interval by clusters alone below which none is narrower: 85 %
EXPONENTIAL = np.linspace(0, 6.5, 2000) ** 2
"""Exponential deviates for which others are looked up."""
FEW_CLUSTERS = 10
"""Below so many clusters on one side, a bootstrap over clusters gives intervals that are too narrow."""


@dataclass(frozen=True)
class Measure:
    """A value with its 95 % interval (NaN where it has none), and the number of examples behind it."""

    value: float
    low: float
    high: float
    n: int

    def text(self) -> str:
        """Such as `0.912 [0.894, 0.930]`; without brackets where there is no interval, or one that is a point."""
        bare = math.isnan(self.low) or self.low == self.high
        return f"{self.value:.3f}" + ("" if bare else f" [{self.low:.3f}, {self.high:.3f}]")

    def signed(self) -> str:
        """A difference, such as `+0.020 [+0.004, +0.036]`."""
        return f"{self.value:+.3f}" + ("" if math.isnan(self.low) else f" [{self.low:+.3f}, {self.high:+.3f}]")


def clopper_pearson(hits: int, n: int, tail: float = 0.025) -> tuple[float, float]:
    """Exact interval of a share `hits` of `n` independent examples, with `tail` left out on each side: 95 % by default.

    Source: Clopper and Pearson 1934.
    """
    low = beta.ppf(tail, hits, n - hits + 1) if hits else 0.0
    high = beta.ppf(1 - tail, hits + 1, n - hits) if hits < n else 1.0
    return float(low), float(high)


def bootstrap_weights(clusters: list[np.ndarray], draws: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Random weights of the examples of several audits, float [draws, n] each, by the clusters that they belong to.

    The Bayesian bootstrap (Rubin 1981): each cluster weighs what an exponential draw says. All examples of a cluster, in all
    audits, share its weight, so that what rises and falls together in the data does so in the draws.
    """
    names = np.unique(np.concatenate(clusters))
    weights = rng.standard_exponential((draws, len(names)))
    return [weights[:, np.searchsorted(names, cluster)] for cluster in clusters]


def of_variance(weights: np.ndarray, variance: float) -> np.ndarray:
    """Weights of mean 1 and another variance in the place of exponential ones, in the same order: gamma deviates with the
    same tail probabilities, read off a table, to about 1e-5."""
    if variance == 1:
        return weights
    return np.interp(weights, EXPONENTIAL, variance * gammainccinv(1 / variance, np.exp(-EXPONENTIAL)))


def spread_of_weights(clusters: int, learnt: float = 0.0) -> float:
    """The variance of the weights of so many clusters with which a mean varies in the draws as it does over data sets.

    Of n clusters with gamma weights of variance v a mean varies (n - 1) / (n / v + 1) times as much as it should (Dirichlet):
    with exponential ones a tenth too little for n = 20. learnt: which share of the order of the scores was learnt from other
    parts of the same data, 0 to 1. A part's luck then moves their scores as well: for a direction learnt on K - 1 of K parts
    of noise, each pair of parts adds a K - 1th of a part's own variance, and a mean varies twice as much (Nadeau and Bengio
    2003 correct for the same); for scores of which a share is learnt, 1 + learnt times.
    """
    factor = 1 + learnt
    return clusters * factor / max(clusters - 1 - factor, 1.0)


def spread_of_mean(targets: np.ndarray, drawn: np.ndarray, clusters: int) -> float:
    """Half the width of the interval of a mean over targets, in the units of `targets`.

    targets: the value of each, float [T]. drawn: the same in each draw of the bootstrap over clusters, float [draws, T].
    clusters: how many were drawn, the fewer side. What the targets share by their clusters is the mean covariance c of the
    draws; the rest of the mean's variance, be it luck of clusters or of targets, shows in the variance s^2 between
    targets: c + s^2 / T, with degrees of freedom by Satterthwaite (Biometrics 1946). Never less than an interval of 85 %
    by clusters alone, since few targets may lie close together by luck.
    """
    count, covariance = len(targets), np.atleast_2d(np.cov(drawn, rowvar=False))
    of_clusters, of_mean = max(clusters - 1, 1), np.sqrt(max(covariance.mean(), 0.0))
    if count == 1:
        return float(student.ppf(0.975, of_clusters) * of_mean)
    alone = student.ppf(GUARD, of_clusters) * of_mean
    shared = max((covariance.sum() - np.trace(covariance)) / (count * (count - 1)), 0.0)
    own = targets.var(ddof=1) / count
    if shared + own == 0:
        return float(alone)
    freedom = (shared + own) ** 2 / (shared**2 / of_clusters + own**2 / (count - 1))
    return float(max(alone, student.ppf(0.975, freedom) * np.sqrt(shared + own)))


def interval_of_difference(gap: float, drawn: np.ndarray, clusters: int) -> tuple[float, float]:
    """The interval around a difference of means over targets, from draws of the difference on each target [draws, T]."""
    means = drawn.mean(1)
    low, high = gap + inflation(drawn, clusters) * (np.quantile(means, [0.025, 0.975]) - means.mean())
    return float(low), float(high)


def inflation(drawn: np.ndarray, clusters: int) -> float:
    """How many times as wide as by clusters alone the interval of a mean over targets is, from draws [draws, T]."""
    return spread_of_mean(drawn.mean(0), drawn, clusters) / max(NORMAL * float(drawn.mean(1).std()), 1e-12)


def interval_of_share(drawn: np.ndarray, clusters: int) -> tuple[float, float]:
    """The interval of the mean over targets of a share between 0 and 1 (a rate, an AUC), from draws [draws, T].

    It is made where the variance of a share does not depend on its size, arcsin(sqrt(share)) (Bartlett 1936), around the mean
    of the draws, and so ends within [0, 1].
    """
    means = np.arcsin(np.sqrt(np.clip(drawn.mean(1), 0.0, 1.0)))
    centre = means.mean()
    ends = centre + inflation(drawn, clusters) * (np.quantile(means, [0.025, 0.975]) - centre)
    low, high = np.sin(np.clip(ends, 0, np.pi / 2)) ** 2
    return float(low), float(high)


def mean_measure(values: list[np.ndarray], clusters: list[np.ndarray], draws: int = 1000, seed: int = 0) -> Measure:
    """Mean of per-example values between 0 and 1 over several models, with its interval.

    Where values are right or wrong, half an example of each is added over all models, as Jeffreys' prior does: all right is
    not taken for certain.
    """
    drawn = _drawn_means(values, clusters, draws, seed)
    low, high = interval_of_share(drawn, min(len(set(own)) for own in clusters))
    value = float(np.mean([v.mean() for v in values]))
    return Measure(value, min(low, value), max(high, value), sum(map(len, values)))


def mean_change(
    new: list[np.ndarray], old: list[np.ndarray], clusters: list[np.ndarray], draws: int = 1000, seed: int = 0
) -> Measure:
    """How far the mean over models of `new` values lies above that of `old` ones of the same examples, with its interval."""
    gaps = [one - other for one, other in zip(new, old, strict=True)]
    drawn = [
        weight @ gap / weight.sum(1)
        for weight, gap in zip(
            bootstrap_weights(clusters, draws, generator(seed, "change of a mean")), gaps, strict=True
        )
    ]
    value = float(np.mean([gap.mean() for gap in gaps]))
    thin = min(len(set(own)) for own in clusters)
    return Measure(value, *interval_of_difference(value, np.stack(drawn, axis=1), thin), sum(map(len, gaps)))


def _drawn_means(values: list[np.ndarray], clusters: list[np.ndarray], draws: int, seed: int) -> np.ndarray:
    """The mean of each model's values in each draw, [draws, models]."""
    rng = generator(seed, "interval of a mean")
    weights = bootstrap_weights(clusters, draws, rng)
    shares = all(np.isin(value, (0, 1)).all() for value in values)
    extra = rng.standard_gamma(0.5 / len(values), (len(values), 2, draws)) * shares
    drawn = [
        (weight @ value + right) / (weight.sum(1) + right + wrong)
        for weight, value, (right, wrong) in zip(weights, values, extra, strict=True)
    ]
    return np.stack(drawn, axis=1)
