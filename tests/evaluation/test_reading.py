"""Reading records: types, single numbers, and where an interval lies beside chance."""

import math

import pandas as pd
import pytest

from mia_lib.evaluation.intervals import Measure
from mia_lib.evaluation.reading import beside_chance, of_measure, pick, read_results, typed
from mia_lib.evaluation.records import COLUMNS, Result, results_table
from mia_lib.reporting.words import verdict

IDENTITY = dict(
    corpus="demo", profile="smoke", seed=0, protocol="speaker", defense="none", attack="lira_online", adaptive=False
)
RESULTS = [
    Result("auc", Measure(0.7, 0.6, 0.8, 10)),
    Result("auc", Measure(0.5, 0.4, 0.6, 10), control="unexposed"),
    Result("auc", Measure(0.8, 0.7, 0.9, 10), enrolment=5),
    Result("auc", Measure(0.9, 0.8, 1.0, 10), condition="room_rm1"),
]


@pytest.mark.parametrize(
    ("low", "high", "where", "words"),
    [
        (0.4, 0.6, "at", "not told from chance"),
        (0.5, 0.6, "at", "not told from chance"),
        (0.4, 0.5, "at", "not told from chance"),
        (0.6, math.nan, "unknown", "no interval"),
        (0.51, 0.6, "above", "above chance"),
        (0.3, 0.49, "below", "below chance"),
        (math.nan, 0.6, "unknown", "no interval"),
    ],
)
def test_an_interval_lies_at_above_or_below_chance(low, high, where, words):
    measure = Measure(0.5, low, high, 10)
    assert (beside_chance(measure), verdict(measure)) == (where, words)


def test_a_table_keeps_its_circumstances_through_text(tmp_path):
    table = results_table(IDENTITY, RESULTS)
    table.to_csv(tmp_path / "part.csv", index=False)
    pd.testing.assert_frame_equal(read_results(tmp_path / "part.csv"), typed(table), check_dtype=False)


def test_a_measure_is_told_from_itself_under_circumstances():
    table = typed(results_table(IDENTITY, RESULTS))
    assert of_measure(table, "auc")["value"].tolist() == [0.7]
    assert of_measure(table, "auc", ("", "unexposed"))["value"].tolist() == [0.7, 0.5]


def test_a_table_without_circumstances_is_called_as_its_metrics_are():
    table = typed(results_table(IDENTITY, RESULTS)[COLUMNS])
    assert table["measure"].tolist() == table["metric"].tolist() and set(table["control"]) == {""}


def test_a_record_is_picked_by_the_metric_as_the_file_calls_it():
    table = pd.concat([results_table(IDENTITY | {"adaptive": known}, RESULTS) for known in (False, True)])
    table.loc[table["adaptive"], "value"] += 0.01
    assert pick(table, "auc_enrolment_5", "lira_online", adaptive=False) == RESULTS[2].value
    assert pick(table, "auc_enrolment_5", "lira_online", adaptive=True).value == pytest.approx(0.81)
