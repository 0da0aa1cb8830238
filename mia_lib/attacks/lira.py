"""LiRA, the likelihood-ratio attack (Carlini et al., IEEE S&P 2022): how unusual is this confidence for this fragment?

With few reference models the mean and the variance of one fragment are noisy, and those of all fragments together are wrong
for each. Here both are weighed (empirical Bayes). Variances have a scaled inverse chi-squared prior that all fragments teach
(as in Smyth 2004; the idea for LiRA: BaVarIA, arXiv 2603.11799), and a new model's confidence is then Student-t distributed.
The two means of a fragment, inside and outside, have a normal prior together (Lindley and Smith 1972): how hard a fragment is
shows on both sides, so that each tells of the other. With many models this is LiRA with a variance per fragment.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.special import digamma, ndtri_exp, polygamma
from scipy.stats import t as student

from mia_lib.attacks import ATTACKS
from mia_lib.attacks.base import check_references, masked_mean
from mia_lib.signals.signals import Signals
from mia_lib.support.errors import UsageError

SMALLEST_VARIANCE = 1e-12
SURE = 1e6  # degrees of freedom of a prior under which all variances are the same
VARIANCES = ("student", "shared", "fragment")


class Prior(NamedTuple):
    """Of the variances of all fragments on one side: sigma^2 ~ scale * freedom / chi^2(freedom)."""

    freedom: float
    scale: float


class Predictive(NamedTuple):
    """What a new model on one side says of each fragment: Student-t with these parameters, float64 [N] each."""

    freedom: np.ndarray
    centre: np.ndarray
    deviation: np.ndarray


def deviation(phi: np.ndarray, mask: np.ndarray, centre: np.ndarray, shared: bool) -> np.ndarray:
    """Standard deviation (ddof 0) of phi [K, N] around `centre` [N] over `mask`: of each fragment [N], or of all together.

    The shared one pools residuals around each fragment's own centre: the spread between fragments is no part of it.
    """
    squares = np.where(mask, (phi - centre) ** 2, 0.0)
    per_fragment = np.sqrt(squares.sum(0) / np.maximum(mask.sum(0), 1))
    if shared:
        per_fragment = np.full_like(per_fragment, np.sqrt(squares[mask].sum() / mask.sum()))
    return np.maximum(per_fragment, np.sqrt(SMALLEST_VARIANCE))


def trigamma_inverse(y: float) -> float:
    """x > 0 with trigamma(x) = y, by Newton's method on 1 / trigamma, which is nearly linear (Smyth 2004, appendix)."""
    x = 0.5 + 1 / y
    for _ in range(50):
        step = polygamma(1, x) * (1 - polygamma(1, x) / y) / polygamma(2, x)
        x += step
        if abs(step) < 1e-10 * x:
            break
    return float(x)


def variance_prior(squares: np.ndarray, freedom: np.ndarray) -> Prior:
    """The prior under which sums of squares with so many degrees of freedom, float [N] both, have the moments of their
    logarithms that they have (Smyth 2004, section 6.2)."""
    known = freedom > 0
    if not known.any():
        return Prior(SURE, 1.0)
    s, d = np.maximum(squares[known] / freedom[known], SMALLEST_VARIANCE), freedom[known]
    e = np.log(s) - digamma(d / 2) + np.log(d / 2)
    excess = (e.var(ddof=1) if len(e) > 1 else 0.0) - polygamma(1, d / 2).mean()
    if excess <= 0:
        return Prior(SURE, max(float((s * d).sum() / d.sum()), SMALLEST_VARIANCE))
    half = trigamma_inverse(excess)
    return Prior(min(2 * half, SURE), float(np.exp(e.mean() + digamma(half) - np.log(half))))


def predictions(phi: np.ndarray, sides: Sequence[np.ndarray]) -> list[Predictive]:
    """What one more model on each side would say of each fragment, from phi [K, N] of the models on it, `sides` [K, N] each.

    Of n models on a side: 2a = d0 + n - 1 degrees of freedom around the mean that its prior leaves it, with squared scale
    b / a + (what is not known of that mean), where 2b = d0 s0^2 + SS. Of a side without models the others tell, of a fragment
    without any the prior alone.
    """
    count = np.stack([side.sum(0) for side in sides], 1)
    centre = np.stack([np.where(side, phi, 0.0).sum(0) for side in sides], 1) / np.maximum(count, 1)
    freedom, variance = np.empty(centre.shape), np.empty(centre.shape)
    for i, side in enumerate(sides):
        squares = np.where(side, (phi - centre[:, i]) ** 2, 0.0).sum(0)
        own = np.maximum(count[:, i] - 1.0, 0.0)
        prior = variance_prior(squares, own)
        freedom[:, i] = prior.freedom + own
        variance[:, i] = np.maximum((prior.freedom * prior.scale + squares) / freedom[:, i], SMALLEST_VARIANCE)
    centre, doubt = weighed_means(centre, count / variance, np.all(count, axis=1))
    deviation = np.sqrt(variance + np.maximum(doubt, 0.0))
    return [Predictive(*found) for found in zip(freedom.T, centre.T, deviation.T, strict=True)]


def weighed_means(means: np.ndarray, weight: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means [N, sides] after their prior, and what is left of their variances [N, sides].

    weight: the inverse of the variance of each mean, 0 where there is none; known: fragments [N] with a mean on every side.
    The prior is normal, with the average of those means and with their covariance less what noise adds to it.
    """
    usual = means[known].mean(0)
    covariance = np.atleast_2d(np.cov(means[known].T, bias=True)) - np.diag((1 / weight[known]).mean(0))
    values, vectors = np.linalg.eigh(covariance)
    covariance = (vectors * np.maximum(values, 0.0)) @ vectors.T
    left = np.linalg.solve(np.eye(len(usual)) + covariance * weight[:, None, :], covariance)
    moved = usual + np.einsum("nij,nj->ni", left, weight * (means - usual))
    return moved, np.diagonal(left, axis1=1, axis2=2)


def published(phi: np.ndarray, mask: np.ndarray, shared: bool) -> Predictive:
    """The normal distribution of the published attack, as a Student-t that is one."""
    centre = masked_mean(phi, mask)
    return Predictive(np.full(len(centre), np.inf), centre, deviation(phi, mask, centre, shared))


@ATTACKS.register("lira_online")
class LiRA:
    """Likelihood ratio of the logit-scaled confidence: reference models that trained on the fragment against the others."""

    calibrated = True
    online = True

    def __init__(self, seed: int = 0, variance: str = "student", sides: int = 1):
        """variance: "student"; or as published, "shared" by all fragments or of each "fragment" by itself, which say nothing
        (NaN) of a fragment that all or none of the models trained on. sides: of the offline test, 1 or 2."""
        del seed  # nothing is drawn
        if variance not in VARIANCES:
            raise UsageError(f"unknown variance {variance!r}: choose one of {', '.join(VARIANCES)}")
        self.variance, self.sides = variance, sides

    def values(self, signals: Signals) -> np.ndarray:
        """The number of each model and fragment whose ratio is taken, float64 [K, N]: the logit-scaled confidence."""
        return signals.statistics.phi

    def fit(self, references: Signals) -> "LiRA":
        inside, outside = check_references(references, self.online)
        phi = self.values(references)
        if self.variance != "student":
            fits = [published(phi, mask, self.variance == "shared") for mask in (inside, outside)]
        else:
            fits = predictions(phi, (inside, outside) if self.online else (outside,))
        self.inside, self.outside = fits[0], fits[-1]
        return self

    def score(self, target: Signals) -> np.ndarray:
        phi = self.values(target)
        if self.online:
            return student.logpdf(phi, *self.inside) - student.logpdf(phi, *self.outside)
        if self.sides == 2:
            return -student.logpdf(phi, *self.outside)
        return surprise(phi, self.outside)


def surprise(phi: np.ndarray, outside: Predictive) -> np.ndarray:
    """How far up phi lies: the normal deviate with the same one-sided p-value, which saturates on neither side."""
    freedom, centre, scale = outside
    z = (phi - centre) / scale
    if np.isinf(freedom).all():
        return z
    return np.copysign(ndtri_exp(student.logsf(np.abs(z), freedom)), z)


@ATTACKS.register("lira_offline")
class OfflineLiRA(LiRA):
    """How far above its value in reference models that never trained on the fragment is the confidence? (LiRA, eq. 4)"""

    online = False
