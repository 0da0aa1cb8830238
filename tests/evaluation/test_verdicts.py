"""Verdicts follow from the numbers: what is reproduced, at what cost, and whether it holds against who knows the defense."""

import pandas as pd
import pytest

from mia_lib.evaluation import verdicts
from mia_lib.evaluation.records import COLUMNS


def records(defense, accuracy, paper, adaptive, lira, lira_low, other=(0.5, 0.45, 0.55)):
    """Judged records of one defense: test accuracy, the paper's attack without and with knowledge, and LiRA's AUC;
    other: that of another attack, with its interval."""
    rows = [
        ("", "none", False, "test_accuracy", accuracy, accuracy - 0.02),
        ("", "none", False, "train_seconds_ratio", 1.5, 1.5),
        ("paper", "top3_network", False, "balanced_accuracy", paper, paper - 0.02),
        ("paper", "top3_network", True, "balanced_accuracy", adaptive, adaptive - 0.02),
        ("utterance", "lira_online", True, "auc", lira, lira_low),
        ("utterance", "label_only", True, "auc", *other[:2]),
        ("utterance", "lira_online", False, "auc", 0.999, 0.99),
        ("utterance", "lira_online", True, "tpr_at_fpr_1e-3_pooled", 0.02, 0.0),
        ("speaker", "label_only", True, "auc", 0.8, 0.7),
    ]
    common = dict(corpus="demo", profile="smoke", seed=0, defense=defense, n=100)
    names = ["protocol", "attack", "adaptive", "metric", "value", "low"]
    table = pd.DataFrame(rows, columns=names).assign(**common, high=lambda t: t["value"] + 0.02)
    table.loc[(table["attack"] == "label_only") & (table["protocol"] == "utterance"), "high"] = other[2]
    return table[COLUMNS]


NONE = records("none", 0.95, 0.99, 0.99, 0.98, 0.96)


@pytest.mark.parametrize(
    "defended, words",
    [
        (dict(accuracy=0.95, paper=0.50, adaptive=0.99, lira=0.98, lira_low=0.96),
         "reproduced; holds only against a non-adaptive attacker"),
        (dict(accuracy=0.94, paper=0.53, adaptive=0.51, lira=0.52, lira_low=0.48),
         "reproduced, also against attackers who know it"),
        (dict(accuracy=0.80, paper=0.50, adaptive=0.51, lira=0.52, lira_low=0.48),
         "reproduced, at 15 points of accuracy, also against attackers who know it"),
        (dict(accuracy=0.925, paper=0.50, adaptive=0.51, lira=0.52, lira_low=0.48),
         "reproduced, also against attackers who know it"),
        (dict(accuracy=0.91, paper=0.50, adaptive=0.51, lira=0.52, lira_low=0.48),
         "reproduced, at 4 points of accuracy, also against attackers who know it"),
        (dict(accuracy=0.95, paper=0.54, adaptive=0.60, lira=0.52, lira_low=0.48), "not reproduced"),
    ],
)  # fmt: skip
def test_a_verdict_follows_from_the_numbers(defended, words):
    assert verdicts.verdict(records("weight_decay:0.1", **defended), NONE) == words
    assert verdicts.verdict(records("dmp:2", **defended), NONE) == words.replace("reproduced", "to chance")


@pytest.mark.parametrize("other", [(0.515, 0.51, 0.52), (0.42, 0.38, 0.46), (0.5, float("nan"), float("nan"))])
def test_one_adaptive_attack_told_from_chance_on_either_side_is_enough(other):
    table = records("weight_decay:0.1", 0.95, 0.5, 0.51, lira=0.52, lira_low=0.48, other=other)
    assert verdicts.verdict(table, NONE) == "reproduced; holds only against a non-adaptive attacker"


def test_the_strongest_attack_is_one_that_knows_the_defense():
    best = verdicts.strongest(NONE, "auc")
    assert best["attack"] == "lira_online" and best["value"] == 0.98  # not the .999 of the one that does not know it


def test_an_attack_tried_on_few_fragments_says_nothing_about_one_false_alarm_in_a_thousand():
    row = NONE[NONE["metric"] == "tpr_at_fpr_1e-3_pooled"]
    few, enough, more = (row.assign(value=v, n=n) for v, n in ((0.05, 1990), (0.01, 2000), (0.02, 2500)))
    assert verdicts.strongest(pd.concat([few, enough, more]), row["metric"].iloc[0])["value"] == 0.02
    assert verdicts.strongest(pd.concat([few, few.assign(value=0.3, n=600)]), row["metric"].iloc[0])["value"] == 0.05


def test_rows_of_several_defenses_with_equal_numbers_in_their_index_are_kept_apart():
    both = pd.concat([NONE, records("top_k:1", 0.93, 0.5, 0.9, 0.7, 0.6)])
    table = verdicts.summary(both)
    assert list(table.index) == ["none", "top_k:1"] and table["strongest AUC, utterance"].tolist() == [0.98, 0.7]
    points = verdicts.points(both, {"none": "undefended", "top_k:1": "obfuscation"}, "auc")
    assert points.loc["top_k:1", ["x", "y", "y_low"]].tolist() == [0.93, 0.7, 0.6]


def test_a_cost_of_exactly_the_tolerance_is_little(monkeypatch):
    monkeypatch.setattr(verdicts, "TOLERANCE", 0.25)  # a number that floating point holds
    table = records("weight_decay:0.1", 0.75, 0.5, 0.51, lira=0.52, lira_low=0.48)
    words = verdicts.verdict(table, records("none", 1.0, 0.99, 0.99, 0.98, 0.96))
    assert words == "reproduced, also against attackers who know it"


def test_the_summary_of_a_defense_holds_each_of_its_numbers():
    other = records("top_k:1", 0.93, 0.5, 0.9, 0.7, 0.6)
    row = verdicts.summary(pd.concat([NONE, other])).loc["top_k:1"]
    assert row.drop(["verdict", "the paper says"]).tolist() == [0.93, 0.5, 0.9, 0.7, "lira_online", 0.02, 0.8, 1.5]
    assert row["verdict"] == verdicts.verdict(other, NONE) and row["the paper says"] == verdicts.claimed("top_k:1")
    assert verdicts.summary(NONE)["verdict"].tolist() == ["undefended"]


def test_a_point_of_the_plane_has_its_family_and_its_intervals():
    point = verdicts.points(NONE, {"none": "undefended"}, "auc", "speaker").loc["none"]
    expected = dict(family="undefended", x=0.95, y=0.8, x_low=0.93, x_high=0.97, y_low=0.7, y_high=0.82)
    assert point.to_dict() == pytest.approx(expected)


def test_without_an_attack_that_knows_the_defense_nothing_holds_against_one():
    table = records("weight_decay:0.1", 0.95, 0.5, 0.51, lira=0.52, lira_low=0.48)
    blind = table[~(table["adaptive"] & (table["metric"] == "auc"))]
    assert verdicts.verdict(blind, NONE) == "reproduced; holds only against a non-adaptive attacker"


def test_the_papers_claim_stands_beside_its_own_defenses_only():
    assert verdicts.claimed("none") == "0.879 (LibriSpeech), 0.828 (VOiCES, room 1)"
    assert verdicts.claimed("rank_reciprocal:3") == verdicts.claimed("distillation:20") == "chance"
    assert verdicts.claimed("selena:4") == verdicts.claimed("weight_decay:0.1+label_only") == "not tried"
