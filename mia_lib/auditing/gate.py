"""The gate: conditions such as `tpr_at_fpr_1e-2 > 0.05` on the results of an audit, decided by intervals."""

import math
import re
from dataclasses import dataclass

import pandas as pd

from mia_lib.attacks.base import ATTACKS
from mia_lib.auditing.baseline import BLIND
from mia_lib.auditing.judge import JUDGED_BY
from mia_lib.evaluation.intervals import Measure
from mia_lib.evaluation.rates import FPR_LEVELS, POOLED
from mia_lib.evaluation.reading import measure_of
from mia_lib.evaluation.strongest import STRONGEST
from mia_lib.support.errors import MiaError, UsageError

OF_AN_ATTACK = (*JUDGED_BY, "precision", "recall", POOLED, "epsilon_steinke", "epsilon_tight")
"""Measures that can be asked of an attack by its name; of the strongest only JUDGED_BY."""
FORM = "such as 'tpr_at_fpr_1e-2 > 0.05' or 'lira_online.auc < 0.6'"


@dataclass(frozen=True)
class Condition:
    """What is compared: a measure of an attack (or of the strongest one) with a limit."""

    attack: str
    measure: str
    above: bool
    limit: float
    text: str

    def holds(self, results: pd.DataFrame) -> bool:
        """Whether the interval proves it: `>` compares its lower end, `<` its upper end. Raises MiaError where the audit
        has no such number, or no interval for it."""
        found = self.found(results)
        return found.low > self.limit if self.above else found.high < self.limit

    def found(self, results: pd.DataFrame) -> Measure:
        """The number that the condition is about."""
        rows = results[
            (results["attack"] == self.attack) & (results["measure"] == self.measure) & (results["control"] == "")
        ]
        if not len(rows):
            raise MiaError(
                f"--fail-if {self.text!r}: this audit has no {self.measure} of {self.attack}{_why(self.measure)}"
            )
        measure = measure_of(rows.iloc[0])
        if math.isnan(measure.low):
            raise MiaError(
                f"--fail-if {self.text!r}: {self.measure} of {self.attack} has no interval here{_why(self.measure)}"
            )
        return measure

    def said(self, results: pd.DataFrame) -> str:
        """What was compared and what came of it, in one line."""
        end, found = "lower" if self.above else "upper", self.found(results)
        word = "holds" if self.holds(results) else "does not hold"
        return f"{self.text}: {word} ({self.attack} {self.measure} {found.text()}, its {end} end counts)"


def _why(measure: str) -> str:
    if measure in FPR_LEVELS and FPR_LEVELS[measure] > 0:
        return f": it takes {round(1 / FPR_LEVELS[measure]):,} non-members"
    if measure.startswith("epsilon"):
        return ": it takes memberships drawn by coins, and an attack that learns nothing from them"
    return ": choose an attack that was run"


def condition(text: str) -> Condition:
    """A condition as it is written, [ATTACK.]MEASURE > NUMBER or <. Raises UsageError for what cannot be compared."""
    match = re.fullmatch(r"\s*(?:(\w+)\.)?([\w-]+)\s*([<>])\s*(\S+)\s*", text)
    if not match:
        raise UsageError(f"--fail-if {text!r} is no condition: write a measure, > or <, and a number, {FORM}")
    attack, measure, sign, number = match.groups()
    known = JUDGED_BY if attack in (None, STRONGEST) else OF_AN_ATTACK
    if measure not in known:
        more = f"; {measure} needs an attack, as in 'loss.{measure}'" if measure in OF_AN_ATTACK else ""
        raise UsageError(f"--fail-if {text!r}: unknown measure {measure!r}: choose one of {', '.join(known)}{more}")
    names = [STRONGEST, BLIND, *ATTACKS.names()]
    if attack is not None and attack.removesuffix("_references") not in names:
        raise UsageError(f"--fail-if {text!r}: unknown attack {attack!r}: choose one of {', '.join(names)}")
    try:
        limit = float(number)
    except ValueError:
        limit = math.nan
    if not math.isfinite(limit):
        raise UsageError(f"--fail-if {text!r}: {number!r} is no number, {FORM}")
    return Condition(attack or STRONGEST, measure, sign == ">", limit, " ".join(text.split()))
