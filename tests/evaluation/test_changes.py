"""What counts as chance, which attacks are asked, and how a change is written."""

import math

import pandas as pd
import pytest

from mia_lib.evaluation import changes
from mia_lib.evaluation.rates import POOLED


def attack(metric, value, low, high, n=4000, attack="lira_online", adaptive=True, protocol="utterance"):
    """One record of an attack."""
    return pd.DataFrame([dict(locals())])


@pytest.mark.parametrize(
    "high, word",
    [(0.002, "at chance"), (0.0109, "at chance"), (0.0112, "leaks less, not told from chance")],
)
def test_at_few_false_alarms_up_to_ten_times_as_many_as_by_guessing_may_be_found_at_chance(high, word):
    defended, bare = attack(POOLED, 0.001, 0.0, high), attack(POOLED, 0.5, 0.4, 0.6)
    assert changes.change(defended, bare, POOLED).word == word


@pytest.mark.parametrize("high, word", [(0.55, "at chance"), (0.56, "leaks less, not told from chance")])
def test_an_auc_is_at_chance_within_five_points_of_one_half(high, word):
    assert changes.change(attack("auc", 0.51, 0.49, high), attack("auc", 0.9, 0.85, 0.95)).word == word


def test_the_strongest_attack_has_the_largest_lower_and_the_largest_upper_end_of_all():
    rows = [attack("auc", 0.8, 0.6, 0.85), attack("auc", 0.75, 0.7, 0.9, n=100), attack("auc", 0.3, 0.25, 0.35)]
    found = changes.leak(pd.concat(rows), "auc")
    assert (found.measure.value, found.measure.low, found.measure.high, found.measure.n) == (0.8, 0.7, 0.9, 4000)
    assert (found.out_of, found.turned, found.text()) == (3, False, "0.800 [0.700, 0.900] (lira_online)")
    turned = changes.leak(attack("auc", 0.3, 0.25, 0.35), "auc")
    assert turned.turned and turned.text() == "0.700 [0.650, 0.750] (lira_online, turned round)"
    open_end = changes.leak(pd.concat([rows[0], attack("auc", 0.7, math.nan, math.nan)]), "auc").measure
    assert (open_end.low, open_end.high) == (0.6, 1.0)
    surer = changes.leak(pd.concat([rows[0], attack("auc", 0.79, 0.81, 0.85)]), "auc").measure
    assert surer.low == 0.8  # never above the value itself


def test_only_attacks_that_know_the_defense_under_the_same_protocol_are_asked():
    others = [attack("auc", 0.9, 0.8, 0.95, adaptive=False), attack("auc", 0.9, 0.8, 0.95, protocol="paper")]
    assert changes.leak(pd.concat(others), "auc") is None
    assert changes.leak(pd.concat(others), "auc", "paper").measure.value == 0.9
    assert changes.leak(pd.concat(others), "balanced_accuracy", "paper") is None


def test_a_change_is_written_with_both_numbers_and_the_sizes_where_they_differ():
    told = changes.change(attack("auc", 0.6, 0.55, 0.65), attack("auc", 0.9, 0.85, 0.95))
    assert told.text("AUC").startswith("AUC 0.900 [0.850, 0.950] (lira_online) → 0.600 [0.550, 0.650] (lira_online)")
    assert told.text().endswith(f"change {told.gap.signed()}") and told.gap.value == pytest.approx(-0.3)
    other = changes.change(attack("auc", 0.6, 0.55, 0.65, n=100), attack("auc", 0.9, 0.85, 0.95))
    assert other.text().endswith(", n 4,000 → 100")
    assert changes.change(attack("auc", 0.6, 0.5, 0.7), attack("recall", 1, 1, 1)).word == "undecided"
