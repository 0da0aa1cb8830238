"""What was measured on the same targets and recordings stands in place of two numbers that have nothing in common."""

import pandas as pd
import pytest
from test_verdicts import NONE, records, with_row

from mia_lib.evaluation import changes, verdicts
from mia_lib.evaluation.intervals import Measure

TABLE = records("dmp:2", 0.926, 0.5, 0.5, 0.578, 0.55)  # by the numbers apart it leaks less


def kept(protocol, metric, value, low, high):
    """TABLE and one more record of all attacks, or of the models, together."""
    row = TABLE.iloc[[0]].assign(protocol=protocol, metric=metric, value=value, low=low, high=high, n=77)
    return pd.concat([TABLE, row])


@pytest.mark.parametrize(
    "low, high, word",
    [
        (-0.5, -0.1, "leaks less"),
        (-0.06, -0.01, "leaks less"),
        (-0.05, -0.01, "leaks hardly less"),
        (0.1, 0.5, "leaks more"),
        (0.01, 0.04, "leaks more"),
        (-0.04, 0.05, "leaks as much"),
        (-0.1, 0.5, "undecided"),
    ],
)
def test_the_change_of_the_strongest_attack_is_told_by_the_difference_that_was_kept(low, high, word):
    table = kept("utterance", "strongest_auc_change", (low + high) / 2, low, high)
    found = changes.change(table, NONE)
    assert (found.word, found.gap) == (word, Measure((low + high) / 2, low, high, 77))
    assert changes.change(table, NONE, "balanced_accuracy").word == "leaks less"  # of which none was kept
    assert changes.change(table, with_row(NONE, "paper", "auc", 0.9, 0.8, 0.95), protocol="paper").new is None


def test_what_accuracy_a_defense_takes_is_the_change_of_accuracy_turned_round():
    table = kept("", "test_accuracy_change", -0.03, -0.05, 0.01)
    assert verdicts.cost(table, NONE) == Measure(0.03, -0.01, 0.05, 77)
    assert "at a cost of 3.0 [-1.0, 5.0] points of accuracy;" in verdicts.verdict(table, NONE)
    assert verdicts.cost(TABLE, NONE).value == pytest.approx(0.024)


def test_a_point_of_the_plane_is_the_strongest_attack_of_all_where_it_was_kept():
    table, family = kept("speaker", "strongest_auc", 0.85, 0.75, 0.9), {"dmp:2": "distillation"}
    point = verdicts.points(table, family, "auc", "speaker").loc["dmp:2"]
    assert point[["y", "y_low", "y_high"]].tolist() == [0.85, 0.75, 0.9]
    assert verdicts.points(table, family, "auc").loc["dmp:2", "y"] == 0.578  # under the other protocol none was
