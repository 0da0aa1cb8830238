"""What was expected stands beside what was measured: forecasts are scored, beliefs hold or fall."""

import math

import pytest

from mia_lib.evaluation.claims import FAILS, HOLDS, UNDECIDED, Claim, Outcome, Pick
from mia_lib.evaluation.intervals import Measure
from mia_lib.series.beliefs import scored, table
from mia_lib.support.errors import UsageError

MEASURED = Measure(0.8, 0.75, 0.85, 100)
COMMENTS = dict(over="Too bold.", under="Too timid.")


def test_a_forecast_that_nobody_wrote_is_not_scored():
    text = scored(None, MEASURED, **COMMENTS)
    assert "no forecast" in text and "80.0 % [75.0, 85.0]" in text and "Too" not in text


@pytest.mark.parametrize(
    ("said", "judgement"),
    [(0.95, "15.0 points too high. Too bold."), (0.6, "20.0 points too low. Too timid."), (0.76, "cannot be told")],
)
def test_a_forecast_is_judged_by_the_interval(said, judgement):
    text = scored(said, MEASURED, "`paper`", **COMMENTS)
    assert text.startswith("`paper`: You said") and judgement in text


def test_scores_are_no_percentages_and_may_lack_an_interval():
    text = scored(0.5, Measure(0.6, math.nan, math.nan, 9), kind="score")
    assert "You said 0.500. Measured: **0.600**" in text and "0.100 too low." in text


@pytest.mark.parametrize("said", [70, -0.1, "0.7", True, math.nan])
def test_what_is_no_forecast_is_refused(said):
    with pytest.raises(UsageError, match="a number from 0 to 1"):
        scored(said, MEASURED)


def test_beliefs_are_counted_by_what_became_of_them():
    claim = Claim("99.some", "Pigs | fly.", Pick("auc"), 0.5)
    outcomes = [
        Outcome(claim, word, MEASURED, Measure(0.5, 0.5, 0.5, 0), MEASURED) for word in (HOLDS, FAILS, UNDECIDED)
    ]
    text = table({str(i): ("Pigs | fly.", outcome) for i, outcome in enumerate([*outcomes, None])})
    assert "Beliefs and claims: 1 held, 1 fell, 1 undecided, 1 not decided." in text
    rows = [line for line in text.splitlines() if line.startswith("| Pigs")]
    assert (
        len(rows) == 4 and all(row.count(" | ") == 2 for row in rows) and "0.800 [0.750, 0.850] beside 0.5" in rows[0]
    )
    assert "Nothing" in table({})
