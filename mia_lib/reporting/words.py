"""Numbers and verdicts as people read them, each from a record."""

import pandas as pd

from mia_lib.evaluation.intervals import Measure


def percent(measure: Measure | pd.Series) -> str:
    """A rate with its 95 % interval, such as `85.9 % [83.0, 88.1]`."""
    return f"{100 * measure.value:.1f} % [{100 * measure.low:.1f}, {100 * measure.high:.1f}]"


def number(measure: Measure | pd.Series) -> str:
    """A value with its 95 % interval and three decimals, such as `0.912 [0.894, 0.930]`."""
    return f"{measure.value:.3f} [{measure.low:.3f}, {measure.high:.3f}]"


def pick(records: pd.DataFrame, metric: str, attack: str = "none", protocol: str = "", corpus: str = "") -> Measure:
    """The record of one metric; an empty `protocol` or `corpus` matches any when there is only one."""
    rows = records[(records["metric"] == metric) & (records["attack"] == attack)]
    for column, value in (("protocol", protocol), ("corpus", corpus)):
        rows = rows[rows[column] == value] if value else rows
    row = rows.iloc[0]
    return Measure(float(row["value"]), float(row["low"]), float(row["high"]), int(row["n"]))


def rates_table(records: pd.DataFrame, metrics: list[str], index: list[str] | None = None) -> pd.DataFrame:
    """A table for people: one row per combination of `index` columns, one column per metric, values with intervals."""
    index = index or ["protocol", "attack"]
    part = records[records["metric"].isin(metrics)]
    part = part.assign(text=[number(m) for m in part.itertuples()])
    order = part[index].drop_duplicates()
    table = part.pivot(index=index, columns="metric", values="text")[metrics]
    return table.loc[[tuple(row) if len(index) > 1 else row[0] for row in order.to_numpy()]]


def verdict(measure: Measure, chance: float = 0.5) -> str:
    """`not told from chance` when the interval holds chance, else `above chance` or `below chance`."""
    if measure.low <= chance <= measure.high:
        return "not told from chance"
    return "above chance" if measure.value > chance else "below chance"
