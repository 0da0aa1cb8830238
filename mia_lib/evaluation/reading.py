"""Reading records: tables with their types, one number by its name, and where its interval lies beside chance."""

import math
from pathlib import Path

import pandas as pd

from mia_lib.evaluation.intervals import Measure
from mia_lib.evaluation.records import CIRCUMSTANCES, COLUMNS
from mia_lib.support.spreadsheets import as_it_was

COUNTS = ("enrolment", "references", "queries")


def with_circumstances(table: pd.DataFrame) -> pd.DataFrame:
    """The table with all CIRCUMSTANCES; rows without a measure, of an older table, are called as their metric is."""
    blank = {name: 0 if name in COUNTS else "" for name in CIRCUMSTANCES}
    columns = {name: table[name].fillna(none) if name in table else none for name, none in blank.items()}
    table = table.assign(**columns)
    return table.assign(measure=table["measure"].astype(object).where(table["measure"] != "", table["metric"]))


def typed(table: pd.DataFrame) -> pd.DataFrame:
    """A table of text, as files have it, with numbers, truth values and words."""
    table = with_circumstances(table)
    numbers = {name: pd.to_numeric(table[name], errors="coerce") for name in ("seed", "value", "low", "high", "n")}
    counts = {name: pd.to_numeric(table[name], errors="coerce").fillna(0).astype(int) for name in COUNTS}
    adaptive = table["adaptive"].astype(str).str.lower().isin(("true", "1", "1.0"))
    return table.assign(**numbers, **counts, adaptive=adaptive)


def read_results(path: Path) -> pd.DataFrame:
    """The typed table of a run's numbers; empty if there are none. The word `none` stays a word."""
    if not path.exists():
        return typed(pd.DataFrame(columns=COLUMNS))
    return typed(as_it_was(pd.read_csv(path, dtype=str, keep_default_na=False)))


def measure_of(row: pd.Series | dict) -> Measure:
    """The number of one record."""
    return Measure(float(row["value"]), float(row["low"]), float(row["high"]), int(row["n"]))


def of_measure(records: pd.DataFrame, measure: str, controls: tuple[str, ...] = ("",)) -> pd.DataFrame:
    """The rows of a measure under no further circumstances but some controls (empty: the attack itself)."""
    table = with_circumstances(records)
    plain = (table["condition"] == "") & (table[list(COUNTS)] == 0).all(axis=1)
    return table[plain & (table["measure"] == measure) & table["control"].isin(controls)]


def pick(
    records: pd.DataFrame,
    metric: str,
    attack: str = "none",
    protocol: str = "",
    corpus: str = "",
    adaptive: bool | None = None,
) -> Measure:
    """The record of one metric, as `results.csv` calls it.

    An empty `protocol` or `corpus`, and None for `adaptive`, match any when there is only one.
    """
    rows = records[(records["metric"] == metric) & (records["attack"] == attack)]
    for column, value in (("protocol", protocol), ("corpus", corpus)):
        rows = rows[rows[column] == value] if value else rows
    row = (rows if adaptive is None else rows[rows["adaptive"] == adaptive]).iloc[0]
    return measure_of(row)


def beside_chance(measure: Measure | pd.Series, chance: float = 0.5) -> str:
    """Where the 95 % interval lies: `at`, `above` or `below` chance; `unknown` where there is none."""
    if math.isnan(measure.low) or math.isnan(measure.high):
        return "unknown"
    if measure.low <= chance <= measure.high:
        return "at"
    return "above" if measure.low > chance else "below"
