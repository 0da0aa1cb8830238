"""Records of an audit among those of a run: what was audited is their condition."""

import pandas as pd

from mia_lib.evaluation.reading import measure_of
from mia_lib.evaluation.records import CIRCUMSTANCES, IDENTITY, Result, results_table

KEPT = ("auc", "tpr_at_fpr_1e-2", "audit_units", "audit_nonmembers")
"""Measures that a run keeps of an audit; all others are in the audit's own files."""


def records_of(results: pd.DataFrame, condition: str, trap: bool = False, **identity) -> pd.DataFrame:
    """The numbers KEPT of an audit, under a condition that says what was audited, as rows of a run.

    results: those of a `Report`. All attacks of an audit share one shuffling, so that they lie off chance together: these
    numbers are no negative controls of the run, which are counted, but have a condition of their own,
    `<condition>_shuffled`. trap: the two sides differ by more than training, so that the unexposed control must fail: it is
    `<condition>_unexposed` likewise. identity: the columns of IDENTITY that the run decides (corpus, profile, seed).
    """
    rows = results[results["measure"].isin(KEPT)]
    apart = rows["control"].isin(["shuffled", "unexposed"] if trap else ["shuffled"])
    own = (condition + "_" + rows["control"]).where(apart, condition)
    rows = rows.assign(condition=own, control=rows["control"].mask(apart, ""))
    return pd.concat(
        results_table({name: row[name] for name in IDENTITY} | identity, [_result(row)])
        for row in rows.to_dict("records")
    )


def _result(row: dict) -> Result:
    return Result(value=measure_of(row), **{name: row[name] for name in CIRCUMSTANCES})
