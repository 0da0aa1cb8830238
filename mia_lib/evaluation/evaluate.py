"""All rates of an attack over one or several targets, with 95 % intervals.

Point values come from scikit-learn's curves with every achievable threshold: examples with equal scores are accepted or
rejected together. Intervals are bootstrap percentiles in which whole units (a recording's source, or a speaker) are drawn
again, because fragments of one recording rise and fall together. Shares of members found are given the wider of that and
of the Clopper-Pearson interval, which is the honest one where all, none or few are found.
"""

import numpy as np

from mia_lib.evaluation.audit import Audit
from mia_lib.evaluation.intervals import Measure, bootstrap_weights, clopper_pearson
from mia_lib.evaluation.rates import FPR_LEVELS, POOLED, POOLED_LEVEL, curve_rates, decision_rates, tpr_at_fpr
from mia_lib.evaluation.records import Result


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
    again, and the units. `audit_nonmembers` says how few false alarms can be told from none (`resolution`).

    control: only what a negative control is judged by, AUC and balanced accuracy.
    """
    rng = np.random.default_rng([seed, 6])
    points = [_points(audit, control) for audit in audits]
    values = {name: float(np.mean([point[name] for point in points])) for name in points[0]}
    scores, member = (np.concatenate([getattr(audit, side) for audit in audits]) for side in ("scores", "member"))
    if not control:
        values[POOLED] = tpr_at_fpr(scores, member, POOLED_LEVEL)
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
            drawn[POOLED].append(curve_rates(scores, member, joint, {POOLED: POOLED_LEVEL})[POOLED])
    members, n = int(member.sum()), len(member)
    measures = {}
    for name, value in values.items():
        low, high = np.quantile(np.concatenate(drawn[name]), [0.025, 0.975])
        if name.startswith(("tpr_", "recall")):
            own = [point.get(name, value) for point in points]
            hits = sum(round(share * int(audit.member.sum())) for share, audit in zip(own, audits, strict=True))
            exact = clopper_pearson(hits, members)
            low, high = min(low, exact[0]), max(high, exact[1])
        measures[name] = Measure(value, float(low), float(high), n)
    return measures if control else measures | {"audit_nonmembers": fewest_nonmembers(audits)}


def with_controls(audits: list[Audit], controls: dict[str, list[Audit]], draws: int, seed: int) -> list[Result]:
    """All rates of an attack, and of each control its AUC and balanced accuracy; `audit_units` counts the thinnest side."""
    results = [Result(name, rate) for name, rate in evaluate(audits, draws, seed).items()]
    for control, audited in controls.items():
        rates = evaluate(audited, draws, seed, control=True)
        results += [Result(name, rate, control=control) for name, rate in rates.items()]
    return [*results, Result("audit_units", thinnest(audits))]


def thinnest(audits: list[Audit]) -> Measure:
    """The number of units on the side with the fewest."""
    units = min(audit.smaller_side() for audit in audits)
    return Measure(units, units, units, sum(len(audit.member) for audit in audits))


def fewest_nonmembers(audits: list[Audit]) -> Measure:
    """The number of non-members of the target that has the fewest."""
    others = min(int((~audit.member).sum()) for audit in audits)
    return Measure(others, others, others, sum(len(audit.member) for audit in audits))
