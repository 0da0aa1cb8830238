"""The verdict on an unlearning method follows from its records, and strengths from the rule that is stated."""

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
        (dict(cost=0.05), forgotten.COSTLY),
        (dict(cost=0.02), forgotten.FORGETS),
        (dict(exposed=0.05), forgotten.COSTLY),
        (dict(exposed=0.005), forgotten.FORGETS),
    ],
)
def test_a_verdict_follows_from_what_is_found_what_looks_forgotten_and_who_pays(numbers, word):
    records = pd.concat([*WORLD, method("scrub:3", **numbers)], ignore_index=True)
    assert forgotten.verdict(records, "scrub:3") == word
    assert f"**{word}**" in forgotten.sentence(records, "scrub:3")


def test_a_sentence_names_the_view_that_says_most_its_control_and_who_pays():
    records = pd.concat([*WORLD, method("scrub:3", 0.6, 0.9, cost=0.05)], ignore_index=True)
    said = forgotten.sentence(records, "scrub:3")
    assert "U-LiRA finds most by recordings, class removed: AUC 0.900 [0.880, 0.920], +0.400" in said
    assert said.endswith("those who stay pay 5.0 points of accuracy.")
    said = forgotten.sentence(pd.concat([*WORLD, method("scrub:3", 0.9)], ignore_index=True), "scrub:3")
    assert "who was never in, and is asked to be forgotten, is not told (0.500" in said
    assert said.endswith("pay no more accuracy than the tolerated 3 points, and no privacy that can be told.")


def test_advice_names_the_fastest_that_forgets_and_what_others_pay_for_another():
    records = pd.concat([*WORLD, method("scrub:3", 0.9), method("sisa:2", cost=0.05)], ignore_index=True)
    assert forgotten.advice(records, [RETRAIN, "scrub:3", "sisa:2"]) == (
        "`retrain` forgets in 0.10 of the time of training again, and costs those who stay "
        "no more accuracy than the tolerated 3 points, and no privacy that can be told; "
        "`sisa:2` forgets in 0.10 of the time of training again, and costs those who stay 5.0 points of accuracy; "
        "1 of 3 methods leave a trace of who left."
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
