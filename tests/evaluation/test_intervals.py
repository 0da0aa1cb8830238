"""How wide intervals are: models are drawn again as well as recordings, and shares are never surer than their counts."""

import numpy as np
import pytest

from mia_lib.evaluation.audit import Audit
from mia_lib.evaluation.evaluate import evaluate
from mia_lib.evaluation.intervals import mean_measure

MEMBER = np.arange(400) < 200


def audit(scores, threshold=0.5):
    return Audit(scores, MEMBER, np.arange(400).astype(str), threshold, np.arange(400))


def test_an_interval_over_two_targets_that_differ_reaches_from_the_one_to_the_other():
    measures = evaluate([audit(np.where(MEMBER, 1.0, 0.0)), audit(np.zeros(400))], 400)
    for name, worst in (("auc", 0.5), ("balanced_accuracy", 0.5), ("recall", 0.0), ("tpr_at_fpr_1e-2", 0.0),
                        ("tpr_at_fpr_1e-3_pooled", 0.0)):  # fmt: skip
        assert measures[name].value == pytest.approx((worst + 1) / 2), name
        assert measures[name].low == pytest.approx(worst, abs=0.01), name
        assert measures[name].high == pytest.approx(1, abs=0.01), name


@pytest.mark.parametrize("found", ["all", "none"])
def test_where_all_or_no_members_are_found_the_interval_is_the_exact_one(found):
    scores = np.where(MEMBER, 1.0, 0.0) if found == "all" else np.where(MEMBER, 0.0, 1.0)
    measures = evaluate([audit(scores, 0.5 if found == "all" else np.inf)], 100)
    surest = 0.025 ** (1 / 200)  # the share of 200 that is found 200 times with a chance of 2.5 %
    low, high = (surest, 1) if found == "all" else (0, 1 - surest)
    for name in ("recall", "tpr_at_fpr_1e-1", "tpr_at_fpr_1e-3", "tpr_at_fpr_0", "tpr_at_fpr_1e-3_pooled"):
        assert (measures[name].low, measures[name].high) == pytest.approx((low, high)), name


def test_a_control_deals_whole_recordings_half_of_either_side():
    units = np.repeat(np.arange(40), 10).astype(str)
    for seed in range(5):
        dealt = Audit(np.zeros(400), MEMBER, units, 0.5, np.arange(400)).shuffled(seed).member.reshape(40, 10)
        assert (dealt == dealt[:, :1]).all()
        assert dealt[:20, 0].sum() == dealt[20:, 0].sum() == 10


def test_an_interval_of_accuracies_draws_the_models_again():
    units = [np.arange(300).astype(str)] * 2
    measure = mean_measure([np.ones(300), np.zeros(300)], units, 400)
    assert (measure.value, measure.low, measure.high) == pytest.approx((0.5, 0, 1))
    alike = mean_measure([np.arange(300) % 2.0] * 2, units, 400)
    assert 0.4 < alike.low < alike.value < alike.high < 0.6
