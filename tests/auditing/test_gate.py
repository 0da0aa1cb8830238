"""The gate: an interval decides, not the value; what cannot be compared is refused before anything is computed."""

import pandas as pd
import pytest

from mia_lib.auditing.gate import condition
from mia_lib.support.errors import MiaError, UsageError


def results(**measures):
    """Results of the strongest attack and of `loss`; measures: (low, high)."""
    rows = [
        dict(attack=attack, measure=name, control="", value=(low + high) / 2, low=low, high=high, n=10)
        for attack in ("strongest", "loss")
        for name, (low, high) in measures.items()
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("text", "holds"),
    [("auc > 0.55", True), ("auc > 0.6", False), ("auc<0.8", False), ("auc < 0.85", True), ("loss.auc > .5", True)],
)
def test_above_needs_the_lower_end_and_below_the_upper(text, holds):
    assert condition(text).holds(results(auc=(0.6, 0.8))) is holds


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("auc", "is no condition"),
        ("auc >= 0.5", "is no condition"),
        ("auk > 0.5", "unknown measure 'auk'"),
        ("precision > 0.5", "precision needs an attack, as in 'loss.precision'"),
        ("lyra.auc > 0.5", "unknown attack 'lyra'"),
        ("auc > high", "'high' is no number"),
        ("auc > nan", "'nan' is no number"),
    ],
)
def test_what_is_no_condition_is_refused(text, sentence):
    with pytest.raises(UsageError, match=sentence):
        condition(text)


def test_a_number_that_the_audit_does_not_have_is_said():
    with pytest.raises(MiaError, match="no tpr_at_fpr_1e-3 of strongest: it takes 1,000 non-members"):
        condition("tpr_at_fpr_1e-3 > 0.1").holds(results(auc=(0.6, 0.8)))
    with pytest.raises(MiaError, match="no interval here: it takes 100 non-members"):
        condition("loss.tpr_at_fpr_1e-2 > 0.1").holds(results(**{"tpr_at_fpr_1e-2": (float("nan"), float("nan"))}))


def test_what_was_compared_is_said():
    assert condition("auc  > 0.55").said(results(auc=(0.6, 0.8))) == (
        "auc > 0.55: holds (strongest auc 0.700 [0.600, 0.800], its lower end counts)"
    )
