"""Rates of an attack, with 95 % intervals.

Point values come from scikit-learn's curves with every achievable threshold: examples with equal scores are accepted or
rejected together. Intervals are bootstrap percentiles in which whole units (a recording's source, or a speaker) are drawn
again, because fragments of one recording rise and fall together. Shares of members found are given the wider of that and
of the Clopper-Pearson interval, which is the honest one where all, none or few are found.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.stats import beta
from sklearn.metrics import roc_curve

from mia_lib.errors import MiaError

FEW_UNITS = 10
"""Below so many units on one side, a bootstrap over units gives intervals that are too narrow."""

FPR_LEVELS = {"tpr_at_fpr_1e-1": 0.1, "tpr_at_fpr_1e-2": 0.01, "tpr_at_fpr_1e-3": 0.001, "tpr_at_fpr_0": 0.0}
POOLED, POOLED_LEVEL = "tpr_at_fpr_1e-3_pooled", 0.001


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
    low = beta.ppf(0.025, hits, n - hits + 1) if hits else 0.0
    high = beta.ppf(0.975, hits + 1, n - hits) if hits < n else 1.0
    return float(low), float(high)


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


def curve_rates(
    scores: np.ndarray, member: np.ndarray, weights: np.ndarray, levels: dict[str, float] = FPR_LEVELS
) -> dict[str, np.ndarray]:
    """AUC and true-positive rates at low false-positive rates, by name, for each row of `weights` [draws, n].

    Members and non-members apart, each by falling score: sums of weights then stand for both axes of the curve, and where a
    non-member's score lies among the members' is the same in all draws.
    """
    sides = [np.flatnonzero(side)[np.argsort(-scores[side], kind="stable")] for side in (member, ~member)]
    members, others = -scores[sides[0]], -scores[sides[1]]
    above, level_with = (np.searchsorted(members, others, side) for side in ("left", "right"))
    tp, fp = (np.zeros((len(weights), len(side) + 1)) for side in sides)  # found among the first 0, 1, 2 ...
    weight = weights[:, sides[1]]
    np.cumsum(weights[:, sides[0]], axis=1, out=tp[:, 1:])
    np.cumsum(weight, axis=1, out=fp[:, 1:])
    ties = bool((above != level_with).any())
    below = tp[:, above] + tp[:, level_with] if ties else 2 * tp[:, above]
    rates = {"auc": np.einsum("dj,dj->d", weight, below) / (2 * tp[:, -1] * fp[:, -1])}
    reach = np.append(above, len(members))  # members found before the first, second ... non-member, and after all
    rows = np.arange(len(weights))
    for name, level in levels.items():
        allowed = (fp[:, 1:] <= (level + 1e-12) * fp[:, -1:]).sum(1)
        rates[name] = tp[rows, reach[allowed]] / tp[:, -1]
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

    @cached_property
    def best_threshold(self) -> float:
        """The threshold of the best balanced accuracy on this very target: nobody has it who does not know the answers."""
        return best_threshold(self.scores, self.member)

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


def _rates(audit: Audit, weights: np.ndarray, control: bool) -> dict[str, np.ndarray]:
    rates = curve_rates(audit.scores, audit.member, weights, {} if control else FPR_LEVELS)
    decisions = decision_rates(audit.scores >= audit.threshold, audit.member, weights)
    if control:
        return rates | {"balanced_accuracy": decisions["balanced_accuracy"]}
    at_best = decision_rates(audit.scores >= audit.best_threshold, audit.member, weights)
    return rates | decisions | {f"{name}_target_threshold": value for name, value in at_best.items()}


def _points(audit: Audit, control: bool) -> dict[str, float]:
    return {name: float(value[0]) for name, value in _rates(audit, np.ones((1, len(audit.member))), control).items()}


def evaluate(audits: list[Audit], draws: int = 1000, seed: int = 0, control: bool = False) -> dict[str, Measure]:
    """All rates of an attack over one or several targets: the mean over targets, with 95 % intervals.

    Rates at the audit's own (shadow-learnt) threshold are `balanced_accuracy`, `precision` and `recall`; the same with the
    threshold chosen on the attacked target itself, as the paper did, end in `_target_threshold`. No mean is POOLED: one
    threshold for all targets, and false alarms counted among the non-members of all (as the code of Carlini et al. 2022
    does), where each target alone has too few to tell one in a thousand from none. Each bootstrap draw draws the targets
    again, and the units. control: only what a negative control is judged by, AUC and balanced accuracy.
    """
    rng = np.random.default_rng([seed, 6])
    points = [_points(audit, control) for audit in audits]
    values = {name: float(np.mean([point[name] for point in points])) for name in points[0]}
    everything = [np.concatenate([getattr(audit, side) for audit in audits]) for side in ("scores", "member")]
    if not control:
        values[POOLED] = tpr_at_fpr(*everything, POOLED_LEVEL)
    drawn: dict[str, list[np.ndarray]] = {name: [] for name in values}
    for start in range(0, draws, 100):
        size = min(100, draws - start)
        times = rng.multinomial(len(audits), np.full(len(audits), 1 / len(audits)), size)  # each target is drawn
        weights = bootstrap_weights([audit.units for audit in audits], size, rng)
        rates = [_rates(audit, weight, control) for audit, weight in zip(audits, weights, strict=True)]
        for name in points[0]:
            drawn[name].append((times * np.stack([rate[name] for rate in rates], axis=1)).mean(1))
        if not control:
            joint = np.hstack([weight * often[:, None] for weight, often in zip(weights, times.T, strict=True)])
            drawn[POOLED].append(curve_rates(*everything, joint, {POOLED: POOLED_LEVEL})[POOLED])
    members, n = int(everything[1].sum()), len(everything[1])
    measures = {}
    for name, value in values.items():
        low, high = np.quantile(np.concatenate(drawn[name]), [0.025, 0.975])
        if name.startswith(("tpr_", "recall")):
            own = [point.get(name, value) for point in points]
            hits = sum(round(share * int(audit.member.sum())) for share, audit in zip(own, audits, strict=True))
            exact = clopper_pearson(hits, members)
            low, high = min(low, exact[0]), max(high, exact[1])
        measures[name] = Measure(value, float(low), float(high), n)
    return measures


def shuffled(audits: list[Audit], seed: int) -> list[Audit]:
    """The negative control of each audit whose membership is dealt anew, with a seed of its own."""
    return [audit.shuffled(seed * 1000 + i) for i, audit in enumerate(audits)]


def with_controls(audits: list[Audit], controls: dict[str, list[Audit]], draws: int, seed: int) -> dict[str, Measure]:
    """All rates of an attack, and of each control its AUC and balanced accuracy; `audit_units` counts the thinnest side."""
    measures = evaluate(audits, draws, seed)
    for name, audited in controls.items():
        rates = evaluate(audited, draws, seed, control=True)
        measures |= {f"{metric}_control_{name}": rate for metric, rate in rates.items()}
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
