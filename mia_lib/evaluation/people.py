"""Who is exposed: persons by attack and target, who is found by any attack, and forecasts of it before any attack."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from mia_lib.evaluation.audit import Audit
from mia_lib.evaluation.intervals import Measure, mean_measure
from mia_lib.evaluation.rates import threshold_at
from mia_lib.support.draws import generator
from mia_lib.support.errors import UsageError

LEVEL, STRICT = 0.01, 0.001
"""False alarms at which a person's recordings are found, and at which an attack says so beyond doubt."""

Audits = Mapping[str, Sequence[Audit]]
"""Of each attack, one audit a target, whose clusters are persons; all attacks ask about the same fragments."""


def shares_below(audit: Audit) -> np.ndarray:
    """Of each example, the share of non-members that score lower, equal ones counted half: float [n]."""
    others = np.sort(audit.scores[~audit.member])
    left, right = (np.searchsorted(others, audit.scores, side) for side in ("left", "right"))
    return (left + right) / (2 * len(others))


def people(audits: Audits, level: float = LEVEL) -> pd.DataFrame:
    """One row per attack, target and person with members among the audited: how many (`members`), the share of them that is
    `found` where `level` of all non-members are accepted, and their mean `exposure` (`shares_below`)."""
    tables = []
    for attack, targets in audits.items():
        for target, audit in enumerate(targets):
            found = audit.scores >= threshold_at(audit.scores, audit.member, level)
            rows = pd.DataFrame(dict(speaker=audit.clusters, found=found, exposure=shares_below(audit)))[audit.member]
            each = rows.groupby("speaker").agg(
                members=("found", "size"), found=("found", "mean"), exposure=("exposure", "mean")
            )
            tables.append(each.reset_index().assign(attack=attack, target=target))
    return pd.concat(tables, ignore_index=True)


def agreement(table: pd.DataFrame, within: str, across: str, draws: int, seed: int) -> Measure:
    """Mean rank correlation of persons' exposure over all pairs of `across`, within each of `within`; persons are drawn.

    table: of `people`. Targets across, attacks within: is it the same persons in every model? The other way round: for every
    attack? Persons who are not in both of a pair are left out of it.
    """
    wide = [part.pivot(index="speaker", columns=across, values="exposure") for _, part in table.groupby(within)]
    names, rng = sorted(set(table["speaker"])), generator(seed, "persons of an agreement")
    if table[across].nunique() < 2:
        raise UsageError(f"an agreement across {across} needs two of them")

    def mean(chosen: list[str]) -> float:
        values = []
        for part in wide:
            drawn = part.reindex(chosen)
            for one, other in combinations(part.columns, 2):
                both = drawn[[one, other]].dropna().to_numpy()
                if len(both) > 2 and (np.ptp(both, axis=0) > 0).all():
                    values.append(spearmanr(both[:, 0], both[:, 1]).statistic)
        return float(np.mean(values)) if values else np.nan

    again = [mean(rng.choice(names, len(names)).tolist()) for _ in range(min(draws, 200))]
    low, high = np.nanquantile(again, [0.025, 0.975])
    return Measure(mean(names), float(low), float(high), len(names))


def found_by_any(audits: Audits, draws: int, seed: int, level: float = STRICT) -> dict[str, Measure]:
    """Share of members whom at least one attack accepts where each accepts `level` of the non-members (`members`), the same
    of the non-members (`others`: false alarms of all attacks together), and of members by the best single attack (`best`)."""
    called = {
        attack: [audit.scores >= threshold_at(audit.scores, audit.member, level) for audit in targets]
        for attack, targets in audits.items()
    }
    first = list(next(iter(audits.values())))
    any_of = [np.any(parts, axis=0) for parts in zip(*called.values(), strict=True)]

    def share(accepted: Sequence[np.ndarray], members: bool) -> Measure:
        sides = [audit.member == members for audit in first]
        values = [a[side].astype(float) for a, side in zip(accepted, sides, strict=True)]
        clusters = [audit.clusters[side] for audit, side in zip(first, sides, strict=True)]
        return mean_measure(values, clusters, draws, seed)

    alone = [share(accepted, True) for accepted in called.values()]
    best = max(alone, key=lambda measure: measure.value)
    return {"members": share(any_of, True), "others": share(any_of, False), "best": best}


def precision_at(forecast: np.ndarray, vulnerable: np.ndarray, share: float) -> float:
    """Of the `share` of examples (at least one) whose forecast is highest, how many are vulnerable; bool [n].

    Equal forecasts are taken in their order. Source of the measure: Pollock et al. 2024, section 5.
    """
    first = np.argsort(-forecast, kind="stable")[: max(1, round(share * len(forecast)))]
    return float(vulnerable[first].mean())


def true_negative_rate(loss: np.ndarray, member: np.ndarray, level: float = LEVEL) -> float:
    """Share of non-members whose loss lies above all but `level` of the members': what an attack by loss alone can rule out.

    Dodd et al. 2025 (arXiv 2510.19773) take it for an estimate, without any reference model, of the share of members that
    LiRA finds at `level` false alarms: training has moved the most exposed members out of the tail of high losses.
    """
    return float((loss[~member] > np.quantile(loss[member], 1 - level)).mean())
