"""95 % intervals hold the truth that often: a small version of tests/benchmarks/interval_coverage.py."""

from dataclasses import replace

import numpy as np
import pytest
from evaluation.worlds import WORLDS

from mia_lib.evaluation.evaluate import evaluate

SETS, DRAWS = 80, 100
LEAST = 0.86
"""Of 80 intervals of 95 %, fewer than 69 hold the truth once in 1,500 times."""


@pytest.mark.parametrize("name", ["three targets, recordings alike", "three targets that differ much", "one target"])
def test_intervals_of_rates_hold_the_truth(name):
    world, held = replace(WORLDS[name], speakers=20), []
    rng = np.random.default_rng(1)
    for number in range(SETS):
        gaps = world.gap + world.apart * rng.standard_normal(world.targets)
        truth = world.truth(gaps if world.targets == 1 else None)  # a single target's interval is of that very target
        rates = evaluate(world.audits(rng, gaps), DRAWS, number)
        names = ("auc", "balanced_accuracy", "precision", "recall", "tpr_at_fpr_1e-1", "tpr_at_fpr_1e-2")
        held.append([rates[name].low <= truth[name] <= rates[name].high for name in names])
    coverage = np.mean(held, axis=0)
    assert (coverage >= LEAST).all(), coverage


def test_a_threshold_at_few_false_alarms_does_not_flatter():
    """Where nothing is to be found, one in a hundred is found at one in a hundred, and the interval does not lie above it."""
    world, above = WORLDS["three targets, nothing to find"], 0
    rng = np.random.default_rng(2)
    for number in range(SETS):
        above += evaluate(world.audits(rng), DRAWS, number)["tpr_at_fpr_1e-2"].low > 0.01
    assert above <= 7  # 2 are expected
