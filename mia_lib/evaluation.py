"""Rates of an attack, with 95 % intervals.

Point values come from scikit-learn's curves with every achievable threshold: examples with equal scores are accepted or
rejected together. Intervals are bootstrap percentiles in which whole units (a recording's source, or a speaker) are drawn
again, because fragments of one recording rise and fall together. Shares of members found are given the wider of that and
of the Clopper-Pearson interval, which is the honest one where all, none or few are found.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.stats import binomtest
from sklearn.metrics import roc_auc_score, roc_curve

from mia_lib.errors import MiaError

FEW_UNITS = 10
"""Below so many units on one side, a bootstrap over units gives intervals that are too narrow."""

FPR_LEVELS = {"tpr_at_fpr_1e-1": 0.1, "tpr_at_fpr_1e-2": 0.01, "tpr_at_fpr_1e-3": 0.001, "tpr_at_fpr_0": 0.0}


@dataclass(frozen=True)
class Measure:
    """A value with its 95 % interval, and the number of examples behind it."""

    value: float
    low: float
    high: float
    n: int


def check_scores(scores: np.ndarray, member: np.ndarray) -> None:
    """Raise MiaError unless `scores` and `member` are equally long, finite, and hold both kinds."""
    if scores.shape != member.shape or scores.ndim != 1:
        raise MiaError(f"scores {scores.shape} and membership {member.shape} must be two lists of the same length")
    if np.isnan(scores).any():
        raise MiaError("the scores hold values that are not numbers")
    if member.all() or not member.any():
        raise MiaError("the audit set needs both members and non-members")


def tpr_at_fpr(scores: np.ndarray, member: np.ndarray, level: float) -> float:
    """The largest true-positive rate over achievable thresholds whose false positives are at most `level` of all."""
    fpr, tpr, _ = roc_curve(member, scores, drop_intermediate=False)
    return float(tpr[fpr <= level + 1e-12].max())


def best_threshold(scores: np.ndarray, member: np.ndarray) -> float:
    """The threshold (accept score >= t) of the best balanced accuracy, halfway to the next lower score.

    `inf` when accepting nothing is best.
    """
    fpr, tpr, thresholds = roc_curve(member, scores, drop_intermediate=False)
    best = int(np.argmax(tpr - fpr))
    if best == 0:
        return float("inf")
    below = scores[scores < thresholds[best]]
    return float(thresholds[best] if not len(below) else (thresholds[best] + below.max()) / 2)


def clopper_pearson(hits: int, n: int) -> tuple[float, float]:
    """Exact 95 % interval of a share `hits` of `n` independent examples (Clopper and Pearson 1934)."""
    interval = binomtest(hits, n).proportion_ci(0.95, "exact")
    return float(interval.low), float(interval.high)


def decision_rates(
    accepted: np.ndarray, member: np.ndarray, weights: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Balanced accuracy, precision and recall of decisions, bool [n], for each row of `weights` [draws, n] (default 1).

    Precision is 0 when nothing is accepted.
    """
    w = np.ones((1, len(member))) if weights is None else weights
    positives, negatives = w @ member, w @ ~member
    hits, alarms = w @ (accepted & member), w @ (accepted & ~member)
    recall, accepts = hits / positives, hits + alarms
    return {
        "balanced_accuracy": (recall + 1 - alarms / negatives) / 2,
        "precision": np.divide(hits, accepts, out=np.zeros_like(recall), where=accepts > 0),
        "recall": recall,
    }


def curve_rates(scores: np.ndarray, member: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
    """AUC and true-positive rates at low false-positive rates for each row of `weights` [draws, n]."""
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.diff(scores[order], append=np.nan) != 0)  # last of each group of equal scores
    w, m = weights[:, order], member[order]
    tp, fp = np.cumsum(w * m, axis=1)[:, ends], np.cumsum(w * ~m, axis=1)[:, ends]
    zero = np.zeros((len(w), 1))
    tpr = np.hstack([zero, tp / tp[:, -1:]])
    fpr = np.hstack([zero, fp / fp[:, -1:]])
    rates = {"auc": (np.diff(fpr) * (tpr[:, 1:] + tpr[:, :-1]) / 2).sum(1)}
    for name, level in FPR_LEVELS.items():
        rates[name] = np.where(fpr <= level + 1e-12, tpr, 0).max(1)
    return rates


def bootstrap_weights(units: list[np.ndarray], draws: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Random weights of the examples of several audits, float [draws, n] each, by the units that they belong to.

    The Bayesian bootstrap (Rubin 1981): each unit weighs what an exponential draw says. All examples of a unit, in all
    audits, share its weight, so that what rises and falls together in the data does so in the draws.
    """
    names = np.unique(np.concatenate(units))
    weights = rng.standard_exponential((draws, len(names)))
    return [weights[:, np.searchsorted(names, unit)] for unit in units]


@dataclass(frozen=True)
class Audit:
    """Scores of one target on its audit set. `threshold` was learnt from shadows; `units` are drawn as a whole."""

    scores: np.ndarray  # float [n]
    member: np.ndarray  # bool [n]
    units: np.ndarray  # str [n]
    threshold: float
    rows: np.ndarray  # int [n], which fragments

    def __post_init__(self):
        check_scores(self.scores, self.member)

    def shuffled(self, seed: int) -> "Audit":
        """Negative control: the same scores, with half of the true members' units and half of the others' as "members"."""
        rng, dealt = np.random.default_rng([seed, 5]), np.zeros(len(self.member), dtype=bool)
        for side, half in ((self.member, np.ceil), (~self.member, np.floor)):
            names, code = np.unique(self.units[side], return_inverse=True)
            dealt[side] = (rng.permutation(len(names)) < half(len(names) / 2))[code]
        return replace(self, member=dealt)

    def smaller_side(self) -> int:
        """Number of different units among the members or among the others, whichever is smaller."""
        return min(len(set(self.units[side])) for side in (self.member, ~self.member))

    def where(self, mask: np.ndarray) -> "Audit":
        """The part of the audit on fragments with a condition; `mask` is bool over all fragments of the corpus."""
        kept = mask[self.rows]
        return Audit(self.scores[kept], self.member[kept], self.units[kept], self.threshold, self.rows[kept])


def _rates(audit: Audit, weights: np.ndarray) -> dict[str, np.ndarray]:
    rates = curve_rates(audit.scores, audit.member, weights)
    rates |= decision_rates(audit.scores >= audit.threshold, audit.member, weights)
    best = best_threshold(audit.scores, audit.member)
    at_best = decision_rates(audit.scores >= best, audit.member, weights)
    return rates | {f"{name}_target_threshold": value for name, value in at_best.items()}


def evaluate(audits: list[Audit], draws: int = 1000, seed: int = 0) -> dict[str, Measure]:
    """All rates of an attack over one or several targets: the mean over targets, with 95 % intervals.

    Rates at the audit's own (shadow-learnt) threshold are `balanced_accuracy`, `precision` and `recall`; the same with the
    threshold chosen on the attacked target itself, as the paper did, end in `_target_threshold`. Each bootstrap draw draws
    the targets again, and the units.
    """
    rng = np.random.default_rng([seed, 6])
    points: dict[str, list[float]] = {}
    drawn: dict[str, list[np.ndarray]] = {}
    for audit in audits:
        point = _rates(audit, np.ones((1, len(audit.member))))
        point["auc"] = np.array([roc_auc_score(audit.member, audit.scores)])
        for name, level in FPR_LEVELS.items():
            point[name] = np.array([tpr_at_fpr(audit.scores, audit.member, level)])
        for name, value in point.items():
            points.setdefault(name, []).append(float(value[0]))
    for start in range(0, draws, 100):
        weights = bootstrap_weights([audit.units for audit in audits], min(100, draws - start), rng)
        parts = [_rates(audit, weight) for audit, weight in zip(audits, weights, strict=True)]
        for name in points:
            drawn.setdefault(name, []).append(np.stack([part[name] for part in parts], axis=1))
    chosen = rng.integers(len(audits), size=(draws, len(audits)))
    members, n = [int(audit.member.sum()) for audit in audits], sum(len(audit.member) for audit in audits)
    measures = {}
    for name, values in drawn.items():
        means = np.take_along_axis(np.concatenate(values), chosen, axis=1).mean(1)
        low, high = np.quantile(means, [0.025, 0.975])
        if name.startswith(("tpr_", "recall")):
            hits = sum(round(share * count) for share, count in zip(points[name], members, strict=True))
            exact = clopper_pearson(hits, sum(members))
            low, high = min(low, exact[0]), max(high, exact[1])
        measures[name] = Measure(float(np.mean(points[name])), float(low), float(high), n)
    return measures


def with_controls(audits: list[Audit], controls: dict[str, list[Audit]], draws: int, seed: int) -> dict[str, Measure]:
    """All rates of an attack, and of each control its AUC and balanced accuracy; `audit_units` counts the thinnest side."""
    measures = evaluate(audits, draws, seed)
    for name, control in controls.items():
        rates = evaluate(control, draws, seed)
        measures |= {f"{metric}_control_{name}": rates[metric] for metric in ("auc", "balanced_accuracy")}
    units = min(audit.smaller_side() for audit in audits)
    return measures | {"audit_units": Measure(units, units, units, measures["auc"].n)}


def mean_measure(values: list[np.ndarray], units: list[np.ndarray], draws: int = 1000, seed: int = 0) -> Measure:
    """Mean of per-example values (such as right or wrong) over several models, with a bootstrap interval over units."""
    rng = np.random.default_rng([seed, 7])
    weights = bootstrap_weights(units, draws, rng)
    drawn = [weight @ value / weight.sum(1) for weight, value in zip(weights, values, strict=True)]
    chosen = rng.integers(len(values), size=(draws, len(values)))
    means = np.take_along_axis(np.stack(drawn, axis=1), chosen, axis=1).mean(1)
    low, high = np.quantile(means, [0.025, 0.975])
    return Measure(float(np.mean([v.mean() for v in values])), float(low), float(high), sum(map(len, values)))
