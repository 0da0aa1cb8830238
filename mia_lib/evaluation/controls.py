"""Negative controls: each beside its own chance, and all together beside what luck alone would do."""

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd
from scipy.stats import binom

from mia_lib.evaluation.reading import beside_chance
from mia_lib.evaluation.resolution import LEVELS

MISSED = 0.05
"""Share of 95 % intervals that do not hold the truth."""


def chance_of(measure: str) -> float:
    """What guessing reaches of a measure that attacks are judged by."""
    if measure == "epsilon_lower_bound":
        return 0.0
    return LEVELS.get(measure, 0.5)


def place(record: pd.Series | dict) -> str:
    """Where a control's interval lies beside the chance of its measure (see `beside_chance`)."""
    row = pd.Series(record)
    return beside_chance(row, chance_of(row["measure"]))


@dataclass(frozen=True)
class Luck:
    """How many of n controls fell outside their chance, how many luck puts there, and how probable it makes so many or more,
    and so few or fewer."""

    n: int
    outside: int
    expected: float
    so_many: float
    so_few: float


def together(places: Iterable[str]) -> Luck:
    """All controls with an interval at once, as if they were independent; those on the same targets are not."""
    known = [where for where in places if where != "unknown"]
    outside = sum(where != "at" for where in known)
    more, fewer = binom.sf(outside - 1, len(known), MISSED), binom.cdf(outside, len(known), MISSED)
    return Luck(len(known), outside, MISSED * len(known), float(more), float(fewer))
