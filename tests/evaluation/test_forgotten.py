"""The verdict on an unlearning method follows from its records, and strengths from the rule that is stated."""

import math

import pandas as pd
import pytest

from mia_lib.evaluation import forgotten
from mia_lib.evaluation.forgotten import ALL, BEFORE, LEAVERS, NO_CLASS, OTHERS, POPULATION, RETRAIN, U_LIRA
from mia_lib.evaluation.intervals import Measure
from mia_lib.evaluation.records import Result, results_table


def rows(method, protocol, attack, *results):
    identity = dict(
        corpus="demo", profile="smoke", seed=0, protocol=protocol, defense=method, attack=attack, adaptive=True
    )
    return results_table(identity, results)


def around(value, half=0.02):
    return Measure(value, value - half, value + half, 100)


def method(name, u_lira=0.5, removed=0.5, population=0.5, named=0.0, cost=0.0, exposed=0.0):
    """Records of a method, all by recordings; by persons nothing was measured."""
    tables = [
        rows(name, "paper", U_LIRA, Result("auc", around(u_lira), ALL), Result("auc", around(removed), NO_CLASS),
             Result("auc", around(0.5), ALL, control="unexposed")),
        rows(name, "utterance", POPULATION, Result("auc", around(population), LEAVERS)),
        rows(name, "utterance", "lira_online", Result("auc", around(0.7), OTHERS),
             Result("auc_change", around(exposed, 0.01), OTHERS)),
        rows(name, "", "none", Result("train_accuracy", around(named), LEAVERS),
             Result("test_accuracy", around(0.9), OTHERS), Result("test_accuracy_change", around(-cost), OTHERS),
             Result("train_seconds_ratio", around(0.1), LEAVERS)),
    ]  # fmt: skip
    return pd.concat(tables, ignore_index=True)


def test_intervals_that_hold_in_four_views_are_wider_the_fewer_people_they_draw():
    assert forgotten.together(math.inf) == pytest.approx(2.4977 / 1.9600, abs=1e-4)
    assert forgotten.together(8) == pytest.approx(3.3353 / 2.3646, abs=1e-3)  # Student's t with 7 degrees of freedom


WORLD = [method(BEFORE, 0.95, 0.6, 0.8, 0.99), method(RETRAIN)]


@pytest.mark.parametrize(
    ("numbers", "word"),
    [
        (dict(), forgotten.FORGETS),
        (dict(u_lira=0.52), forgotten.FORGETS),  # as near to retraining as the intervals can tell
        (dict(u_lira=0.9), forgotten.HIDES),
        (dict(removed=0.9), forgotten.HIDES),
        (dict(u_lira=0.9, named=0.98), forgotten.HIDES),  # still named, but the population attack sees nothing
        (dict(u_lira=0.9, named=0.98, population=0.7), forgotten.REMEMBERS),
        (dict(cost=0.06), forgotten.COSTLY),
        (dict(cost=0.02), forgotten.FORGETS),
        (dict(cost=0.04), forgotten.FORGETS),  # perhaps more than is tolerated
        (dict(exposed=0.05), forgotten.COSTLY),
        (dict(exposed=0.005), forgotten.FORGETS),
    ],
)
def test_a_verdict_follows_from_what_is_found_what_looks_forgotten_and_who_pays(numbers, word):
    records = pd.concat([*WORLD, method("scrub:3", **numbers)], ignore_index=True)
    assert forgotten.verdict(records, "scrub:3") == word
    assert f"**{word}**" in forgotten.sentence(records, "scrub:3")


def test_a_sentence_names_the_view_that_says_most_its_control_and_who_pays():
    records = pd.concat([*WORLD, method("scrub:3", 0.6, 0.9, cost=0.06)], ignore_index=True)
    said = forgotten.sentence(records, "scrub:3")
    assert "U-LiRA finds most by recordings, class removed: AUC 0.900 [0.880, 0.920], +0.400" in said
    assert said.endswith("those who stay pay more than 3 points of accuracy (6.0 [4.0, 8.0]).")
    said = forgotten.sentence(pd.concat([*WORLD, method("scrub:3", 0.9)], ignore_index=True), "scrub:3")
    assert "models that never heard the person, and are asked to forget them, are not told (0.500" in said
    assert said.endswith("pay at most 3 points of accuracy, and no privacy that can be told.")


@pytest.mark.parametrize(
    ("value", "half", "words"),
    [(0.6, 0.02, "are told, too"), (0.4, 0.02, "look less like ones that unlearned"), (0.4, 0.4, "cannot be judged")],
)
def test_a_control_off_chance_is_told_by_its_side(value, half, words):
    asked = rows("scrub:3", "paper", U_LIRA, Result("auc", around(value, half), ALL, control="unexposed"))
    records = pd.concat([*WORLD, asked, method("scrub:3", 0.9)], ignore_index=True)
    assert words in forgotten.sentence(records, "scrub:3")


def test_four_views_are_four_chances_to_be_fooled():
    gap = forgotten.beyond_retraining(pd.concat([*WORLD, method("scrub:3", 0.53)]), "scrub:3")["recordings"]
    wider = 2.4977 / 1.9600  # normal quantiles at 1 - .05/8 and 1 - .05/2
    ends = 0.03 - wider * math.hypot(0.02, 0.02), 0.03 + wider * 0.02  # retraining finds no less than guessing
    assert (gap.low, gap.high) == pytest.approx(ends, abs=1e-5)


def test_no_difference_reaches_beyond_what_there_is_to_find():
    gap = forgotten.beyond_retraining(pd.concat([*WORLD, method("scrub:3", 0.995)]), "scrub:3")["recordings"]
    assert gap.value == pytest.approx(0.495) and gap.high == 0.5


TRACE = (
    "trace of who left, or of the request."
    " Behind `retrain`, where there is nothing to find, intervals reach 0.02 from 0.5: less is not told."
)


@pytest.mark.parametrize(
    ("never_in", "wide", "asked"), [(0.5, 0.02, False), (0.89, 0.02, True), (0.95, 0.02, True), (0.89, 0.4, False)]
)
def test_what_is_found_as_well_where_the_person_never_was_may_be_the_request(never_in, wide, asked):
    """Not where so few were asked in vain that their interval says nothing."""
    records = pd.concat([*WORLD, method("bad_teacher:2", 0.9)], ignore_index=True)
    records.loc[(records["defense"] == "bad_teacher:2") & (records["control"] == "unexposed"), ["value", "low", "high"]] = (
        never_in, never_in - wide, never_in + wide,
    )  # fmt: skip
    assert forgotten.of_the_request(records, "bad_teacher:2") is asked
    assert not forgotten.of_the_request(records, RETRAIN)  # behind which nothing is found


def test_what_is_found_behind_an_exact_method_is_a_false_alarm():
    records = pd.concat([*WORLD, method("scrub:3", 0.9), method("sisa:2", 0.9)], ignore_index=True)
    exact = [RETRAIN, "sisa:2"]
    assert forgotten.verdict(records, "sisa:2") == forgotten.HIDES
    assert forgotten.verdict(records, "sisa:2", exact) == forgotten.EXACT
    assert "beside retraining, a false alarm; " in forgotten.sentence(records, "sisa:2", exact)
    assert "false alarm" not in forgotten.sentence(records, RETRAIN, exact)
    assert forgotten.advice(records, [*exact, "scrub:3"], exact).endswith(
        f"; 1 of 1 variants that change the trained model leave a {TRACE}"
    )


def test_a_yardstick_below_guessing_is_said_and_makes_no_difference_larger():
    records = pd.concat([WORLD[0], method(RETRAIN, 0.4, 0.51), method("scrub:3", 0.6)], ignore_index=True)
    assert "off chance in 1 of 2 views by the 95 % interval: recordings 0.400 [0.380, 0.420]." in forgotten.yardstick(
        records
    )
    assert forgotten.beyond_retraining(records, "scrub:3")["recordings"].value == pytest.approx(0.1)
    assert "off chance in 0 of 2 views by the 95 % interval." in forgotten.yardstick(pd.concat(WORLD))


def test_advice_names_the_fastest_that_forgets_and_what_others_pay_for_another():
    bad = [*WORLD, method("scrub:3", 0.9), method("sisa:2", cost=0.06)]
    methods, exact = [RETRAIN, "scrub:3", "sisa:2"], [RETRAIN, "sisa:2"]
    part = (
        "`sisa:2` forgets in about 0.1 of the time of training again, and costs those who stay more than 3 points of "
        "accuracy (6.0 [4.0, 8.0]); "
    )
    assert forgotten.advice(pd.concat(bad, ignore_index=True), methods, exact) == (
        f"Only training again, all of it or a shard, forgets; {part}"
        f"1 of 1 variants that change the trained model leave a {TRACE}"
    )
    records = pd.concat([*bad, method("neg_grad:0.1")], ignore_index=True)
    assert forgotten.advice(records, [*methods, "neg_grad:0.1"], exact) == (
        "`neg_grad:0.1` forgets in about 0.1 of the time of training again, and costs those who stay "
        f"at most 3 points of accuracy, and no privacy that can be told; {part}"
        f"1 of 2 variants that change the trained model leave a {TRACE}"
    )


def test_the_table_has_a_row_for_each_method_and_leaves_empty_what_was_not_measured():
    table = forgotten.table(pd.concat([*WORLD, method("scrub:3", 0.9)], ignore_index=True))
    assert table.index.tolist() == [BEFORE, RETRAIN, "scrub:3"]
    assert table.loc["scrub:3", ["persons", "time / retraining", "verdict"]].tolist() == ["", "0.10", forgotten.HIDES]
    assert table.loc[BEFORE, "recordings"] == "0.950 [0.930, 0.970]" and table.loc[BEFORE, "verdict"] == ""


def test_of_strengths_that_cost_little_the_one_is_chosen_that_leaves_least_on_average():
    columns = ["auc", "auc_without_class", "accuracy"]
    screen = pd.DataFrame(
        {
            BEFORE: (1.0, 0.6, 0.90),
            "scrub:1": (0.9, 0.5, 0.90),
            "scrub:3": (0.6, 0.7, 0.88),  # least on average
            "scrub:9": (0.5, 0.5, 0.80),  # leaves least, and costs too much
            "neg_grad:0.1": (0.5, 0.5, 0.60),
            "neg_grad:0.3": (0.9, 0.9, 0.80),  # both cost too much: the cheaper one
            "retrain": (0.5, 0.5, 0.90),
        },
        index=columns,
    ).T
    assert forgotten.chosen(screen) == ["scrub:3", "neg_grad:0.3", "retrain"]
