"""Equality with numbers of the published reference implementations, where a folder of them is at hand (MIA_GOLDEN).

The formulas are tested everywhere else against small numbers worked out by hand; this file only adds breadth.
"""

import os
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mia_lib.attacks import ATTACKS
from mia_lib.attacks.top3_network import top_posteriors
from mia_lib.evaluation import best_threshold, curve_rates, decision_rates, tpr_at_fpr
from mia_lib.signals import Signals

FOLDER = Path(os.environ.get("MIA_GOLDEN", Path(__file__).resolve().parents[2] / "shared" / "golden"))
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="no golden vectors here: MIA_GOLDEN names their folder")


@pytest.fixture(scope="module")
def mlleaks():
    return np.load(FOLDER / "mlleaks.npz", allow_pickle=False)


@pytest.fixture(scope="module")
def signals(mlleaks):
    return Signals(mlleaks["target_logits"][None], mlleaks["labels"][None], mlleaks["target_member"][None].astype(int))


def test_the_three_largest_posteriors_are_the_references(mlleaks, signals):
    np.testing.assert_allclose(top_posteriors(signals.posteriors()[0]), mlleaks["top3"], atol=1e-11, rtol=1e-9)


def test_thresholds_on_the_largest_posterior_decide_as_the_references(mlleaks, signals):
    member = mlleaks["target_member"]
    scores = ATTACKS.get("largest_posterior")().fit(signals).score(signals)[0]
    for i, threshold in enumerate(mlleaks["adv3_thresholds"]):
        accepted = scores >= threshold
        rates = decision_rates(accepted, member)
        assert (accepted == member).mean() == pytest.approx(mlleaks["adv3_accuracy"][i])
        assert rates["precision"][0] == pytest.approx(mlleaks["adv3_precision"][i])
        assert rates["recall"][0] == pytest.approx(mlleaks["adv3_recall"][i])


def test_curves_agree_also_where_scores_tie():
    roc = np.load(FOLDER / "roc.npz", allow_pickle=False)
    for name in roc["names"].tolist():
        scores, member = roc[f"{name}__score"], roc[f"{name}__member"]
        ours = curve_rates(scores, member, np.ones((1, len(member))))
        assert ours["auc"][0] == pytest.approx(float(roc[f"{name}__auc"]), abs=1e-11), name
        assert roc_auc_score(member, scores) == pytest.approx(float(roc[f"{name}__auc"]), abs=1e-11)
        for level, expected in zip(roc["fpr_levels"], roc[f"{name}__tpr_at_fpr"], strict=True):
            assert tpr_at_fpr(scores, member, level) == pytest.approx(expected, abs=1e-11), (name, level)
        best = decision_rates(scores >= best_threshold(scores, member), member)["balanced_accuracy"][0]
        assert best == pytest.approx(float(roc[f"{name}__best_balanced_accuracy"]), abs=1e-11), name
