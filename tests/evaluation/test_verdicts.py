"""Verdicts follow from the numbers: what a defense changes, at what cost, and apart from it what becomes of the claim."""

import math

import pandas as pd
import pytest

from mia_lib.evaluation import reproduction, verdicts
from mia_lib.evaluation.intervals import Measure
from mia_lib.evaluation.records import COLUMNS


def records(defense, accuracy, paper, adaptive, lira, lira_low, other=(0.5, 0.45, 0.54), recall=0.4, paper_auc=0.5):
    """Judged records of one defense: test accuracy, the paper's attack without and with knowledge, and LiRA's AUC;
    other: that of another attack, with its interval. Recall and paper_auc are the paper's attack's, without knowledge."""
    rows = [
        ("", "none", False, "test_accuracy", accuracy, accuracy - 0.02),
        ("", "none", False, "train_seconds_ratio", 1.5, 1.5),
        ("paper", "top3_network", False, "balanced_accuracy", paper, paper - 0.02),
        ("paper", "top3_network", False, "recall", recall, recall - 0.02),
        ("paper", "top3_network", False, "auc", paper_auc, paper_auc - 0.02),
        ("paper", "top3_network", True, "balanced_accuracy", adaptive, adaptive - 0.02),
        ("utterance", "lira_online", True, "auc", lira, lira_low),
        ("utterance", "label_only", True, "auc", *other[:2]),
        ("utterance", "lira_online", True, "balanced_accuracy", lira, lira_low),
        ("utterance", "lira_online", False, "auc", 0.999, 0.99),
        ("utterance", "lira_online", True, "tpr_at_fpr_1e-3_pooled", 0.02, 0.0),
        ("speaker", "label_only", True, "auc", 0.8, 0.7),
    ]
    common = dict(corpus="demo", profile="smoke", seed=0, defense=defense, n=100)
    names = ["protocol", "attack", "adaptive", "metric", "value", "low"]
    table = pd.DataFrame(rows, columns=names).assign(**common, high=lambda t: t["value"] + 0.02)
    table.loc[(table["attack"] == "label_only") & (table["protocol"] == "utterance"), "high"] = other[2]
    return table[COLUMNS]


NONE = records("none", 0.95, 0.99, 0.99, 0.976, 0.96)


def with_row(table, protocol, metric, value, low, high):
    """The table and one more record of an attack that knows the defense."""
    row = table[table["adaptive"] & (table["attack"] == "lira_online")].iloc[[0]]
    return pd.concat([table, row.assign(protocol=protocol, metric=metric, value=value, low=low, high=high)])


@pytest.mark.parametrize(
    ("lira", "low", "other", "word"),
    [
        (1.0, 0.998, (0.5, 0.45, 0.54), "leaks more"),
        (0.578, 0.55, (0.5, 0.45, 0.54), "leaks less"),
        (0.9, 0.87, (0.5, 0.45, 0.54), "leaks less"),
        (0.977, 0.962, (0.5, 0.45, 0.54), "leaks as much"),
        (0.9, 0.7, (0.5, 0.45, 0.995), "undecided"),
        (0.51, 0.48, (0.5, 0.45, 0.54), "at chance"),
        (0.51, 0.48, (0.5, 0.30, 0.70), "leaks less, not told from chance"),
        (0.555, 0.54, (0.56, 0.495, 0.62), "leaks less"),  # the largest value is not the one that is told from chance
        (0.4, 0.38, (0.38, 0.36, 0.40), "leaks less"),  # turned round it is .62
        (0.02, 0.0, (0.5, 0.45, 0.54), "leaks as much"),  # turned round it is .98
        (0.51, 0.48, (0.5, math.nan, math.nan), "undecided"),  # one attack has no interval
    ],
)
def test_the_word_is_the_change_of_the_strongest_attack_against_no_defense(lira, low, other, word):
    table = records("weight_decay:0.1", 0.95, 0.5, 0.51, lira, low, other)
    assert verdicts.headline(table, NONE) == word
    assert verdicts.verdict(table, NONE).startswith(f"{word}: AUC 0.976 [0.960, 0.996] (lira_online) → ")


def test_without_a_defense_or_an_attack_that_knows_it_nothing_is_decided():
    table = records("weight_decay:0.1", 0.95, 0.5, 0.51, lira=0.52, lira_low=0.48)
    blind = table[~(table["adaptive"] & (table["metric"] == "auc"))]
    assert verdicts.verdict(blind, NONE).startswith("undecided: no attack that knows it was tried on both; at a cost")


def test_an_attack_below_one_half_is_turned_round():
    table = records("memguard:0.5", 0.95, 0.5, 0.5, lira=0.38, lira_low=0.36, other=(0.40, 0.38, 0.42))
    assert "→ 0.620 [0.600, 0.640] (lira_online, turned round)" in verdicts.verdict(table, NONE)
    assert verdicts.strongest(table, "auc")["value"] == pytest.approx(0.62)


def test_weight_decay_that_only_moves_its_threshold_leaks_more_and_reproduces_nothing():
    table = records("weight_decay:0.1", 0.957, 0.5, 0.98, 0.996, 0.994, recall=0.0, paper_auc=0.998)
    words = verdicts.verdict(table, NONE.assign(high=NONE["value"] + 0.006))
    assert words.startswith("leaks more")
    assert "the paper's claim: not reproduced" in words
    assert "a threshold that calls nobody a member, while its AUC is 0.998" in words


def test_an_attack_that_accepts_nobody_and_could_not_tell_anybody_is_at_chance():
    table = records("rank_reciprocal:5", 0.95, 0.5, 0.5, 0.7, 0.68, recall=0.0, paper_auc=0.5)
    assert reproduction.reproduced(table) == "reproduced"


@pytest.mark.parametrize(
    ("paper", "outcome", "word"),
    [
        (0.25, "above chance", "not reproduced"),  # turned round it is .75
        (0.50, "at chance", "reproduced"),
        (0.51, "at chance", "reproduced"),
        (0.529, "undecided", "undecided"),
        (0.531, "undecided", "undecided"),
        (0.56, "above chance", "not reproduced"),
    ],
)
def test_the_interval_decides_whether_the_papers_claim_is_reproduced(paper, outcome, word):
    table = records("weight_decay:0.1", 0.95, paper, 0.9, 0.98, 0.96)
    assert (reproduction.outcome(table), reproduction.reproduced(table)) == (outcome, word)
    assert reproduction.reproduced(records("dmp:2", 0.95, paper, 0.9, 0.98, 0.96)) == "not tried"


def test_a_claim_is_asked_of_the_paper_s_conditions_only():
    table = records("weight_decay:0.1", 0.95, 0.5, 0.99, 0.98, 0.96)
    assert "the paper's claim: reproduced; its attack's balanced accuracy of 0.500 [0.480, 0.520] is at chance" in (
        verdicts.verdict(table, NONE)
    )
    unmeasured = table[table["protocol"] != "paper"]
    assert reproduction.sentence(unmeasured).endswith("its attack was not measured at the paper's conditions")


def test_other_protocols_stand_beside_the_word():
    none = with_row(NONE, "paper", "auc", 0.99, 0.98, 0.999)
    table = with_row(records("dmp:2", 0.95, 0.5, 0.5, 0.51, 0.48), "paper", "auc", 0.99, 0.98, 0.999)
    words = verdicts.verdict(table, none)
    assert words.startswith("at chance") and "protocol paper: leaks as much" in words
    assert "AUC, protocol paper: leaks as much (0.990 [0.980, 0.999] (lira_online) → " in verdicts.evidence(table, none)


@pytest.mark.parametrize("accuracy", [0.01, 0.42])
def test_a_broken_model_never_protects(accuracy):
    table = records("dp_sgd:8", accuracy, 0.5, 0.5, 0.51, 0.48)
    assert verdicts.verdict(table, NONE).startswith("a broken model (test accuracy")
    change = verdicts.summary(pd.concat([NONE, table]))["change"]
    assert change.tolist() == ["undefended", "a broken model"]


@pytest.mark.parametrize(
    ("accuracy", "words"),
    [
        (0.926, "at a cost of 2.4 [-0.4, 5.2] points of accuracy;"),
        (0.80, "at a cost of 15.0 [12.2, 17.8] points of accuracy, above the 3 that are tolerated;"),
        (0.975, "at a gain of 2.5 [-0.3, 5.3] points of accuracy;"),
    ],
)
def test_the_cost_has_an_interval_and_is_called_more_than_is_tolerated(accuracy, words):
    assert words in verdicts.verdict(records("dmp:2", accuracy, 0.5, 0.5, 0.578, 0.56), NONE)


def test_the_accuracy_is_that_of_the_attacked_targets():
    references = NONE.iloc[[0]].assign(protocol="utterance", value=0.6)
    assert verdicts.summary(pd.concat([references, NONE]))["test accuracy"].tolist() == [0.95]


def test_a_rate_at_few_false_alarms_needs_enough_non_members():
    table = records("dmp:2", 0.95, 0.5, 0.5, 0.578, 0.56)
    assert "at 0.1 % false positives: not measurable below 1 in 50;" in verdicts.evidence(table, NONE)
    many = verdicts.evidence(table.assign(n=4000), NONE.assign(n=8000))
    assert "false positives: leaks as much (0.020 [0.000, 0.040] (lira_online) → 0.020" in many
    assert "n 8,000 → 4,000" in many


def test_the_rule_of_selection_is_a_sentence_with_its_tolerance():
    assert "at most 3 points of its test accuracy" in verdicts.RULE and verdicts.RULE.endswith(
        "the most accurate of several."
    )


def test_the_strongest_attack_is_one_that_knows_the_defense():
    best = verdicts.strongest(NONE, "auc")
    assert best["attack"] == "lira_online" and best["value"] == 0.976  # not the .999 of the one that does not know it


def test_an_attack_tried_on_few_fragments_says_nothing_about_one_false_alarm_in_a_thousand():
    row = NONE[NONE["metric"] == "tpr_at_fpr_1e-3_pooled"]
    few, enough, more = (row.assign(value=v, n=n) for v, n in ((0.05, 1990), (0.01, 2000), (0.02, 2500)))
    assert verdicts.strongest(pd.concat([few, enough, more]), row["metric"].iloc[0])["value"] == 0.02
    assert verdicts.strongest(pd.concat([few, few.assign(value=0.3, n=600)]), row["metric"].iloc[0])["value"] == 0.05


def test_rows_of_several_defenses_with_equal_numbers_in_their_index_are_kept_apart():
    both = pd.concat([NONE, records("top_k:1", 0.93, 0.5, 0.9, 0.7, 0.6)])
    table = verdicts.summary(both)
    assert list(table.index) == ["none", "top_k:1"] and table["strongest AUC, utterance"].tolist() == [0.976, 0.7]
    points = verdicts.points(both, {"none": "undefended", "top_k:1": "obfuscation"}, "auc")
    assert points.loc["top_k:1", ["x", "y", "y_low"]].tolist() == [0.93, 0.7, 0.6]


def test_a_cost_of_exactly_the_tolerance_is_little(monkeypatch):
    monkeypatch.setattr(verdicts, "TOLERANCE", 0.25)  # a number that floating point holds
    table = records("weight_decay:0.1", 0.75, 0.5, 0.51, lira=0.52, lira_low=0.48)
    summary = verdicts.summary(pd.concat([records("none", 1.0, 0.99, 0.99, 0.98, 0.96), table]))
    assert summary.loc["weight_decay:0.1", "cost in points"].startswith("25.0")
    assert summary.loc["weight_decay:0.1", "verdict"].startswith("at chance")


def test_the_summary_of_a_defense_holds_each_of_its_numbers():
    other = records("top_k:1", 0.93, 0.5, 0.9, 0.7, 0.6)
    row = verdicts.summary(pd.concat([NONE, other])).loc["top_k:1"]
    numbers = row.drop([*verdicts.WORDS, "the paper says", "ends"])
    assert numbers.tolist() == [0.93, 0.5, 0.9, 0.7, 0.02, 0.8, "lira_online", 2, 1.5, 50]
    assert row["ends"].keys() == verdicts.numbers(other).keys() and row["ends"]["strongest AUC, utterance"] == (
        0.6,
        0.72,
    )
    assert row["verdict"] == verdicts.verdict(other, NONE) and row["the paper says"] == verdicts.claimed("top_k:1")
    assert row["claim"] == "not tried" and row["change, thresholded"] == row["change"] == "leaks less"
    assert row["evidence"] == verdicts.evidence(other, NONE) and row["cost in points"] == "2.0 [-0.8, 4.8]"
    assert verdicts.summary(NONE)["verdict"].tolist() == ["undefended"]


def test_a_point_of_the_plane_has_its_family_and_its_intervals():
    point = verdicts.points(NONE, {"none": "undefended"}, "auc", "speaker").loc["none"]
    expected = dict(family="undefended", x=0.95, y=0.8, x_low=0.93, x_high=0.97, y_low=0.7, y_high=0.82, n=100)
    assert point.to_dict() == pytest.approx(expected)


def test_the_papers_claim_stands_beside_its_own_defenses_only():
    assert verdicts.claimed("none") == "0.879 (LibriSpeech), 0.828 (VOiCES, room 1)"
    assert verdicts.claimed("rank_reciprocal:3") == verdicts.claimed("distillation:20") == "chance"
    assert verdicts.claimed("selena:4") == verdicts.claimed("weight_decay:0.1+label_only") == "not tried"


def test_more_members_at_few_false_alarms_is_more_though_the_auc_is_as_large(monkeypatch):
    usual, other = (
        records("none", 0.95, 0.99, 0.99, 0.98, 0.97),
        records("weight_decay:0.1", 0.95, 0.5, 0.98, 0.98, 0.97),
    )
    assert verdicts.headline(other, usual) in ("leaks as much", "undecided")
    told = {"leaks more (.2 to .4)": "leaks more", "leaks less (.4 to .2)": verdicts.headline(other, usual)}
    for corner, word in told.items():
        monkeypatch.setattr(verdicts, "_corner", lambda *_, corner=corner: corner)
        assert verdicts.headline(other, usual) == word


def test_a_verdict_says_of_how_many_attacks_its_numbers_are_the_largest():
    table = records("dmp:2", 0.95, 0.5, 0.5, 0.578, 0.56)
    assert "(each the largest of 2 attacks, so optimistic); at a cost" in verdicts.verdict(table, NONE)
    more = with_row(table, "utterance", "auc", 0.55, 0.54, 0.57)
    assert "(each the largest of 2 or 3 attacks, so optimistic); at a cost" in verdicts.verdict(more, NONE)
    blind = table[~table["adaptive"]]
    assert "the largest of" not in verdicts.verdict(blind, NONE)


def test_the_change_at_the_learnt_threshold_may_be_another_than_that_of_the_auc():
    table = records("weight_decay:0.1", 0.95, 0.5, 0.98, 0.976, 0.96)
    hidden = (table["metric"] == "balanced_accuracy") & (table["attack"] == "lira_online")
    table.loc[hidden, ["value", "low", "high"]] = 0.5, 0.45, 0.53
    row = verdicts.summary(pd.concat([NONE, table])).loc["weight_decay:0.1"]
    assert (row["change"], row["change, thresholded"]) == ("leaks as much", "at chance")
    assert "balanced accuracy at the learnt threshold: at chance (0.976 [0.960, 0.996]" in row["evidence"]


def test_nothing_lost_is_nought_without_a_sign():
    assert verdicts._points(Measure(-0.0, -0.0004, 0.0, 9)) == "0.0 [0.0, 0.0]"
