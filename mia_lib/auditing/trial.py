"""One attack that was tried: its scores under the true membership and under the controls, and all rates of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mia_lib.evaluation.audit import Audit
from mia_lib.evaluation.evaluate import evaluate, thinnest
from mia_lib.evaluation.intervals import Measure, spread_of_weights
from mia_lib.evaluation.records import Result

DECIDED = ("balanced_accuracy", "precision", "recall")


@dataclass(frozen=True)
class Tried:
    """An audit, and the same with decisions for scores (1 "member", 0 not) where thresholds were learnt fold by fold."""

    audit: Audit
    decided: Audit | None = None

    def rates(self, draws: int, seed: int, control: bool = False) -> dict[str, Measure]:
        """All rates of `evaluate`; what is decided by thresholds is counted where decisions were made."""
        found = evaluate([self.audit], draws, seed, control)
        if self.decided is not None:
            decided = evaluate([self.decided], draws, seed, control)
            found |= {name: decided[name] for name in DECIDED if name in found}
        return found

    def spread(self, learnt: float) -> "Tried":
        """The same with intervals for scores of which so much was learnt (`intervals.spread_of_weights`): thresholds always
        are."""
        decided = None if self.decided is None else _spread(self.decided, 1.0)
        return Tried(_spread(self.audit, learnt), decided)

    def for_measure(self, measure: str) -> Audit:
        """The audit on which a measure is counted."""
        return self.decided if self.decided is not None and measure in DECIDED else self.audit


@dataclass(frozen=True)
class Trial:
    """An attack as records call it, what it found, and what its negative controls found, by their names."""

    attack: str
    found: Tried
    controls: Mapping[str, Tried]
    again: Sequence[Audit] = ()  # refits: other folds, or half of the reference models each

    @property
    def by_person(self) -> bool:
        """Whether each person was judged once, by all of their recordings."""
        return len(set(self.found.audit.clusters)) == len(self.found.audit.clusters)

    def results(self, draws: int, seed: int) -> list[Result]:
        """All rates, those of the controls, and how many units the thinner side has."""
        results = [Result(name, rate) for name, rate in self.found.rates(draws, seed).items()]
        for control, tried in self.controls.items():
            rates = tried.rates(draws, seed, control=True)
            results += [Result(name, rate, control=control) for name, rate in rates.items()]
        return [*results, Result("audit_units", thinnest([self.found.audit]))]


def _spread(audit: Audit, learnt: float) -> Audit:
    return replace(audit, spread=spread_of_weights(audit.smaller_side(), learnt))


def scores_by_row(audit: Audit, rows: int) -> np.ndarray:
    """Scores of an audit as float [rows], NaN where nothing is audited."""
    scores = np.full(rows, np.nan)
    scores[audit.rows] = audit.scores
    return scores
