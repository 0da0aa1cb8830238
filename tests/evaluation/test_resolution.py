"""Rates at few false positives are shown only where there are enough non-members."""

import numpy as np
import pytest

from mia_lib.evaluation.audit import Audit
from mia_lib.evaluation.evaluate import evaluate
from mia_lib.evaluation.intervals import Measure
from mia_lib.evaluation.records import Result, results_table
from mia_lib.evaluation.resolution import measurable, too_coarse

IDENTITY = dict(corpus="demo", profile="smoke", seed=0, protocol="speaker", defense="none", attack="a", adaptive=False)


def coarse(*results):
    return too_coarse(results_table(IDENTITY, [Result(*one[:2], enrolment=one[2]) for one in results]))


def test_one_in_x_needs_x_non_members():
    assert [measurable(0.001, n) for n in (450, 999, 1000)] == [False, False, True]
    assert measurable(0.1, 10) and not measurable(0.01, 99) and measurable(0.0, 5)


def test_the_smallest_target_counts_where_thresholds_are_its_own_and_all_together_where_not():
    few = Measure(0.2, 0.1, 0.3, 3000)
    names = ("auc", "tpr_at_fpr_1e-2", "tpr_at_fpr_1e-3", "tpr_at_fpr_0", "tpr_at_fpr_1e-3_pooled")
    rows = [(name, few, 0) for name in names]
    assert coarse(*rows, ("audit_nonmembers", Measure(450, 450, 450, 3000), 0)) == [0, 0, 450, 0, 0, 0]
    assert coarse(("tpr_at_fpr_1e-3_pooled", Measure(0.2, 0.1, 0.3, 1900), 0)) == [950]


def test_an_older_table_without_the_number_is_judged_by_half_of_its_examples():
    assert coarse(("tpr_at_fpr_1e-3", Measure(0.2, 0.1, 0.3, 900), 0)) == [450]
    assert coarse(("tpr_at_fpr_1e-3", Measure(0.2, 0.1, 0.3, float("nan")), 0)) == [0]


def test_of_persons_the_smaller_side_counts():
    rate, clusters = Measure(0.2, 0.1, 0.3, 60), Measure(9, 9, 9, 60)
    assert coarse(("tpr_at_fpr_1e-1", rate, 5), ("audit_units", clusters, 5)) == [9, 0]
    assert coarse(("tpr_at_fpr_1e-1", rate, 5), ("audit_units", clusters, 3)) == [0, 0]  # of another enrolment


def test_the_number_of_non_members_of_the_smallest_target_is_recorded():
    rng, targets = np.random.default_rng(0), []
    for others in (30, 20):
        member = np.arange(60) >= others
        targets.append(Audit(rng.random(60), member, np.arange(60).astype(str), 0.5, np.arange(60)))
    assert evaluate(targets, 5)["audit_nonmembers"] == Measure(20, 20, 20, 120)
    assert "audit_nonmembers" not in evaluate(targets, 5, control=True)


@pytest.mark.parametrize("level", [0.1, 0.01, 0.001])
def test_as_many_as_one_false_alarm_needs_are_enough(level):
    assert measurable(level, round(1 / level)) and not measurable(level, round(1 / level) - 1)
