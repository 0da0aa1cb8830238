"""Numbers and verdicts as people read them, each from a record."""

import math

import pandas as pd

from mia_lib.evaluation.intervals import Measure
from mia_lib.evaluation.rates import FPR_LEVELS
from mia_lib.evaluation.reading import beside_chance, pick
from mia_lib.evaluation.resolution import too_coarse
from mia_lib.support.progress import duration

__all__ = [
    "between",
    "number",
    "percent",
    "pick",
    "rates_table",
    "sure",
    "unmeasurable",
    "verdict",
    "worded",
    "written",
]

RATES = ("accuracy", "precision", "recall", "tpr_at_fpr", "person_fpr")
"""Words in the names of metrics that are shares, and are written in percent."""
UNITS = {"rate": " %", "points": " points"}
"""What is written behind a hundred times the value of these kinds."""
VERDICTS = {
    "at": "not told from chance",
    "above": "above chance",
    "below": "below chance",
    "unknown": "no interval",
}


def written(value: float, kind: str) -> str:
    """A value of a kind: a `rate` in percent, their difference in `points`, a `score` with three decimals, `seconds`, or any
    other (`plain`)."""
    if value is None or math.isnan(value):
        return "–"
    if kind in UNITS:
        return f"{round(100 * value, 1) + 0.0:.1f}{UNITS[kind]}"  # 0.0, never -0.0
    if kind == "seconds":
        return duration(value)
    return f"{round(value, 3) + 0.0:.3f}" if kind == "score" else f"{value:,.4g}"


def between(low: float, high: float, kind: str) -> str:
    """A 95 % interval, such as `[83.0, 88.1]` for rates; the unit stands beside the value."""
    ends = f"[{written(low, kind)}, {written(high, kind)}]"
    return ends.replace(UNITS[kind], "") if kind in UNITS else ends


def worded(measure: Measure | pd.Series, kind: str) -> str:
    """A value of a kind with its 95 % interval, where it has one, such as `6.8 points [4.4, 9.2]`."""
    interval = "" if math.isnan(measure.low) else f" {between(measure.low, measure.high, kind)}"
    return written(measure.value, kind) + interval


def percent(measure: Measure | pd.Series) -> str:
    """A rate, such as `85.9 % [83.0, 88.1]`."""
    return worded(measure, "rate")


def rate_at(level: float) -> str:
    """The measure of members found at `level` false alarms, one of `FPR_LEVELS`."""
    return next(name for name, own in FPR_LEVELS.items() if own == level)


def number(measure: Measure | pd.Series) -> str:
    """A value with three decimals, such as `0.912 [0.894, 0.930]`."""
    return worded(measure, "score")


def unmeasurable(nonmembers: int) -> str:
    """What stands in place of a rate at fewer false positives than so many non-members can show."""
    return f"not measurable below 1 in {nonmembers:,}"


def rates_table(records: pd.DataFrame, metrics: list[str], index: list[str] | None = None) -> pd.DataFrame:
    """A table for people: one row per combination of `index` columns, one column per metric, values with intervals.

    Metrics that were nowhere measured are left out. Rates at fewer false positives than the non-members can show are not
    printed as if they could (`too_coarse`).
    """
    index = index or ["protocol", "attack"]
    records = records.assign(coarse=too_coarse(records))
    part = records[records["metric"].isin(metrics)]
    part = part.assign(text=[unmeasurable(m.coarse) if m.coarse else _text(m) for m in part.itertuples()])
    order = part[index].drop_duplicates()
    table = part.pivot(index=index, columns="metric", values="text")
    table = table[[metric for metric in metrics if metric in table]]
    return table.loc[[tuple(row) if len(index) > 1 else row[0] for row in order.to_numpy()]]


def _text(row) -> str:
    """The value of a record with its interval; shares in percent."""
    return percent(row) if any(word in row.metric for word in RATES) else number(row)


def verdict(measure: Measure, chance: float = 0.5) -> str:
    """Whether the 95 % interval is told from chance, and on which side it lies."""
    return VERDICTS[beside_chance(measure, chance)]


def sure(posterior: float) -> str:
    """A posterior in percent, with as many decimals as its distance from 100 % needs, such as `99.9982 %`."""
    decimals = min(9, max(1, math.ceil(-math.log10(max(1 - posterior, 1e-12))) - 1))
    return f"{100 * posterior:.{decimals}f} %"
