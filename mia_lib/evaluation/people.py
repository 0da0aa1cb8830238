"""Who is exposed: persons by attack and target, who is found by any attack, and forecasts of it before any attack."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from mia_lib.evaluation.audit import Audit
from mia_lib.evaluation.intervals import Measure, mean_change, mean_measure
from mia_lib.evaluation.rates import threshold_at
from mia_lib.support.draws import generator
from mia_lib.support.errors import UsageError

LEVEL, STRICT = 0.01, 0.001
"""False alarms at which a person's recordings are found, and at which few can be accused wrongly."""

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
    wide, names = _by_person(table, within, across), sorted(set(table["speaker"]))
    rng = generator(seed, "persons of an agreement")
    if table[across].nunique() < 2:
        raise UsageError(f"an agreement across {across} needs two of them")

    def mean(chosen: list[str]) -> float:
        values = [value for part in wide for value in _correlations(part.reindex(chosen)).values()]
        return float(np.mean(values)) if values else np.nan

    again = [mean(rng.choice(names, len(names)).tolist()) for _ in range(min(draws, 200))]
    low, high = np.nanquantile(again, [0.025, 0.975])
    return Measure(mean(names), float(low), float(high), len(names))


def agreement_by_pair(table: pd.DataFrame, within: str, across: str) -> pd.DataFrame:
    """The same for each pair of `across`, mean over `within`, as a square table."""
    names = list(table[across].unique())
    found = pd.DataFrame(np.eye(len(names)), names, names)
    every = [_correlations(part) for part in _by_person(table, within, across)]
    for one, other in combinations(sorted(names), 2):
        values = [pairs[one, other] for pairs in every if (one, other) in pairs]
        found.loc[one, other] = found.loc[other, one] = np.mean(values) if values else np.nan
    return found


def _by_person(table: pd.DataFrame, within: str, across: str) -> list[pd.DataFrame]:
    """Exposure by person (rows) and `across` (columns), a table for each of `within`."""
    return [part.pivot(index="speaker", columns=across, values="exposure") for _, part in table.groupby(within)]


def _correlations(exposure: pd.DataFrame) -> dict[tuple, float]:
    """The rank correlation of each two columns, over the rows that have both; none where a column says nothing."""
    found = {}
    for one, other in combinations(exposure.columns, 2):
        both = exposure[[one, other]].dropna().to_numpy()
        if len(both) > 2 and (np.ptp(both, axis=0) > 0).all():
            found[one, other] = float(spearmanr(both[:, 0], both[:, 1]).statistic)
    return found


def found_by_any(audits: Audits, draws: int, seed: int, level: float = STRICT) -> dict[str, Measure]:
    """What several attacks find together, where a recording is called a member by any of them, beside the best of them alone.

    Each accepts `level` of the non-members, so that together they find at least as many members (`members`), and raise more
    false alarms (`others`). Fair is only what one attack finds with as many false alarms as all raise together: `best`, of
    the attack that then finds most, and `gain`, how many more the attacks together find, with the interval of the
    difference on the same recordings.
    """
    first = list(next(iter(audits.values())))

    def called(targets: Sequence[Audit], levels: Sequence[float]) -> list[np.ndarray]:
        return [
            audit.scores >= threshold_at(audit.scores, audit.member, own)
            for audit, own in zip(targets, levels, strict=True)
        ]

    def of(side: bool, accepted: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [own[audit.member == side].astype(float) for own, audit in zip(accepted, first, strict=True)]

    parts = [called(targets, [level] * len(first)) for targets in audits.values()]
    together = [np.any(accepted, axis=0) for accepted in zip(*parts, strict=True)]
    found, alarms = of(True, together), of(False, together)
    alone = [of(True, called(targets, [own.mean() for own in alarms])) for targets in audits.values()]
    best = max(alone, key=lambda values: np.mean([own.mean() for own in values]))
    members, others = ([audit.clusters[audit.member == side] for audit in first] for side in (True, False))
    return {
        "members": mean_measure(found, members, draws, seed),
        "others": mean_measure(alarms, others, draws, seed),
        "best": mean_measure(best, members, draws, seed),
        "gain": mean_change(found, best, members, draws, seed),
    }


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
