"""All rates of an attack over one or several targets, with 95 % intervals.

Point values come from scikit-learn's curves with every achievable threshold: examples with equal scores are accepted or
rejected together. Intervals are those of `intervals`: speakers are drawn as a whole, because their recordings rise
and fall together, and how far the targets lie apart tells how far another might be.
"""

import math
from collections.abc import Sequence

import numpy as np

from mia_lib.evaluation.audit import Audit
from mia_lib.evaluation.bootstrap import DrawnAudit, draw, found_at
from mia_lib.evaluation.intervals import Measure, interval_of_share
from mia_lib.evaluation.rates import (
    FPR_LEVELS,
    POOLED,
    POOLED_LEVEL,
    curve_rates,
    decision_rates,
    threshold_at,
    tpr_at_fpr,
)
from mia_lib.evaluation.records import Result
from mia_lib.evaluation.resolution import measurable
from mia_lib.support.draws import generator

PERSON_LEVEL, PERSON_LEAST = 0.01, 10
"""The false-positive rate at which persons are looked at by themselves, and how many non-members each must have."""


def _points(audit: Audit, control: bool) -> dict[str, float]:
    """The rates of one audit as they are."""
    once = np.ones((1, len(audit.member)))
    rates = curve_rates(audit.scores, audit.member, once, {} if control else FPR_LEVELS)
    decisions = decision_rates(audit.scores >= audit.threshold, audit.member)
    if control:
        rates |= {"balanced_accuracy": decisions["balanced_accuracy"]}
    else:
        at_best = decision_rates(audit.scores >= audit.best_threshold, audit.member)
        rates |= decisions | {f"{name}_target_threshold": value for name, value in at_best.items()}
    return {name: float(value[0]) for name, value in rates.items()}


def _drawn(audit: DrawnAudit, levels: dict[str, float], control: bool) -> dict[str, np.ndarray]:
    """The same in draws, at those levels of false positives that its non-members can carry."""
    rates = {"auc": audit.auc()} | {name: found_at([audit], level)[:, 0] for name, level in levels.items()}
    decisions = audit.decisions(audit.audit.threshold)
    if control:
        return rates | {"balanced_accuracy": decisions["balanced_accuracy"]}
    at_best = audit.decisions(audit.audit.best_threshold)
    return rates | decisions | {f"{name}_target_threshold": value for name, value in at_best.items()}


def evaluate(audits: Sequence[Audit], draws: int = 1000, seed: int = 0, control: bool = False) -> dict[str, Measure]:
    """All rates of an attack over one or several targets: the mean over targets, with 95 % intervals.

    Rates at the audit's own (shadow-learnt) threshold are `balanced_accuracy`, `precision` and `recall`; the same with the
    threshold chosen on the attacked target itself, as the paper did, end in `_target_threshold`. No mean is POOLED: one
    threshold for all targets, and false alarms counted among the non-members of all (as the code of Carlini et al. 2022
    does), where each target alone has too few to tell one in a thousand from none. What `audit_nonmembers` are too few to
    show (`resolution.measurable`) has no interval, nor has `tpr_at_fpr_0`, which is a count on this audit and no estimate.

    draws: of the bootstrap; with none no rate has an interval. control: only what a negative control is judged by, AUC and
    balanced accuracy.
    """
    points = [_points(audit, control) for audit in audits]
    values = {name: float(np.mean([point[name] for point in points])) for name in points[0]}
    scores, member = (np.concatenate([getattr(audit, side) for audit in audits]) for side in ("scores", "member"))
    levels = {} if control else shown(FPR_LEVELS, int(fewest_nonmembers(audits).value))
    pooled = {} if control else shown({POOLED: POOLED_LEVEL}, int((~member).sum()))
    if not control:
        values[POOLED] = tpr_at_fpr(scores, member, POOLED_LEVEL)
    found: dict[str, list[np.ndarray]] = {}
    for drawn in draw(audits, draws, generator(seed, "intervals of an attack")):
        rates = [_drawn(audit, levels, control) for audit in drawn]
        several = {name: np.stack([rate[name] for rate in rates], axis=1) for name in rates[0]}
        for name, rate in (several | {name: found_at(drawn, level) for name, level in pooled.items()}).items():
            found.setdefault(name, []).append(rate)
    thin, measures = int(thinnest(audits).value), {}
    for name, value in values.items():
        ends = (math.nan, math.nan)
        if name in found and draws > 1:
            ends = interval_of_share(np.concatenate(found[name]), thin)
            ends = min(ends[0], value), max(ends[1], value)
        measures[name] = Measure(value, *ends, len(member))
    if control:
        return measures
    return measures | false_alarms_by_person(audits) | {"audit_nonmembers": fewest_nonmembers(audits)}


def false_alarms_by_person(audits: Sequence[Audit], level: float = PERSON_LEVEL) -> dict[str, Measure]:
    """The median and the worst false-positive rate of single persons, where each target's threshold lets `level` of all its
    non-members pass: whoever is accused wrongly is one of them, and not an average.

    Over all targets, and over the persons (clusters) who have at least PERSON_LEAST non-member examples; n counts those.
    Empty where there are none. The worst of several is no estimate and has no interval, nor has the median.
    """
    names, alarms = [], []
    for audit in audits:
        accepted = audit.scores >= threshold_at(audit.scores, audit.member, level)
        names.append(audit.clusters[~audit.member])
        alarms.append(accepted[~audit.member])
    _, person = np.unique(np.concatenate(names), return_inverse=True)
    count = np.bincount(person)
    rates = (np.bincount(person, np.concatenate(alarms)) / count)[count >= PERSON_LEAST]
    if not len(rates):
        return {}
    found = {"person_fpr_median": np.median(rates), "person_fpr_worst": rates.max()}
    return {name: Measure(float(value), math.nan, math.nan, len(rates)) for name, value in found.items()}


def shown(levels: dict[str, float], nonmembers: int) -> dict[str, float]:
    """Those levels of false positives of which so many non-members can tell something."""
    return {name: level for name, level in levels.items() if level > 0 and measurable(level, nonmembers)}


def with_controls(audits: list[Audit], controls: dict[str, list[Audit]], draws: int, seed: int) -> list[Result]:
    """All rates of an attack, and of each control its AUC and balanced accuracy; `audit_units` counts the thinnest side."""
    results = [Result(name, rate) for name, rate in evaluate(audits, draws, seed).items()]
    for control, audited in controls.items():
        rates = evaluate(audited, draws, seed, control=True)
        results += [Result(name, rate, control=control) for name, rate in rates.items()]
    return [*results, Result("audit_units", thinnest(audits))]


def thinnest(audits: Sequence[Audit]) -> Measure:
    """The number of clusters on the side with the fewest."""
    clusters = min(audit.smaller_side() for audit in audits)
    return Measure(clusters, clusters, clusters, sum(len(audit.member) for audit in audits))


def fewest_nonmembers(audits: Sequence[Audit]) -> Measure:
    """The number of non-members of the target that has the fewest."""
    others = min(int((~audit.member).sum()) for audit in audits)
    return Measure(others, others, others, sum(len(audit.member) for audit in audits))
