"""How much a defense changes what the strongest attack finds that knows it, beside no defense."""

from dataclasses import dataclass

import pandas as pd

from mia_lib.evaluation.differences import compared, difference, turned
from mia_lib.evaluation.intervals import Measure
from mia_lib.evaluation.rates import POOLED
from mia_lib.evaluation.reading import beside_chance, measure_of
from mia_lib.evaluation.resolution import LEVELS
from mia_lib.evaluation.strongest import ENOUGH, STRONGEST

SAME = 0.05
"""Difference of two rates or AUCs up to which a defense leaks as much as none, if the whole interval lies within it."""

FOLD = 10
"""How many times as many as by guessing may be found at few false alarms where that counts as chance."""


def known(records: pd.DataFrame, metric: str, protocol: str = "utterance") -> pd.DataFrame:
    """The records of `metric` of all attacks that know the defense, under a protocol.

    AUCs and accuracies below one half are turned round; a column `was_turned` says which. Rates at few false alarms are not
    turned, and of those at 0.1 % only attacks count that were tried on ENOUGH examples, or on the most there are.
    """
    rows = records[records["adaptive"] & (records["metric"] == metric) & (records["protocol"] == protocol)]
    if metric == POOLED:
        rows = rows[rows["n"] >= min(ENOUGH, rows["n"].max())]
    if metric in LEVELS:
        return rows.assign(was_turned=False)
    flipped = [turned(Measure(row.value, row.low, row.high, row.n)) for row in rows.itertuples()]
    ends = {name: [float(getattr(measure, name)) for measure in flipped] for name in ("value", "low", "high")}
    return rows.assign(was_turned=rows["value"] < 0.5, **ends)


def strongest(records: pd.DataFrame, metric: str, protocol: str = "utterance") -> pd.Series:
    """The record with the largest value of `metric` among the attacks that know the defense; picked, so it is optimistic."""
    rows = known(records, metric, protocol)
    return rows.iloc[int(rows["value"].to_numpy().argmax())]


@dataclass(frozen=True)
class Leak:
    """The largest value of several attacks, by which one, out of how many, and between which ends all of them leave it."""

    measure: Measure
    attack: str
    out_of: int
    turned: bool

    def text(self) -> str:
        """Such as `0.976 [0.968, 0.981] (lira_online)`."""
        by = self.attack + ", turned round" * self.turned
        return f"{self.measure.text()} ({by})"


def leak(records: pd.DataFrame, metric: str, protocol: str = "utterance") -> Leak | None:
    """What the strongest attack finds that knows the defense; None where none was tried.

    Its interval is the one that knows that attacks were picked, where they were measured together (STRONGEST). Elsewhere it
    reaches from the largest lower end of all attacks to the largest upper end, since an attack with a smaller value and a
    narrower interval may say more; one without an interval leaves the upper end open.
    """
    rows = known(records, metric, protocol)
    if rows.empty:
        return None
    best = rows.iloc[int(rows["value"].to_numpy().argmax())]
    low, high = float(rows["low"].fillna(0).max()), float(rows["high"].fillna(1).max())
    if (together := measured_together(records, f"{STRONGEST}_{metric}", protocol)) is not None:
        low, high = together.low, together.high
    measure = Measure(float(best["value"]), min(low, float(best["value"])), high, int(best["n"]))
    return Leak(measure, str(best["attack"]), len(rows), bool(best["was_turned"]))


@dataclass(frozen=True)
class Change:
    """A word on what the strongest attack finds behind a defense and without one, and both."""

    word: str
    new: Leak | None = None
    old: Leak | None = None
    gap: Measure | None = None

    def text(self, of: str = "") -> str:
        """Both numbers and the difference that decides the word, after what they are of, and n where it differs."""
        if self.new is None or self.old is None or self.gap is None:
            return "no attack that knows it was tried on both"
        sizes = self.new.measure.n, self.old.measure.n
        beside = "" if sizes[0] == sizes[1] else f", n {sizes[1]:,} → {sizes[0]:,}"
        return f"{of} {self.old.text()} → {self.new.text()}, change {self.gap.signed()}{beside}".strip()


def in_a_word(gap: Measure) -> str:
    """What a change of an AUC or an accuracy, beside that of no defense, says of a leak: `leaks more`, `leaks as much`,
    `leaks less`, `undecided` (`compared`); `leaks hardly less` where the whole interval lies below zero but within SAME.

    There is no such word for more: of an AUC near 1 a small rise may be most of what was left.
    """
    word = compared(gap, SAME)
    hardly = word == "less" and gap.low >= -SAME
    return word if word == "undecided" else f"leaks {'hardly ' * hardly}{word}"


def change(records: pd.DataFrame, undefended: pd.DataFrame, metric: str = "auc", protocol: str = "utterance") -> Change:
    """`leaks more`, `leaks as much`, `leaks less`, `leaks hardly less` or `undecided`, by the strongest attack that knows the
    defense (`in_a_word`; of rates at few false alarms nothing is hardly less).

    Told by the interval of the difference (SAME): that of the same targets and recordings where both were measured together
    (`change_of_strongest`), else of two measures that have nothing in common (`difference`). Where it leaks less and the
    intervals of all attacks hold chance, it is `at chance` if they end within SAME above it (for rates whose chance is small,
    within FOLD times chance), else `leaks less, not told from chance`.
    """
    new, old = leak(records, metric, protocol), leak(undefended, metric, protocol)
    if new is None or old is None:
        return Change("undecided", new, old)
    together = measured_together(records, f"{STRONGEST}_{metric}_change", protocol)
    gap = difference(new.measure, old.measure) if together is None else together
    word, chance = in_a_word(gap), LEVELS.get(metric, 0.5)
    if metric in LEVELS:
        word = word.replace("hardly ", "")
    if word.endswith(" less") and _all_at_chance(records, metric, protocol):
        near = new.measure.high - chance <= min(SAME, FOLD * chance) + 1e-9
        word = "at chance" if near else "leaks less, not told from chance"
    return Change(word, new, old, gap)


def measured_together(records: pd.DataFrame, measure: str, protocol: str) -> Measure | None:
    """A number of several attacks or models that were measured together, on the same targets and recordings; None where none
    were."""
    rows = records[(records["metric"] == measure) & (records["protocol"] == protocol)]
    return None if rows.empty else measure_of(rows.iloc[0])


def _all_at_chance(records: pd.DataFrame, metric: str, protocol: str) -> bool:
    chance = LEVELS.get(metric, 0.5)
    rows = records[records["adaptive"] & (records["metric"] == metric) & (records["protocol"] == protocol)]
    return all(beside_chance(row, chance) == "at" for row in rows.itertuples())
