"""Negative controls are judged beside their own chance, and together beside luck."""

import math

import pytest

from mia_lib.evaluation.controls import chance_of, place, together


@pytest.mark.parametrize(
    ("measure", "low", "high", "where"),
    [
        ("auc", 0.4, 0.6, "at"),
        ("balanced_accuracy", 0.51, 0.6, "above"),
        ("tpr_at_fpr_1e-1", 0.05, 0.2, "at"),
        ("tpr_at_fpr_1e-1", 0.4, 0.6, "above"),  # holds one half, yet finds four times as many as guessing does
        ("tpr_at_fpr_1e-3_pooled", 0.0, 0.01, "at"),
        ("epsilon_lower_bound", 0.0, math.inf, "at"),
        ("epsilon_lower_bound", 0.3, math.inf, "above"),
        ("auc", math.nan, math.nan, "unknown"),
    ],
)
def test_a_control_is_judged_beside_its_own_chance(measure, low, high, where):
    assert place({"measure": measure, "value": (low + high) / 2, "low": low, "high": high}) == where


def test_chance_of_each_measure():
    names = ("auc", "balanced_accuracy", "tpr_at_fpr_1e-2", "tpr_at_fpr_0", "epsilon_lower_bound")
    assert [chance_of(name) for name in names] == [0.5, 0.5, 0.01, 0.0, 0.0]


def test_controls_together_stand_beside_the_number_that_luck_would_do():
    luck = together(["at"] * 19 + ["above"] + ["unknown"] * 5)
    assert (luck.n, luck.outside, luck.expected) == (20, 1, pytest.approx(1))
    assert luck.so_many == pytest.approx(1 - 0.95**20)
    assert luck.so_few == pytest.approx(0.95**20 + 20 * 0.05 * 0.95**19)
    assert together(["above"] * 3).so_many == pytest.approx(0.05**3)
    assert together([]).n == 0
