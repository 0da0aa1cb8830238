"""Numbers over several seeds: their mean, an interval that draws seeds and within them speakers, and what claims come to.

Each seed draws splits, models and, where speech is synthetic, the speakers anew. How far the seeds lie apart therefore holds
all luck of a synthetic corpus, and of a recorded one all but who was recorded: that is the same in all seeds, and no mean
makes it smaller.
"""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.stats import t as student

from mia_lib.evaluation.claims import FAILS, HOLDS, UNDECIDED, word_of
from mia_lib.evaluation.intervals import Measure

IDENTITY = ["corpus", "profile", "protocol", "defense", "attack", "adaptive", "metric"]
ACROSS_COLUMNS = [*IDENTITY, "value", "low", "high", "seeds"]
"""The columns of `across.csv`."""
CLAIM_IDENTITY = ["corpus", "profile", "claim", "question", "direction", "margin"]
UNBOUNDED = ("_change", "epsilon", "seconds", "correlation", "audit_")
"""Parts of the names of metrics that are no shares between 0 and 1."""


def over_seeds(values: np.ndarray, low: np.ndarray, high: np.ndarray, redrawn: bool, share: bool = True) -> Measure:
    """The mean of a number over seeds, with its 95 % interval; n is the number of seeds.

    values, low, high: float [seeds], each with the interval of its own run. redrawn: whether seeds
    have other speakers each. share: whether the number lies between 0 and 1; the interval is then made where the variance of
    a share does not depend on its size, arcsin(sqrt(share)).

    The variance of the mean is s²/S from the spread s between S seeds, by Student's t with S - 1 degrees, and within seeds
    the mean square w² of the runs' own half widths: w²/S where speakers are redrawn, w² where all seeds have the same. One
    seed has the interval of its run; where a run has none, nor has the mean.
    """
    if len(values) == 1:
        return Measure(float(values[0]), float(low[0]), float(high[0]), 1)
    if np.isnan(low).any() or np.isnan(high).any():
        return Measure(float(np.mean(values)), math.nan, math.nan, len(values))
    there = (lambda x: np.arcsin(np.sqrt(np.clip(x, 0, 1)))) if share else np.asarray
    points, half = there(values), (there(high) - there(low)) / 2
    count, within = len(points), float(np.mean(half**2))
    between = (student.ppf(0.975, count - 1) * points.std(ddof=1)) ** 2 / count
    width = math.sqrt(between + (within / count if redrawn else within))
    ends = np.array([points.mean() - width, points.mean() + width])
    ends = np.sin(np.clip(ends, 0, np.pi / 2)) ** 2 if share else ends
    value = float(np.mean(values))
    return Measure(value, float(min(ends[0], value)), float(max(ends[1], value)), count)


def across(results: pd.DataFrame, redrawn: set[str]) -> pd.DataFrame:
    """Every number of several runs (typed results) over their seeds: a table with ACROSS_COLUMNS.

    redrawn: corpora of which each seed has other speakers.
    """
    rows = []
    for identity, group in results.groupby(IDENTITY, sort=False, dropna=False):
        about = dict(zip(IDENTITY, identity, strict=True))
        share = not any(part in about["metric"] for part in UNBOUNDED) and group["value"].between(0, 1).all()
        found = over_seeds(*_with_ends(group, "value"), about["corpus"] in redrawn, bool(share))
        rows.append(about | dict(value=found.value, low=found.low, high=found.high, seeds=found.n))
    return pd.DataFrame(rows, columns=ACROSS_COLUMNS)


def claims_across(claims: pd.DataFrame, redrawn: set[str]) -> pd.DataFrame:
    """What several runs' claims come to: how often each holds, does not and is undecided, and what the mean difference over
    seeds decides, with its interval."""
    rows = []
    for identity, group in claims.groupby(CLAIM_IDENTITY, sort=False, dropna=False):
        about = dict(zip(CLAIM_IDENTITY, identity, strict=True))
        about |= {word.replace(" ", "_"): int((group["outcome"] == word).sum()) for word in (HOLDS, FAILS, UNDECIDED)}
        measured = group[group["difference"].notna()]
        gap = Measure(math.nan, math.nan, math.nan, 0)
        if len(measured):
            columns = _with_ends(measured, "difference")
            gap = over_seeds(*columns, about["corpus"] in redrawn, share=False)
            gap = replace(gap, low=max(gap.low, -1.0), high=min(gap.high, 1.0))  # claims compare shares
        outcome = word_of(gap, about["direction"], about["margin"])
        rows.append(about | dict(seeds=gap.n, outcome=outcome, difference=gap.value, low=gap.low, high=gap.high))
    counted = [word.replace(" ", "_") for word in (HOLDS, FAILS, UNDECIDED)]
    return pd.DataFrame(rows, columns=[*CLAIM_IDENTITY, *counted, "seeds", "outcome", "difference", "low", "high"])


def _with_ends(table: pd.DataFrame, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A column of numbers, and the ends of their intervals."""
    return table[name].to_numpy(float), table["low"].to_numpy(float), table["high"].to_numpy(float)
