"""Claims are decided by the interval of a difference, and by nothing that was not measured."""

import math
from dataclasses import replace

import pandas as pd
import pytest

from mia_lib.evaluation.claims import CLAIM_COLUMNS, Claim, Pick, decide, measures_of, tally
from mia_lib.evaluation.intervals import Measure
from mia_lib.evaluation.records import Result, results_table
from mia_lib.support.errors import UsageError


def records(*values, **about):
    """AUCs of attacks a, b, ... under `utterance`, each (value, low, high)."""
    identity = (
        dict(corpus="demo", profile="smoke", seed=0, protocol="utterance", defense="none", adaptive=False) | about
    )
    tables = [
        results_table(identity | dict(attack="abc"[i]), [Result("auc", Measure(*value, 100))])
        for i, value in enumerate(values)
    ]
    return pd.concat(tables)


A, B = Pick("auc", "a"), Pick("auc", "b")
HALF = (0.5, 0.48, 0.52)


@pytest.mark.parametrize(
    ("one", "direction", "margin", "word"),
    [
        ((0.9, 0.88, 0.92), "above", 0.0, "holds"),
        ((0.9, 0.88, 0.92), "above", 0.38, "undecided"),
        ((0.9, 0.88, 0.92), "above", 0.45, "does not hold"),
        ((0.9, 0.88, 0.92), "below", 0.0, "does not hold"),
        ((0.3, 0.28, 0.32), "below", 0.1, "holds"),
        ((0.51, 0.49, 0.53), "above", 0.0, "undecided"),
        ((0.51, 0.49, 0.53), "near", 0.05, "holds"),
        ((0.51, 0.49, 0.53), "near", 0.03, "undecided"),
        ((0.9, 0.88, 0.92), "near", 0.05, "does not hold"),
        ((0.3, 0.28, 0.32), "near", 0.05, "does not hold"),
        ((0.9, math.nan, math.nan), "above", 0.0, "undecided"),
    ],
)
def test_the_interval_of_the_difference_decides(one, direction, margin, word):
    outcome = decide(Claim("00.x", "A beats B.", A, B, direction, margin), records(one, HALF))
    assert outcome.word == word and outcome.sentence().startswith(f"**{word.capitalize()}:** A beats B. (")


def test_below_guessing_nothing_counts_as_less_than_guessing():
    table = records((0.39, 0.29, 0.47), (0.41, 0.3, 0.49))
    assert decide(Claim("14.x", "?", A, B, "near", 0.05, 0.5), table).word == "holds"
    assert decide(Claim("14.x", "?", A, B, "near", 0.05), table).word == "undecided"
    found = decide(Claim("14.x", "?", A, 0.6, "below", 0.0, 0.5), table)
    assert (found.one.value, found.gap.value) == (0.5, pytest.approx(-0.1))


def test_a_fixed_number_has_no_luck_of_its_own():
    outcome = decide(Claim("00.x", "A finds members.", A, 0.5), records((0.53, 0.51, 0.55)))
    assert outcome.word == "holds" and outcome.numbers() == "(0.530 [0.510, 0.550] beside 0.5)"


def test_what_was_not_measured_is_undecided_and_says_so():
    outcome = decide(Claim("00.x", "A beats C.", A, Pick("auc", "c")), records(HALF, HALF))
    assert outcome.word == "undecided" and outcome.sentence().endswith("A beats C. (not measured)")


def test_a_number_without_an_interval_decides_nothing_and_says_why():
    alone = (0.9, math.nan, math.nan)
    outcome = decide(Claim("00.x", "A beats C.", A, Pick("auc", "b"), margin=0.05), records(alone, HALF))
    assert outcome.word == "undecided" and outcome.numbers().endswith(", margin 0.05, too few data for an interval)")


def test_a_record_is_picked_by_all_that_is_named_and_by_no_circumstance_that_is_not():
    plain, fewer = records(HALF), records((0.7, 0.6, 0.8))
    fewer = fewer.assign(metric="auc_4_references", references=4)
    both = pd.concat([fewer, plain, records((0.8, 0.7, 0.9), corpus="folder:x", defense="mixup", adaptive=True)])
    assert A.find(both).value == 0.5 and Pick("auc", "a", references=4).find(both).value == 0.7
    assert Pick("auc", "a", corpus="folder:x", defense="mixup").find(both).value == 0.8
    assert Pick("auc", "a", defense="mixup", adaptive=False).find(both) is None
    assert Pick("auc", "a", protocol="paper").find(both) is None


@pytest.mark.parametrize("options", [dict(direction="beside"), dict(direction="near"), dict(margin=-1.0)])
def test_a_claim_that_cannot_be_decided_is_refused(options):
    with pytest.raises(UsageError, match=r"claim 00\.x"):
        Claim("00.x", "?", A, B, **options)


def test_a_row_of_the_table_holds_everything_that_decides():
    outcome = decide(Claim("00.x", "A beats B.", A, B), records((0.9, 0.88, 0.92), HALF))
    row = outcome.row(dict(corpus="demo", profile="smoke", seed=0))
    assert measures_of(row) == tuple(replace(one, n=0) for one in (outcome.one, outcome.other, outcome.gap))
    assert list(row) == CLAIM_COLUMNS and row["outcome"] == "holds" and row["difference"] == pytest.approx(0.4)
    empty = decide(Claim("00.x", "A beats C.", A, Pick("auc", "c")), records(HALF)).row({})
    assert math.isnan(empty["one"]) and math.isnan(empty["high"])


def test_claims_are_counted_in_a_sentence():
    text = tally(["holds", "holds", "does not hold", "undecided"])
    assert (
        text == "Of 4 claims that were stated beforehand, 2 hold, 1 does not, and 1 cannot be told." and tally([]) == ""
    )
