"""The headline of the report: no number of other models, no attack left out, no control beside another's chance."""

import pandas as pd
import pytest
from report_rows import row

from mia_lib.evaluation import verdicts
from mia_lib.evaluation.reading import typed
from mia_lib.reporting.headline import luck_in, luck_of, one_target, strongest_attack
from mia_lib.reporting.measures import in_words, screened
from mia_lib.reporting.page import corpus_section
from mia_lib.reporting.words import rates_table


def section(*rows):
    return corpus_section("folder:/x/voices", typed(pd.DataFrame(rows)))


def test_the_accuracy_is_that_of_the_attacked_targets_and_the_table_says_whose_each_is():
    found = section(
        row("test_accuracy", 0.953, 0.93, 0.97), row("test_accuracy", 0.916, 0.9, 0.93, protocol="utterance")
    )
    assert "names the speaker of 95.3 % [93.0, 97.0]" in found["summary"][0]
    assert [(line["models"], line["value"]) for line in found["utility"]] == [
        ("targets", "95.3 %"),
        ("reference models", "91.6 %"),
    ]


def test_persons_by_several_recordings_count_as_attacks_on_them():
    found = section(
        row("auc", 0.819, 0.74, 0.88, "top3_network", "speaker"),
        row("auc", 0.926, 0.88, 0.96, "speaker_level", "speaker", enrolment=1),
        row("auc", 0.986, 0.95, 1.0, "speaker_level", "speaker", enrolment=10),
        row("auc", 0.999, 0.99, 1.0, "top3_network", "speaker", condition="room_rm1"),  # on some recordings only
    )
    best = found["strongest"][0]
    assert (best["attack"], best["auc"]["value"]) == ("speaker level, 10 recordings of each person", "0.986")
    assert best["found"] is None and best["out_of"] == 3
    assert (
        "AUC 0.986 [0.950, 1.000] under protocol speaker (speaker level, 10 recordings of each person, the largest of 3), "
        "above chance." in found["summary"][0]
    )


@pytest.mark.parametrize(
    ("low", "said"), [(0.48, "not told from chance"), (0.51, "above chance"), (None, "no interval")]
)
def test_what_is_said_of_the_strongest_attack_is_what_its_interval_says(low, said):
    sentence = section(row("auc", 0.59, low, low and 0.66, "top3_network", "speaker"))["summary"][0]
    assert sentence.startswith("The strongest attack has AUC 0.590") and f"(top-3 network), {said}." in sentence


@pytest.mark.parametrize(("high", "attack", "auc"), [(0.4, "a, turned round", "0.700"), (0.6, "b", "0.600")])
def test_an_attack_that_is_surely_below_one_half_is_turned_round(high, attack, auc):
    rows = typed(pd.DataFrame([row("auc", 0.3, 0.2, high, "a", "speaker"), row("auc", 0.6, 0.5, 0.7, "b", "speaker")]))
    best = strongest_attack("speaker", rows)
    assert (best["attack"], best["auc"]["value"]) == (attack, auc)


def test_a_single_attack_is_not_called_the_largest_of_several():
    assert "largest" not in section(row("auc", 0.8, 0.7, 0.9, "top3_network", "paper"))["summary"][0]
    assert strongest_attack("paper", typed(pd.DataFrame([row("recall", 0.8, 0.7, 0.9, "a", "paper")]))) is None


def test_a_control_that_finds_one_in_ten_at_one_in_ten_false_alarms_is_at_chance():
    about = dict(attack="speaker_level", protocol="speaker", enrolment=5, control="unexposed")
    good = row("tpr_at_fpr_1e-1", 0.12, 0.03, 0.3, **about)
    found = section(good, row("auc", 0.5, 0.4, 0.6, **about))
    assert {one["verdict"] for one in found["controls"]} == {"chance"}
    assert any(one["label"].endswith("(chance: 10.0 %)") for one in found["controls"])
    assert section(good | {"low": 0.4, "high": 0.6})["controls"][0]["verdict"] == "not chance"


def test_controls_behind_defenses_are_counted_apart():
    control = row("auc", 0.5, 0.4, 0.6, "lira_online", "utterance", control="shuffled")
    defended = control | {"defense": "dmp:2", "adaptive": True, "low": 0.51}
    found = section(control, defended)
    assert found["summary"][0].startswith("0 of 1 negative controls lie outside their chance")
    assert found["controls_behind"][0].startswith("1 of 1 negative controls of attacks behind defenses")
    assert [one["attack"] for one in found["controls_of_defenses"]] == ["LiRA, online against dmp:2 (adaptive)"]


@pytest.mark.parametrize(
    ("outside", "n", "words"),
    [
        (7, 146, "7 of 146 controls lie outside their chance, where about 7.3 are expected by luck."),
        (
            20,
            146,
            "expected by luck: more than luck alone explains, were each a model of its own;",
        ),
        (1, 146, "1 of 146 controls lies outside its chance, where about 7.3 are expected by luck: fewer than"),
    ],
)
def test_controls_stand_beside_the_number_that_luck_would_put_outside(outside, n, words):
    assert words in luck_of(["above"] * outside + ["at"] * (n - outside), "controls")[0]
    assert luck_of([]) == []


def test_each_control_stands_beside_the_chance_of_its_own_measure():
    rows = [
        row("auc", 0.52, 0.45, 0.6, control="shuffled"),
        row("tpr_at_fpr_1e-1", 0.12, 0.03, 0.3, control="shuffled"),
        row("tpr_at_fpr_1e-1", 0.5, 0.4, 0.6, control="unexposed"),
    ]
    assert luck_in(pd.DataFrame(rows), "rates").startswith("1 of 3 rates lies outside its chance")
    assert luck_in(pd.DataFrame(rows[:0], columns=list(rows[0]))) == ""


def test_rates_that_the_audit_set_cannot_carry_are_not_shown():
    rows = [
        row("tpr_at_fpr_1e-2", 0.3, 0.2, 0.4, "a", "utterance"),
        row("tpr_at_fpr_1e-3", 0.2, 0.1, 0.3, "a", "utterance"),
        row("audit_nonmembers", 450, 450, 450, "a", "utterance"),
    ]
    found = section(*rows)["protocols"][0]
    few = next(one for _, one in found["others"] if one["label"] == "Members found at 0.1 % false positives")
    assert (few["value"], few["interval"]) == ("not measurable below 1 in 450", "")
    assert [cell and cell["value"] for cell in found["rows"][0]["cells"]] == [None, "30.0 %", None, None]
    table = rates_table(pd.DataFrame(rows), ["tpr_at_fpr_1e-2", "tpr_at_fpr_1e-3"])
    assert table.iloc[0].tolist() == ["30.0 % [20.0, 40.0]", "not measurable below 1 in 450"]


def judged(defense, accuracy, auc, n):
    """The records that the table of defenses needs of one defense."""
    common = dict(corpus="folder:/x/voices", n=n)
    rows = [row("test_accuracy", accuracy, accuracy - 0.01, accuracy + 0.01, **common)]
    rows += [row("train_seconds_ratio", 1.0, 1.0, 1.0, **common)]
    rows += [row("balanced_accuracy", 0.5, 0.49, 0.51, "top3_network", "paper", **common)]
    known = [row("balanced_accuracy", 0.5, 0.49, 0.51, "top3_network", "paper", **common)]
    for measure, protocol, value in (
        ("auc", "utterance", auc),
        ("tpr_at_fpr_1e-3_pooled", "utterance", 0.1),
        ("auc", "speaker", 0.7),
    ):
        known.append(row(measure, value, value - 0.01, value + 0.01, "lira_online", protocol, **common))
    return [one | {"defense": defense} for one in rows] + [
        one | {"defense": defense, "adaptive": True} for one in known
    ]


def test_the_table_of_defenses_shows_the_verdict_its_evidence_and_no_rate_that_is_too_fine(tmp_path):
    rows = judged("none", 0.95, 0.976, 900) + judged("weight_decay:0.1", 0.957, 0.999, 900)
    line = section(*rows)["defenses"][1]
    assert line["verdict"].startswith("leaks more: AUC 0.976") and "protocol speaker: leaks as much" in line["evidence"]
    assert line["strongest TPR at 0.1 % FPR"]["value"] == "not measurable below 1 in 450"
    enough = section(*(one | {"n": 2400} for one in rows))["defenses"][1]
    assert enough["strongest TPR at 0.1 % FPR"] == {"value": "10.0 %", "interval": "[9.0, 11.0]", "coarse": False}
    assert (line["change"], line["test accuracy"]["interval"]) == ("leaks more", "[94.7, 96.7]")
    assert verdicts.RULE.startswith("The strength of each defense is chosen on the validation model")


def test_the_plane_shows_every_judged_defense_and_is_left_out_where_none_was():
    found = section(*judged("none", 0.95, 0.976, 2400), *judged("weight_decay:0.1+top_k:3", 0.957, 0.9, 2400))
    assert found["plane"].count("<svg") == 1 and all(
        name in found["plane"] for name in (">none<", ">weight_decay:0.1+top_k:3<")
    )
    assert section(row("auc", 0.7, 0.6, 0.8, "a", "utterance"))["plane"] == ""


def test_who_is_exposed_is_told_of_the_strongest_attack_where_it_was_measured():
    rows = [row(m, v, v - 0.1, v + 0.1, a, "utterance") for a, m, v in (("a", "auc", 0.7), ("b", "auc", 0.9))]
    assert section(*rows)["exposed"] == []
    rates = {"a": (0.1, 0.2), "b": (0.3, 0.6)}
    for attack, (half, worst) in rates.items():
        rows += [row("person_fpr_median", half, 0, 1, attack, "utterance")]
        rows += [row("person_fpr_worst", worst, 0.5, 0.7, attack, "utterance")]
    assert "Where b calls" in section(*rows)["exposed"][0] and "60.0 % [50.0, 70.0]" in section(*rows)["exposed"][0]


def test_a_single_target_is_said_to_stand_for_itself_alone():
    assert one_target(3) == [] and "holds for that very model" in one_target(1)[0]


def test_rows_of_several_notebooks_with_equal_numbers_in_their_index_are_kept_apart():
    rows = pd.DataFrame(
        [row("auc", v, v - 0.1, v + 0.1, attack, "utterance") for v, attack in ((0.7, "a"), (0.9, "b"))]
    )
    rows = rows.assign(too_coarse=0)
    rows.index = [5, 5]
    assert strongest_attack("utterance", rows)["attack"] == "b"


def test_a_table_of_rates_leaves_out_what_was_nowhere_measured():
    records = pd.DataFrame([row("auc", 0.7, 0.6, 0.8, "a", "utterance")])
    assert list(rates_table(records, ["auc", "person_fpr_worst"]).columns) == ["auc"]


def test_tables_are_headed_by_names_for_people():
    places = pd.MultiIndex.from_tuples([("paper", "top3_network")], names=["protocol", "attack"])
    table = pd.DataFrame([["1", "2", "3"]], index=places, columns=["auc_control_shuffled", "recall", "verdict"])
    shown = in_words(table)
    assert list(shown.columns) == ["AUC, membership shuffled", "Recall", "verdict"]
    assert shown.index.tolist() == [("paper", "top-3 network")]


def test_what_was_screened_is_shown_in_percent_and_in_words():
    rates = dict.fromkeys(["test_accuracy", "paper", "paper_adaptive", "utterance", "utterance_adaptive"], 0.5)
    table = pd.DataFrame([rates | dict(auc_adaptive=0.75, by="lira_online", n=8)], index=["none"])
    assert screened(table).iloc[0].tolist() == ["50.0 %"] * 5 + ["0.750", "LiRA, online"]
