"""Which rates at few false positives an audit set can carry: one in x needs x non-members."""

import pandas as pd

from mia_lib.evaluation.rates import FPR_LEVELS, POOLED, POOLED_LEVEL
from mia_lib.evaluation.reading import with_circumstances
from mia_lib.evaluation.records import IDENTITY

LEVELS = FPR_LEVELS | {POOLED: POOLED_LEVEL}
_SAME = [*IDENTITY, "condition", "enrolment"]


def measurable(level: float, nonmembers: int) -> bool:
    """Whether a false-positive rate of `level` differs from none among so many non-members; none itself can be seen."""
    return level == 0 or level * nonmembers >= 1 - 1e-9


def too_coarse(records: pd.DataFrame) -> list[int]:
    """For each record 0, or the number of non-members if they are too few for the false-positive rate that it is about.

    How many non-members the smallest target has is the record `audit_nonmembers` of the same attack; where persons are
    audited it is at least `audit_units`. Where neither was kept, and for one threshold over all targets, it is half of n:
    n counts the members and non-members of all targets, who are about as many. For rates of single targets that is an upper
    limit, so that an older table is shown more often than it should be, never less.
    """
    table = with_circumstances(records)
    exact, persons = _counts(table, "audit_nonmembers"), _counts(table[table["enrolment"] > 0], "audit_units")
    found = []
    for row in table[[*_SAME, "measure", "n"]].to_dict("records"):
        level, key = LEVELS.get(row["measure"]), tuple(row[name] for name in _SAME)
        half = int(row["n"]) // 2 if row["n"] == row["n"] else 0  # NaN differs from itself
        others = half if row["measure"] == POOLED else exact.get(key, persons.get(key, half))
        found.append(others if level is not None and others and not measurable(level, others) else 0)
    return found


def _counts(table: pd.DataFrame, measure: str) -> dict[tuple, int]:
    rows = table[(table["measure"] == measure) & (table["control"] == "")]
    keys = rows[_SAME].itertuples(index=False, name=None)
    return dict(zip(keys, rows["value"].astype(int), strict=True))
