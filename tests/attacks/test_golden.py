"""Equality with numbers of the published reference implementations, where a folder of them is at hand (MIA_GOLDEN).

The formulas are tested everywhere else against small numbers worked out by hand; this file only adds breadth.
"""

import os
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mia_lib.attacks import ATTACKS
from mia_lib.attacks.modified_entropy import class_thresholds
from mia_lib.attacks.rmia import average, dominated
from mia_lib.attacks.threshold import best_threshold
from mia_lib.attacks.top3_network import top_posteriors
from mia_lib.evaluation.intervals import clopper_pearson
from mia_lib.evaluation.rates import curve_rates, decision_rates, tpr_at_fpr
from mia_lib.signals.signals import Signals

FOLDER = Path(os.environ.get("MIA_GOLDEN", Path(__file__).resolve().parents[3] / "shared" / "golden"))
CLOSE = dict(atol=1e-11, rtol=1e-9)
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="no golden vectors here: MIA_GOLDEN names their folder")


@pytest.fixture(scope="module")
def mlleaks():
    return np.load(FOLDER / "mlleaks.npz", allow_pickle=False)


@pytest.fixture(scope="module")
def signals(mlleaks):
    return Signals(mlleaks["target_logits"][None], mlleaks["labels"][None], mlleaks["target_member"][None].astype(int))


def test_the_three_largest_posteriors_are_the_references(mlleaks, signals):
    np.testing.assert_allclose(top_posteriors(signals)[0], mlleaks["top3"], atol=1e-11, rtol=1e-9)


def test_thresholds_on_the_largest_posterior_decide_as_the_references(mlleaks, signals):
    member = mlleaks["target_member"]
    scores = ATTACKS.get("largest_posterior")().fit(signals).score(signals)[0]
    for i, threshold in enumerate(mlleaks["adv3_thresholds"]):
        accepted = scores >= threshold
        rates = decision_rates(accepted, member)
        assert (accepted == member).mean() == pytest.approx(mlleaks["adv3_accuracy"][i])
        assert rates["precision"][0] == pytest.approx(mlleaks["adv3_precision"][i])
        assert rates["recall"][0] == pytest.approx(mlleaks["adv3_recall"][i])


@pytest.fixture(scope="module")
def inputs():
    return np.load(FOLDER / "inputs.npz", allow_pickle=False)


@pytest.fixture(scope="module")
def references(inputs):
    keep = inputs["keep"]
    return Signals(inputs["shadow_logits"], np.tile(inputs["labels"], (len(keep), 1)), keep.astype(int), aligned=True)


@pytest.fixture(scope="module")
def target(inputs):
    member = inputs["target_member"][None].astype(int)
    return Signals(inputs["target_logits"][None], inputs["labels"][None], member, aligned=True)


def test_statistics_are_the_references(inputs, target):
    golden, s = np.load(FOLDER / "thresholds.npz", allow_pickle=False), target.statistics
    np.testing.assert_allclose(s.phi[0], np.load(FOLDER / "lira.npz")["phi_target_exact"], **CLOSE)
    for name, ours in (("loss", s.loss), ("entropy", s.entropy), ("mentropy_exact", s.modified_entropy)):
        np.testing.assert_allclose(ours[0], golden[f"target_{name}"], **CLOSE, err_msg=name)
    np.testing.assert_allclose(s.top[0, :, 0], golden["target_conf_max"], **CLOSE)
    np.testing.assert_array_equal(s.correct[0], golden["target_correct"])


@pytest.mark.parametrize(
    "name, sign", [("conf_true", 1), ("conf_max", 1), ("entropy", -1), ("mentropy", -1), ("loss", -1)]
)
def test_thresholds_per_class_are_as_good_as_the_references(inputs, name, sign):
    golden = np.load(FOLDER / "thresholds.npz", allow_pickle=False)
    scores, member, labels = sign * golden[f"shadow_{name}"], golden["shadow_member"], inputs["labels"]
    thresholds = class_thresholds(scores, labels, member, 30)
    for c in range(30):
        rows = labels == c
        reached = decision_rates(scores[rows] >= thresholds[c], member[rows])["balanced_accuracy"][0]
        assert reached == pytest.approx(golden[f"{name}_class_shadow_bacc"][c])


@pytest.mark.parametrize("variance, letters", [("fragment", "pervar"), ("shared", "fixvar")])
def test_lira_is_the_references(references, target, variance, letters):
    golden = np.load(FOLDER / "lira.npz", allow_pickle=False)
    extreme = np.abs(golden["phi_target"] - golden["phi_target_exact"]) > 1e-9  # the reference clips these
    for attack, sides, name in (("lira_online", 1, "online_{}_mean"), ("lira_offline", 1, "offline_one_{}_z_mean"),
                                ("lira_offline", 2, "offline_two_{}_mean")):  # fmt: skip
        ours = ATTACKS.get(attack)(variance=variance, sides=sides).fit(references).score(target)[0]
        np.testing.assert_allclose(ours[~extreme], golden[name.format(letters)][~extreme], **CLOSE, err_msg=name)


def between(scores, golden, name):
    return (golden[f"{name}_lo"] <= scores + 1e-12).all() and (scores <= golden[f"{name}_hi"] + 1e-12).all()


@pytest.mark.parametrize("gamma", [1, 2])
@pytest.mark.parametrize(
    "mode, a", [("online", None), *((f"offline_a{round(10 * a):02}", a) for a in (0.0, 0.3, 0.5, 1.0))]
)
def test_rmia_is_the_references(inputs, mode, a, gamma):
    golden = np.load(FOLDER / "rmia.npz", allow_pickle=False)
    labels = np.concatenate([inputs["labels"], inputs["pop_labels"]])
    population = np.arange(len(labels)) >= len(inputs["labels"])
    outside = np.full((16, population.sum()), -1)
    references = Signals(
        np.concatenate([inputs["shadow_logits"], inputs["pop_shadow_logits"]], axis=1),
        np.tile(labels, (16, 1)), np.concatenate([inputs["keep"].astype(int), outside], axis=1), True, population,
    )  # fmt: skip
    logits = np.concatenate([inputs["target_logits"], inputs["pop_target_logits"]])[None]
    target = Signals(logits, labels[None], np.full((1, len(labels)), -1), True, population)
    attack = ATTACKS.get("rmia_online" if a is None else "rmia_offline")(
        gamma=gamma, a=a, temperature=1.0, population="reserved"
    )
    assert between(attack.fit(references).score(target)[0, :400], golden, f"{mode}_g{gamma}")


def test_rmia_leaves_a_fragment_out_of_its_own_population(inputs):
    golden = np.load(FOLDER / "rmia.npz", allow_pickle=False)
    p, chosen = golden["p_target"], np.isin(np.arange(400), golden["B_pop_index"])
    keep = inputs["keep"]
    for a, mode in ((None, "online"), (0.3, "offline_a03")):
        ratio = p / average(golden["p_shadow"], keep, ~keep, a)
        for gamma in (1, 2):
            assert between(dominated(ratio[None], chosen, gamma)[0], golden, f"B_{mode}_g{gamma}")


def test_curves_agree_also_where_scores_tie():
    roc = np.load(FOLDER / "roc.npz", allow_pickle=False)
    for name in roc["names"].tolist():
        scores, member = roc[f"{name}__score"], roc[f"{name}__member"]
        ours = curve_rates(scores, member, np.ones((1, len(member))))
        assert ours["auc"][0] == pytest.approx(float(roc[f"{name}__auc"]), abs=1e-11), name
        assert roc_auc_score(member, scores) == pytest.approx(float(roc[f"{name}__auc"]), abs=1e-11)
        for level, expected in zip(roc["fpr_levels"], roc[f"{name}__tpr_at_fpr"], strict=True):
            assert tpr_at_fpr(scores, member, level) == pytest.approx(expected, abs=1e-11), (name, level)
        members = int(member.sum())
        for i, hits in enumerate(roc[f"{name}__tp_at_fpr"]):
            low, high = clopper_pearson(int(hits), members)
            expected = (float(roc[f"{name}__tpr_ci_low"][i]), float(roc[f"{name}__tpr_ci_high"][i]))
            assert (low, high) == pytest.approx(expected, abs=1e-9)
        best = decision_rates(scores >= best_threshold(scores, member), member)["balanced_accuracy"][0]
        assert best == pytest.approx(float(roc[f"{name}__best_balanced_accuracy"]), abs=1e-11), name
