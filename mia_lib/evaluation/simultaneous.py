"""The strongest of several attacks, with an interval that knows that it was picked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mia_lib.evaluation.audit import Audit
from mia_lib.evaluation.intervals import Measure, bootstrap_weights
from mia_lib.evaluation.rates import curve_rates
from mia_lib.support.errors import UsageError

CHUNK = 100  # draws at once


@dataclass(frozen=True)
class Strongest:
    """The attack with the largest AUC, that AUC with its simultaneous interval, and out of how many it is the largest."""

    attack: str
    auc: Measure
    out_of: int


def strongest_of(audits_by_attack: Mapping[str, Sequence[Audit]], draws: int = 1000, seed: int = 0) -> Strongest:
    """The largest mean AUC over targets of several attacks, with a 95 % interval of the largest true one.

    Every draw of the bootstrap weighs the units and draws the targets for all attacks at once. How far the drawn AUC of
    any attack rises above its own, at most, bounds all of them from below together, and so the one that was picked; how
    far any falls, from above (Romano and Wolf, Econometrica 2005). The percentiles of the largest drawn value would
    not do: they repeat the optimism of picking. The value itself stays the largest and is optimistic.

    audits_by_attack: one audit per target of each attack, targets in the same order; units of one name are the same.
    """
    names, lists = list(audits_by_attack), list(audits_by_attack.values())
    targets = len(lists[0]) if lists else 0
    if not targets or any(len(audits) != targets for audits in lists):
        raise UsageError("the strongest of several attacks needs audits of the same targets for each of them")
    every = [audit for audits in lists for audit in audits]
    point = np.array([_auc(audit, np.ones((1, len(audit.member))))[0] for audit in every]).reshape(-1, targets).mean(1)
    rng, drawn = np.random.default_rng([seed, 27]), []
    for start in range(0, draws, CHUNK):
        size = min(CHUNK, draws - start)
        times = rng.multinomial(targets, np.full(targets, 1 / targets), size)
        weights = bootstrap_weights([audit.units for audit in every], size, rng)
        aucs = np.stack([_auc(audit, weight) for audit, weight in zip(every, weights, strict=True)], axis=1)
        drawn.append((aucs.reshape(size, -1, targets) * times[:, None]).mean(2))  # [draws, attacks]
    off = np.concatenate(drawn) - point
    best = int(point.argmax())
    low, high = point[best] - np.quantile(off.max(1), 0.975), point[best] + np.quantile((-off).max(1), 0.975)
    n = sum(len(audit.member) for audit in lists[best])
    return Strongest(
        names[best], Measure(float(point[best]), max(0.0, float(low)), min(1.0, float(high)), n), len(names)
    )


def _auc(audit: Audit, weights: np.ndarray) -> np.ndarray:
    return curve_rates(audit.scores, audit.member, weights, {})["auc"]
